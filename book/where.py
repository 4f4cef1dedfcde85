"""How the repository comes to the reader of the pages, and what its installation takes, as measured.

With an address in `_config.yml` the pages name it. Without one, the sources of the book come with it, as a zip.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch import read_repository

ROOT = Path(__file__).resolve().parent.parent
STAMP = ROOT / ".venv" / "installed"
"""Where the Makefile writes how many seconds its installation took."""

SOURCES = "svdlib-source.zip"


def where_text(config: Mapping[str, Any]) -> str:
    """How to get a copy of the repository, in Markdown for a page in the folder `book`.

    Args:
        config: the book's configuration.
    """
    repository = read_repository(dict(config))
    if repository:
        return f"The repository lies at <{repository.url}>:\n\n```bash\ngit clone {repository.url}\n```\n"
    return (
        f'The repository has no public address yet. It comes with this book instead: <a href="../{SOURCES}" download>'
        "its sources as a zip</a>, as they were when the book was built. Unpack it, and work in its folder.\n"
    )


NOT_SOURCE = {".venv", "_build", "build", "dist", "runs", "node_modules", "__pycache__"}
"""Folders of what was built or installed."""


def pack_sources(target: Path) -> None:
    """Write the repository as a zip: its last commit, or, in a copy without git, the files that are there."""
    command = ["git", "archive", "--format=zip", "--prefix=svdlib/", f"--output={target}", "HEAD"]
    if (ROOT / ".git").exists():
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(ROOT.rglob("*")):
            inside = path.relative_to(ROOT)
            if path.is_file() and not NOT_SOURCE & set(inside.parts) and ".egg-info" not in str(inside):
                archive.write(path, Path("svdlib") / inside)


def installation_text(folder: Path = Path(sys.prefix), stamp: Path = STAMP) -> str:
    """What the installation took that built this copy, in a sentence.

    Args:
        folder: the virtual environment.
        stamp: a file with the seconds of its installation; empty or missing where they were not measured.
    """
    of_all, of_torch = _bytes_under(folder), 0
    for name in ("torch", "nvidia", "triton"):
        of_torch += sum(_bytes_under(found) for found in folder.glob(f"lib/python*/site-packages/{name}"))
    text = f"In the environment that built this copy, all packages together take {_gigabytes(of_all)}, "
    text += f"of which torch is {_gigabytes(of_torch)}."
    seconds = stamp.read_text(encoding="utf-8").strip() if stamp.exists() else ""
    if seconds.isdigit():
        text += f" Installing them took {max(1, round(int(seconds) / 60))} min."
    return text + "\n"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _bytes_under(folder: Path) -> int:
    """Bytes of all files in a folder, each counted once however many names it has."""
    sizes: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(place, name))
            sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())
