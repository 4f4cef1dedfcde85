"""Binder and Colab: off until the repository has an address; then buttons fit the branch, and the branch runs alone."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from places import ROOT

import chapters
import launch

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
REPOSITORY = launch.Repository("someone", "a.book-1")


def with_address(url):
    return CONFIG | {"repository": {"url": url}}


def test_without_an_address_nothing_changes():
    for url in ("", " ", None):
        assert launch.read_repository(with_address(url)) is None
        assert launch.with_buttons(with_address(url)) == with_address(url)
    assert launch.read_repository({}) is None and launch.read_repository({"repository": None}) is None


@pytest.mark.parametrize("end", ["", "/", ".git"])
def test_an_address_is_read(end):
    assert launch.read_repository(with_address(f"https://github.com/someone/a.book-1{end}")) == REPOSITORY


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://github.com/a", "https://github.com/a/b/tree/main", "git@github.com:a/b"]
)
def test_another_address_is_refused_with_the_form_that_is_meant(url):
    with pytest.raises(launch.LaunchError, match=re.escape(url)) as error:
        launch.with_buttons(with_address(url))
    assert "https://github.com/OWNER/NAME" in str(error.value)


def test_buttons_of_the_theme_open_the_notebooks_of_the_branch(tmp_path):
    source = tmp_path / "source"
    (source / "notebooks").mkdir(parents=True)
    options = launch.with_buttons(with_address(REPOSITORY.url))["sphinx"]["config"]["html_theme_options"]
    assert CONFIG["sphinx"]["config"]["html_theme_options"].items() <= options.items()
    (source / "conf.py").write_text(
        "project = 'x'\nextensions = ['myst_nb']\nnb_execution_mode = 'off'\nhtml_theme = 'sphinx_book_theme'\n"
        f"html_theme_options = {options!r}\n"
    )
    (source / "index.md").write_text("# A book\n\n```{toctree}\nnotebooks/01_model\n```\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A chapter")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source / "notebooks" / "01_model.ipynb")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", str(source), str(tmp_path / "html")], check=True)
    page = (tmp_path / "html" / "notebooks" / "01_model.html").read_text(encoding="utf-8")
    links = set(re.findall(r'href="(https://(?:mybinder|colab)[^"]+)"', page))
    assert links == {
        "https://mybinder.org/v2/gh/someone/a.book-1/notebooks?urlpath=lab/tree/notebooks/01_model.ipynb",
        "https://colab.research.google.com/github/someone/a.book-1/blob/notebooks/notebooks/01_model.ipynb",
    }
    assert "mybinder" not in (tmp_path / "html" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branch")
    launch.write_launch_folder(folder, REPOSITORY, "0123abc")
    return folder


def test_the_branch_holds_every_notebook_without_outputs_and_what_they_need(branch):
    notebooks = {path.stem: nbformat.read(path, 4) for path in (branch / "notebooks").glob("*.ipynb")}
    assert set(notebooks) == {source.stem for source in chapters.chapter_sources()}
    requirement = "svdlib[notebooks] @ git+https://github.com/someone/a.book-1@0123abc"
    for notebook in notebooks.values():
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert json.dumps(requirement) in code[0].source and "parameters" in code[1].metadata["tags"]
        assert not any(cell.outputs for cell in code)
    environment = yaml.safe_load((branch / "environment.yml").read_text())
    assert environment["dependencies"][-1]["pip"] == [
        "-c constraints.txt",
        requirement.replace("[notebooks]", "[lab,notebooks]"),
    ]
    assert any(str(each).startswith("pytorch-cpu=") for each in environment["dependencies"])
    assert (branch / "constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()


def test_the_workflow_pushes_the_branch_that_the_buttons_open():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8"))["jobs"]
    script = jobs["launch"]["steps"][-1]["run"]
    assert f"git init --quiet --initial-branch={launch.BRANCH}" in script and script.rstrip().endswith(
        f" {launch.BRANCH}"
    )


def imported(source: str) -> set[str]:
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def test_notebooks_import_only_what_their_extra_brings():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {re.match(r"[\w.-]+", line)[0] for line in [*project["dependencies"], *extras["notebooks"]]}
    modules = {"scikit-learn": "sklearn"}
    brought = {modules.get(name, name) for name in wanted} | {"svdlib", "IPython"}  # ipykernel brings IPython
    used = set().union(*(imported(path.read_text(encoding="utf-8")) for path in chapters.chapter_sources()))
    assert {"torch", "pandas", "svdlib"} <= used <= brought
    assert set(extras["notebooks"]) <= set(extras["book"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package alone, as pip installs it from a wheel, in a folder of its own."""
    source, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "installed"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "svdlib", source / "svdlib", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--wheel-dir", str(wheels), str(source)], check=True)
    with zipfile.ZipFile(next(wheels.glob("svdlib-*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


def test_the_package_brings_all_its_files(installed):
    def files(folder):
        return {
            path.relative_to(folder).as_posix()
            for path in (folder / "svdlib").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files(installed) == files(ROOT)


ALL = [source.stem for source in chapters.chapter_sources()]
QUICK = "11_claims"


@pytest.mark.parametrize(
    "name", [QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in ALL if name != QUICK)]
)  # fmt: skip
def test_a_notebook_runs_from_the_package_alone_in_an_empty_folder(installed, branch, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    notebook = nbformat.read(branch / "notebooks" / f"{name}.ipynb", 4)
    notebook.cells.append(nbformat.v4.new_code_cell("import svdlib\nsvdlib.__file__"))
    kernels = tmp_path / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    empty = tmp_path / "empty"
    empty.mkdir()
    NotebookClient(notebook, kernel_name="python3", timeout=900, resources={"metadata": {"path": str(empty)}}).execute()
    assert str(installed) in notebook.cells[-1].outputs[0].data["text/plain"]
    assert not [path for path in empty.rglob("*") if path.suffix in (".py", ".ipynb")]
