"""The direction of imports, the drawing made of them, and the pages of the reference: each against the code itself."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest
from places import ROOT

import house
import svdlib

API = ROOT / "book" / "api"
BESIDE_THE_WINGS = {"cli", "invert", "recipes", "errors"}
"""What has no page of its own: one page holds them all."""


# --- the contract --------------------------------------------------------------------------------------------------


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the copy of svdlib in a folder."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    """A folder with svdlib and its contracts, to be spoilt."""
    shutil.copytree(ROOT / "svdlib", tmp_path / "svdlib", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_imports_lead_down_and_a_new_wing_needs_a_floor(copy):
    untouched = lint(copy)
    assert untouched.returncode == 0, untouched.stdout
    (copy / "svdlib" / "attic.py").write_text('"""Nobody has said where this belongs."""\n')
    assert lint(copy).returncode == 1


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("inversion/mirror.py", "from svdlib.detector.model import SVDNet"),
        ("inversion/mirror.py", "def late():\n    from svdlib.audio import mel_axis"),
        ("inversion/mirror.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import svdlib.songs.loading"),
        ("audio/mel_axis.py", "import svdlib.inversion.mirror"),
        ("zoo/families.py", "def late():\n    from svdlib import invert_song"),
        ("lab/figures/style.py", "import svdlib.lab.studies.claims"),
    ],
)
def test_a_planted_import_against_the_order_is_found(copy, module, planted):
    path = copy / "svdlib" / module
    path.write_text(f"{path.read_text()}\n\n{planted}\n")
    spoilt = lint(copy)
    name = module.removesuffix(".py").replace("/", ".")
    assert spoilt.returncode == 1 and f"svdlib.{name} -> svdlib" in spoilt.stdout


# --- the drawing ---------------------------------------------------------------------------------------------------


def test_the_drawing_rests_on_the_imports_that_another_program_finds():
    import grimp

    graph = grimp.build_graph("svdlib", cache_dir=None)
    modules = house.read_modules()
    assert {module.name for module in modules} == graph.modules
    for module in modules:
        assert module.imports == graph.find_modules_directly_imported_by(module.name), module.name


@pytest.fixture
def small(tmp_path) -> tuple[list[house.Module], house.Plan]:
    """Three wings, of which the lowest imports the highest, and one that may not import what is below it."""
    files = {
        "__init__.py": "",
        "top.py": '"""Highest | first."""\nfrom svdlib.middle import one, two\nfrom svdlib import low\n',
        "middle/__init__.py": '"""A folder."""\nfrom .one import *\n__all__ = []\n',
        "middle/one.py": "def late():\n    import svdlib.low\n    import ast\n",
        "middle/two.py": "from . import one\nfrom ..low import anything\n",
        "low.py": "from svdlib.top import nothing\n",
    }
    for name, text in files.items():
        (tmp_path / "svdlib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "svdlib" / name).write_text(text)
    (tmp_path / "contracts").write_text(
        "[importlinter:contract:wings]\ntype = layers\nlayers =\n    top\n    middle | side\n    low\n"
        "[importlinter:contract:other]\ntype = forbidden\nsource_modules =\n    svdlib.middle\n"
        "forbidden_modules =\n    svdlib.low\n"
    )
    return house.read_modules(tmp_path / "svdlib"), house.read_plan(tmp_path / "contracts")


def test_arrows_are_counted_and_those_against_the_order_are_known(small):
    modules, plan = small
    assert plan.floors == (("top",), ("middle", "side"), ("low",))
    assert house.count_arrows(modules) == {
        ("top", "middle"): 2,
        ("top", "low"): 1,
        ("middle", "low"): 2,
        ("low", "top"): 1,
    }
    assert plan.allows("top", "low") and plan.allows("side", "low")
    assert not any(plan.allows(*pair) for pair in (("middle", "low"), ("low", "top"), ("middle", "side")))
    assert house.size_of("middle", modules) == ("2 modules", "5 lines")


def test_the_drawing_shows_each_arrow_and_marks_what_is_against_the_order(small):
    modules, plan = small
    drawing = house.draw_house(modules, plan)
    assert "\n\n" not in drawing, "a blank line would end it inside a page"
    arrows = re.findall(r'<g class="(\w+)"><title>(\w+) imports (\w+): (\d+)</title>.*>(\d+)</text>', drawing)
    assert sorted(arrows) == [
        ("down", "top", "low", "1", "1"),
        ("down", "top", "middle", "2", "2"),
        ("up", "low", "top", "1", "1"),
        ("up", "middle", "low", "2", "2"),
    ]
    heights = {name: float(y) for y, name in re.findall(r'class="name" x="9" y="([\d.]+)">(\w+)', drawing)}
    assert sorted(heights, key=heights.get) == ["top", "middle", "side", "low"]
    assert "Against the order: middle imports low and low imports top." in house.describe(modules, plan)
    with pytest.raises(ValueError, match="No floor in .importlinter has low, top"):
        house.draw_house(modules, house.Plan((("middle",),), frozenset()))


def test_the_house_of_this_copy_is_drawn_into_a_file(tmp_path):
    assert house.main([str(tmp_path / "house.svg")]) == 0 and house.main([]) == 2
    text = (tmp_path / "house.svg").read_text()
    assert 'role="img"' in text and text.count('class="name"') == len(house.read_plan().wings)


# --- the reference -------------------------------------------------------------------------------------------------


def test_tables_of_modules_follow_the_page_and_escape_what_would_end_a_cell(small):
    modules, _ = small
    assert house.modules_text("svdlib", modules, ["svdlib.top"]).splitlines()[2:] == [
        r"| {py:mod}`~svdlib.top` | Highest \| first. |",
        "| {py:mod}`~svdlib.low` |  |",
    ]


def modules_on(page: Path) -> list[str]:
    return re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8"))


def test_every_module_is_on_the_page_of_its_wing_once():
    wanted = {module.name for module in house.read_modules() if module.wing and not module.is_bare}
    listed = [name for page in sorted(API.glob("*.md")) for name in modules_on(page)]
    assert sorted(listed) == sorted(wanted), "add it to the page of its wing in book/api, or take it off there"
    for page in API.glob("*.md"):
        wings = BESIDE_THE_WINGS if page.stem == "cli" else {page.stem}
        assert {name.split(".")[1] for name in modules_on(page)} == wings


def test_what_the_build_writes_is_shown_and_what_pages_show_is_written(tmp_path):
    house.write_house(tmp_path)
    for measured in (ROOT / "benchmarks" / "results").glob("*.md"):
        shutil.copy2(measured, tmp_path)
    pages = [ROOT / "book" / "contributing.md", ROOT / "book" / "faults.md", *API.glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"\{include\} \S*generated/(\S+)", page.read_text())}
    beside = {f"wing-{wing}.md" for wing in BESIDE_THE_WINGS}
    full = {path.name for path in tmp_path.iterdir() if path.read_text().count("\n") > 2 or "wing" in path.name}
    assert shown == full - beside


def test_the_index_shows_every_public_name_and_where_it_lives():
    index = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \{py:\w+\}`(\w+) <svdlib\.([\w.]+)\.(\w+)>` \| \w", index, flags=re.MULTILINE)
    assert {name: home for name, home, _ in rows} == svdlib._HOMES
    assert all(name == target for name, _, target in rows) and "| `__version__` |" in index
    assert {*svdlib.__all__} == {name for name, _, _ in rows} | {"__version__"}


def test_the_index_leads_to_every_page_and_the_map_has_a_row_for_every_wing():
    index, guide = (ROOT / "book" / "api.md").read_text(), (ROOT / "CONTRIBUTING.md").read_text()
    assert {f"api/{page.stem}" for page in API.glob("*.md")} == set(re.findall(r"\{doc\}`[^<`]*<(api/\w+)>`", index))
    rows = set(re.findall(r"^\| `svdlib/(\w+)", guide, flags=re.MULTILINE))
    assert rows == {path.name for path in (ROOT / "svdlib").iterdir() if (path / "__init__.py").exists()}


def test_names_and_files_that_prose_mentions_are_there():
    inside = ROOT / "book" / "contributing.md"
    guides = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")]
    texts = {page: page.read_text(encoding="utf-8") for page in [*(ROOT / "book").glob("*.md"), *guides]}
    files = {page: re.findall(r"`((?:svdlib|tests|book)/[\w./]+)`", text) for page, text in texts.items()}
    assert len(files[inside]) > 20
    assert not [(page.name, path) for page, paths in files.items() for path in paths if not (ROOT / path).exists()]
    names = {name for text in texts.values() for name in re.findall(r"\bsvdlib(?:\.\w+)+", text)}
    assert "svdlib.inversion.objectives.Objective" in names
    for name in sorted(name for name in names if not name.endswith((".py", ".js"))):
        assert resolve_name(name) is not None
