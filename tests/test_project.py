"""The files around the library: packaging, continuous integration, and the pages and scripts of the book."""

import ast
import asyncio
import base64
import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata, requires
from pathlib import Path

import numpy as np
import pytest
import yaml
from packaging.specifiers import SpecifierSet
from places import ROOT

import execute
from chapters import chapter_sources
from svdlib.audio.files import encode_mp3
from svdlib.audio.mel_axis import SAMPLE_RATE


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def build():
    """The script book/build.py as a module."""
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package_name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")


def constrained() -> dict[str, str]:
    lines = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines), "one exact version a line"
    return {package_name(line): line.split("==")[1] for line in lines}


def test_every_dependency_has_a_tested_version():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    missing = {package_name(requirement) for requirement in wanted} - set(constrained())
    assert not missing


def test_constraints_are_what_the_tests_run_with():
    import torch

    # Compared without the build's suffix, as in 2.4.0+cpu.
    assert torch.__version__.split("+")[0] == constrained()["torch"]


def wanted_by() -> dict[str, set[str]]:
    """Who wants each direct dependency: "always", or the names of extras."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    groups = {"always": project["dependencies"]} | project["optional-dependencies"]
    pairs = [(package_name(line), group) for group, lines in groups.items() for line in lines]
    return {name: {group for other, group in pairs if other == name} for name, _ in pairs}


def licence_rows() -> dict[str, tuple[set[str], str, str]]:
    """The table of CONTRIBUTING.md: per package who wants it, what for and its licence."""
    section = read("CONTRIBUTING.md").split("### Their licences")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert rows[0] == ["Package", "Wanted", "What for", "Licence"] and len({row[0] for row in rows}) == len(rows)
    return {name: (set(wanted.split(", ")), purpose, licence) for name, wanted, purpose, licence in rows[2:]}


FAMILIES = {
    "BSD License": "BSD-",
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "Matplotlib licence, after that of Python",
}


def says(package: PackageMetadata, licence: str) -> bool:
    """Whether metadata state this licence: in an expression, else a short text, else the family of a classifier."""
    text = re.sub(r"BSD (\d)-Clause License", r"BSD-\1-Clause", package["License"] or "")
    exact = len(text.splitlines()) == 1 and not re.search(r"Copyright|License agreement|^BSD$", text)
    stated = package["License-Expression"] or (text if exact else "")
    if stated:
        return stated == licence
    classes = [entry.rpartition(":: ")[2] for entry in package.get_all("Classifier") or [] if "License ::" in entry]
    return bool(classes) and all(licence.startswith(FAMILIES[name]) for name in classes)


def is_copyleft(package: PackageMetadata) -> bool:
    short = [package["License-Expression"] or "", (package["License"] or "").partition("\n")[0]]
    lines = short + [entry for entry in package.get_all("Classifier") or [] if "License ::" in entry]
    return bool(re.search(r"GPL|General Public License", " ".join(lines)))


def installed(name: str) -> PackageMetadata | None:
    try:
        return metadata(name)
    except PackageNotFoundError:
        return None


def installed_for_running() -> set[str]:
    """All packages that an installation of svdlib without extras brings, direct or not."""
    waiting, found = [name for name, groups in wanted_by().items() if "always" in groups], set()
    while waiting:
        name = waiting.pop()
        if name not in found and installed(name):
            found.add(name)
            waiting += [package_name(line) for line in requires(name) or [] if "extra ==" not in line]
    return found


def test_the_tested_versions_run_on_every_python_that_is_promised():
    lowest = re.fullmatch(r">=(3\.\d+)", tomllib.loads(read("pyproject.toml"))["project"]["requires-python"])[1] + ".0"
    pins = re.findall(r"^([\w.-]+)==([\w.!+-]+)", read("constraints.txt"), re.MULTILINE)
    found = {name: package for name, pin in pins if (package := installed(name)) and package["Version"] == pin}
    assert len(found) > 100
    wants = {name: package["Requires-Python"] or "" for name, package in found.items()}
    assert {name: wanted for name, wanted in wants.items() if lowest not in SpecifierSet(wanted)} == {}


def test_every_dependency_has_its_row_of_licences():
    rows = licence_rows()
    assert {name: wanted for name, (wanted, _, _) in rows.items()} == wanted_by()
    assert all(purpose and licence for _, purpose, licence in rows.values())


def test_licences_in_the_table_are_those_that_the_packages_state():
    found = {name: installed(name) for name in licence_rows()}
    wrong = [name for name, (_, _, licence) in licence_rows().items() if found[name] and not says(found[name], licence)]
    assert not wrong
    # An installation for tests has at least what runs and what tests.
    assert all(found[name] for name, groups in wanted_by().items() if groups & {"always", "test"})


def test_no_package_that_everybody_needs_is_copyleft():
    always = {name for name, groups in wanted_by().items() if "always" in groups}
    assert not [name for name in always if is_copyleft(installed(name)) or "GPL" in licence_rows()[name][2]]
    below = {name for name in installed_for_running() - always if is_copyleft(installed(name))}
    assert below == {name for name in below if f"`{name}`" in read("CONTRIBUTING.md")} and "soxr" in below


@pytest.mark.parametrize(
    ("lines", "licence", "right", "copyleft"),
    [
        ("License-Expression: MIT", "MIT", True, False),
        ("License-Expression: MIT", "BSD-3-Clause", False, False),
        ("License-Expression: LGPL-2.1-or-later", "LGPL-2.1-or-later", True, True),
        ("License: BSD 3-Clause License", "BSD-2-Clause", False, False),
        ("License: BSD 2-Clause License", "BSD-2-Clause", True, False),
        ("Classifier: License :: OSI Approved :: BSD License", "BSD-3-Clause", True, False),
        ("Classifier: License :: OSI Approved :: BSD License", "MIT", False, False),
        ("License: GPLv3", "GPLv3", True, True),
        ("Name: nothing", "MIT", False, False),
    ],
)
def test_a_licence_is_read_from_metadata(lines, licence, right, copyleft):
    from email import message_from_string

    package = message_from_string(lines + "\n\n")
    assert (says(package, licence), is_copyleft(package)) == (right, copyleft)


def test_version_is_the_same_everywhere():
    import svdlib

    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert svdlib.__version__ == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version


def test_citation_names_the_paper():
    paper = yaml.safe_load(read("CITATION.cff"))["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Mishra", "Sturm", "Dixon"]
    assert paper["year"] == 2018


def test_environment_installs_under_the_constraints():
    pip = yaml.safe_load(read("environment.yml"))["dependencies"][-1]["pip"]
    assert pip[0] == "-c constraints.txt"
    assert pip[1].startswith("-e .[book")


def test_condas_torch_is_the_version_that_pip_wants_so_that_pip_leaves_it_alone():
    wanted = re.search(r"^torch==(.+)$", read("constraints.txt"), re.MULTILINE)[1]
    assert f"pytorch-cpu={wanted}" in yaml.safe_load(read("environment.yml"))["dependencies"]


OWN_FOLDER = 'folder:Anna\'s songs, "live" $x'


@pytest.mark.parametrize(
    ("target", "variable"),
    [("book", "CORPUS"), ("gpu-data", "CORPUS"), ("gpu", "CORPUS"), ("reproduce", "CORPUS"), ("reproduce", "SECOND"),
     ("claims", "REAL")],
)  # fmt: skip
def test_the_makefile_hands_on_a_folder_of_any_name(target, variable):
    command = ["make", "-n", "-o", ".venv/installed", "-o", "runs/gpu/log-mels.npz", target, f"{variable}={OWN_FOLDER}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert OWN_FOLDER in shlex.split(shown)


def test_commands_in_prose_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    prose = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / ".ci" / "run", *(ROOT / "book").rglob("*.md")]
    commands = re.compile(r"(?:^|`)make ([a-z-]+)", flags=re.MULTILINE)
    used = {match for path in prose for match in commands.findall(path.read_text(encoding="utf-8"))}
    assert {"test", "book"} <= used <= targets


def test_continuous_integration_runs_the_readme_commands_before_the_notebooks():
    steps = re.findall(r"^make ([a-z-]+)", read(".ci/run"), flags=re.MULTILINE)
    assert steps[:2] == ["test", "test-bench"]
    assert steps.index("notebooks") < steps.index("html") and steps.index("notebooks") < steps.index("nbval")


def test_every_page_in_the_contents_exists():
    contents = yaml.safe_load(read("_toc.yml"))
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    chapters += [section for chapter in chapters for section in chapter.get("sections", [])]
    pages = [contents["root"], *(chapter["file"] for chapter in chapters)]
    assert {path.stem for path in (ROOT / "book" / "api").glob("*.md")} <= {Path(page).name for page in pages}
    missing = [page for page in pages if not any((ROOT / f"{page}{suffix}").exists() for suffix in (".md", ".py"))]
    assert not missing


def test_every_citation_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{([^,]+),", read("book/references.bib"), flags=re.MULTILINE))
    sources = [*(ROOT / "book").rglob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    cited = [
        key.strip()
        for source in sources
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", source.read_text(encoding="utf-8"))
        for key in keys.split(",")
    ]
    assert cited and set(cited) <= known


def test_browser_packages_are_locked_without_addresses():
    wanted = json.loads(read("book/web/package.json"))["dependencies"]
    locked = json.loads(read("book/web/package-lock.json"))["packages"]
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in package for path, package in locked.items() if path)
    assert not any("resolved" in package for package in locked.values())


def test_folder_corpus_is_resolved_before_the_notebooks_change_folder(build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build.absolute_corpus("folder:my songs") == f"folder:{tmp_path / 'my songs'}"
    assert build.absolute_corpus("folder:../x") == f"folder:{tmp_path.parent / 'x'}"
    assert build.absolute_corpus("synthetic:songs=6") == "synthetic:songs=6"


def notebook(*sources: str):
    import nbformat

    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]}) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def test_parameters_cell_is_read_and_checked():
    good = 'profile = "demo"\ncorpus = "synthetic"\ndevice = "cpu"\nseed = 0  # any whole number'
    assert execute.notebook_defaults(notebook(good), "x.py") == {
        "profile": "demo", "corpus": "synthetic", "device": "cpu", "seed": 0,
    }  # fmt: skip
    for sources, complaint in (
        ((), "exactly one cell"),
        ((good, good), "exactly one cell"),
        (("seed = 0",), "lacks profile, corpus, device"),
        (("seed = int(0)",), "may only hold"),
    ):
        with pytest.raises(execute.NotebookError, match=complaint) as error:
            execute.notebook_defaults(notebook(*sources), "x.py")
        assert "x.py" in str(error.value)


def test_songs_that_no_notebook_could_use_are_refused_before_the_first_one_runs(
    build, song_folder, song_file, monkeypatch, capsys
):
    monkeypatch.setattr(build, "execute_notebooks", lambda *_: pytest.fail("a notebook was run"))

    def refusal():
        assert build.main(["notebooks", "--corpus", f"folder:{folder}"]) == 1
        message = capsys.readouterr().err
        assert message.splitlines()[-1].startswith("error: ") and "Traceback" not in message
        return message.splitlines()[-1]

    folder = song_folder(2)
    assert "2 of the 3 songs needed" in refusal()
    (folder / "splits.csv").write_text("file,split\nsong0.flac,train\nsong1.flac,test\n")
    assert "the split 'valid' has no song" in refusal()
    (folder / "splits.csv").unlink()
    song_file(folder / "audio" / "song2.flac", samples=[0.0] * 90_000)
    (folder / "labels" / "song2.lab").write_text("1 2 sing\n")
    assert "song2.flac: digital silence throughout" in refusal()
    folder = folder / "nowhere"
    assert "there is no such folder" in refusal()


def test_failing_cell_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "BUILD", tmp_path)
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    source = tmp_path / "07_broken.py"
    source.write_text(
        '# %% tags=["parameters"]\nprofile, corpus, device, seed = "demo", "synthetic", "cpu", 0\n', encoding="utf-8"
    )
    values = {"profile": "demo", "corpus": "synthetic", "device": "cpu", "seed": 0}
    with pytest.raises(execute.NotebookError, match="07_broken.py: the parameters cell"):
        execute.execute_notebook(source, values, timeout=60)
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    source.write_text('# %% tags=["parameters"]\n' + "\n".join(lines) + "\n\n# %%\n1 / 0\n", encoding="utf-8")
    execute.use_own_kernel()
    with pytest.raises(execute.NotebookError, match=r"07_broken.py: cell 2 .*(?s:.*)ZeroDivisionError"):
        execute.execute_notebook(source, values, timeout=60)
    assert not (tmp_path / "07_broken.ipynb").exists()


@pytest.mark.slow
def test_outputs_that_come_late_on_a_busy_machine_are_waited_for(tmp_path, monkeypatch):
    from nbclient import NotebookClient

    poll = NotebookClient._async_poll_output_msg

    async def late(self, *arguments):
        await asyncio.sleep(6)
        return await poll(self, *arguments)

    monkeypatch.setattr(NotebookClient, "_async_poll_output_msg", late)
    monkeypatch.setattr(execute, "check_verdicts", lambda name, notebook: None)  # there is no exercise
    for name in ("BUILD", "NOTEBOOKS", "FIGURES"):
        monkeypatch.setattr(execute, name, tmp_path)
    values = {"profile": "demo", "corpus": "synthetic", "device": "cpu", "seed": 0}
    lines = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    source = tmp_path / "07_late.py"
    source.write_text(f'# %% tags=["parameters"]\n{lines}\n\n# %%\nprint("late")\n', encoding="utf-8")
    execute.use_own_kernel()
    execute.execute_notebook(source, values, timeout=60)
    assert "late\\n" in (tmp_path / "07_late.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "requests"),
    [
        ('<a href="https://example.org">a link to click</a>', []),
        ('<script src="../_static/web/require.js"></script><img src="data:image/png;base64,AAAA">', []),
        ('<link rel="canonical" href="https://example.org/book">', []),
        ('<script src="https://example.org/a.js"></script>', ["https://example.org/a.js"]),
        ('<link rel="preload stylesheet" href="//example.org/a.css">', ["//example.org/a.css"]),
        ('<audio><source src="http://example.org/a.mp3"></audio>', ["http://example.org/a.mp3"]),
    ],
)
def test_requests_that_leave_the_book_are_found(build, page, requests):
    assert build.external_requests(page) == requests


def test_pages_keep_text_and_give_away_what_is_heavy(build, tmp_path, monkeypatch):
    sound, picture = b"sound" * 500, b"picture" * 500
    encoded = [base64.b64encode(content).decode() for content in (sound, picture)]
    player = f'<audio controls preload="metadata" src="data:audio/mpeg;base64,{encoded[0]}"></audio>'
    explorer = '<svdlib-explorer><script type="application/json">{"a":1}</script></svdlib-explorer>'
    small = '<img loading="eager" src="data:image/png;base64,AAAA">'
    page = (
        f'<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>{player}{small}{explorer}'
        f'<img alt="a > b" src="data:image/png;base64,{encoded[1]}">'
    )
    (tmp_path / "_static").mkdir()
    (tmp_path / "notebooks").mkdir()
    for name in ("index.html", "notebooks/a.html"):
        (tmp_path / name).write_text(page, encoding="utf-8")
    monkeypatch.setattr(build, "HTML", tmp_path)
    build.finish_pages()
    for name, up in (("index.html", ""), ("notebooks/a.html", "../")):
        light = (tmp_path / name).read_text(encoding="utf-8")
        shape = re.fullmatch(
            rf'<audio controls preload="none" src="({up}_static/media/\w+\.mp3)"></audio>{re.escape(small)}'
            rf'<svdlib-explorer source="({up}_static/media/\w+\.js)"></svdlib-explorer>'
            rf'<img loading="lazy" alt="a > b" src="({up}_static/media/\w+\.png)">',
            light,
        )
        files = [((tmp_path / name).parent / address).read_bytes() for address in shape.groups()]
        assert files[0] == sound and files[2] == picture and b'{"a":1}' in files[1]


def test_players_name_their_length_and_a_name_is_declared_once(build, tmp_path, monkeypatch):
    sound = base64.b64encode(encode_mp3(np.sin(np.arange(SAMPLE_RATE * 2) / 9))).decode()
    declared = '<script>const THEBE_JS_URL = "a"; const b = "c"</script>'
    player = f'<audio controls preload="metadata" src="data:audio/mpeg;base64,{sound}"></audio>'
    (tmp_path / "_static").mkdir()
    (tmp_path / "index.html").write_text(f"{declared}<p>Text.</p>{declared}{player}<p>More.</p>", encoding="utf-8")
    monkeypatch.setattr(build, "HTML", tmp_path)
    build.finish_pages()
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.startswith(f"<p>Text.</p>{declared}<audio ")
    length = re.search(r'</audio><span class="svdlib-length">([\d.]+) s</span><p>More.</p>', page)[1]
    assert float(length) == pytest.approx(2, abs=0.2)


def test_an_empty_book_does_not_pass_as_self_contained(build, tmp_path):
    with pytest.raises(build.BuildError, match="no page"):
        build.check_self_contained(tmp_path)


def test_notebook_sources_have_the_four_parameters_and_no_outputs():
    import jupytext

    sources = chapter_sources()
    assert sources
    for source in sources:
        ast.parse(source.read_text(encoding="utf-8"))
        defaults = execute.notebook_defaults(jupytext.read(source), source.name)
        assert defaults["profile"] == "demo" and defaults["corpus"] == "synthetic"
    assert not [path for path in (ROOT / "notebooks").glob("*.ipynb")]


def test_every_test_that_the_table_of_faults_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("book/faults.md"))
    assert len(named) > 20
    assert not [f"{path}::{test}" for path, test in named if f"def {test}(" not in read(path)]
