"""Notebooks that start elsewhere: on Binder and on Colab, by buttons on each page, once the repository has an address.

    python book/launch.py        # writes _build/launch, which the workflow pushes as the branch `notebooks`

Sources of notebooks are no `.ipynb` files, and Colab opens nothing else. So there is a branch that holds the notebooks,
without outputs, and the list of what they need: svdlib at the revision they belong to. The address stands in one place,
`repository: url:` in `_config.yml`. As long as it is empty, there are no buttons and no branch.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from nbformat import NotebookNode

from chapters import KERNEL, chapter_sources, tags_of
from plain import make_plain

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "_build" / "launch"
BRANCH = "notebooks"
"""What the workflow pushes and the buttons open."""

BINDER = "https://mybinder.org"
COLAB = "https://colab.research.google.com"

SET_UP = """\
# Where svdlib is missing, as on Colab, this installs it at the revision that this notebook belongs to.
import importlib.util
import sys

if importlib.util.find_spec("svdlib") is None:
    %pip install --quiet {requirement}
if "google.colab" in sys.modules:
    from google.colab import output

    output.enable_custom_widget_manager()"""

README = """\
# Notebooks of {url}

Made from revision `{revision}` for Binder and Colab, and made anew with each one.
Changes belong into the sources, in `notebooks/` of the main branch.
"""


class LaunchError(Exception):
    """The address of the repository cannot be used; the message says which forms can."""


@dataclass(frozen=True)
class Repository:
    """Where the book's repository lies: on GitHub, as Colab knows no other place."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://github.com/{self.owner}/{self.name}"

    def requirement(self, revision: str, extras: str = "notebooks") -> str:
        """What pip is asked for: svdlib at a revision, with what the notebooks import."""
        return f"svdlib[{extras}] @ git+{self.url}@{revision}"


def read_repository(config: dict[str, Any]) -> Repository | None:
    """Find the repository in the book's configuration; None if there is no address yet.

    Raises:
        LaunchError: if the address is not that of a repository on GitHub.
    """
    url = str((config.get("repository") or {}).get("url") or "").strip()
    if not url:
        return None
    match = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", url)
    if not match:
        raise LaunchError(
            f"_config.yml, repository: url: {url!r} is not an address like https://github.com/OWNER/NAME. "
            "Leave it empty to have no launch buttons."
        )
    return Repository(match[1], match[2])


def with_buttons(config: dict[str, Any]) -> dict[str, Any]:
    """Add the theme's options for launch buttons to a configuration, if it names a repository.

    Raises:
        LaunchError: if the address is not that of a repository on GitHub.
    """
    repository = read_repository(config)
    if repository is None:
        return config
    options = {
        "repository_url": repository.url,
        "repository_branch": BRANCH,
        "use_source_button": False,
        "launch_buttons": {"binderhub_url": BINDER, "colab_url": COLAB, "notebook_interface": "jupyterlab"},
    }
    changed = json.loads(json.dumps(config))
    changed["sphinx"]["config"].setdefault("html_theme_options", {}).update(options)
    return changed


def for_launch(notebook: NotebookNode, requirement: str) -> NotebookNode:
    """Let a notebook bring what it needs: its first cell of code installs it where it is missing."""
    first = next(place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    set_up = nbformat.v4.new_code_cell(
        SET_UP.format(requirement=json.dumps(requirement)), metadata={"tags": ["set-up"]}
    )
    for cell in notebook.cells:
        if tags_of(cell) & {"check", "solution"}:
            cell.metadata["cellView"] = "form"  # so Colab folds it
    cells = [*notebook.cells[:first], set_up, *notebook.cells[first:]]
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def write_launch_folder(folder: Path, repository: Repository, revision: str) -> None:
    """Write the content of the branch: notebooks, and what Binder installs for them.

    Args:
        folder: is made anew.
        repository: from where svdlib is installed.
        revision: which one, a commit.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "notebooks").mkdir(parents=True)
    requirement, for_binder = repository.requirement(revision), repository.requirement(revision, "lab,notebooks")
    for source in chapter_sources():
        notebook = for_launch(make_plain(jupytext.read(source), source.stem), requirement)
        nbformat.write(notebook, folder / "notebooks" / f"{source.stem}.ipynb")
    shutil.copyfile(ROOT / "constraints.txt", folder / "constraints.txt")
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    # As in the repository, torch comes from conda, in its build without CUDA.
    environment["dependencies"][-1]["pip"] = ["-c constraints.txt", for_binder]
    (folder / "environment.yml").write_text(yaml.safe_dump(environment, sort_keys=False), encoding="utf-8")
    (folder / "README.md").write_text(README.format(url=repository.url, revision=revision), encoding="utf-8")


def main() -> int:
    """Write the branch's content if the repository has an address; return the exit code."""
    try:
        repository = read_repository(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")))
    except LaunchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if repository is None:
        shutil.rmtree(LAUNCH, ignore_errors=True)
        print("Nothing to write: _config.yml holds no address of a repository yet (repository: url:).")
        return 0
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    write_launch_folder(LAUNCH, repository, head.stdout.strip())
    print(f"The notebooks for Binder and Colab: {LAUNCH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
