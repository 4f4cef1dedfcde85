"""The first page: the explorer on one excerpt, what a link to the book shows elsewhere, and the book as one file."""

import base64
import io
import json
import re
import zipfile
from html import escape
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from svdlib.pages.explorer import EMBEDDED, front_end

CHAPTER = "05_qualitative_analysis"
"""Whose explorer starts with the excerpt that the first page shows."""

STILL = ("original", "Conv5", "FC8")
"""What stands there until the explorer is loaded, and where scripts are off."""

ARCHIVE = "svdlib-book.zip"
SHARED_SIZE = (1200, 630)
"""What sites that show a preview of a link ask for."""

WHOLE_BOOK = re.compile(r'<p class="whole-book">(.*?</a>)(.*?)</p>', re.DOTALL)
SHARED = re.compile(r'<meta [^>]*(?:name|property)="(?:description|og:[a-z:]+|twitter:[a-z]+)"[^>]*>')


class FrontDoorError(Exception):
    """The first page cannot be made; the message says what is missing."""


def front_door_data(notebook: NotebookNode) -> dict[str, Any]:
    """What the first page's explorer shows: the excerpt that the chapter's explorer starts with, and no other.

    Args:
        notebook: the executed chapter.

    Raises:
        FrontDoorError: if the chapter shows no explorer of inversions.
    """
    texts = [
        output.get("data", {}).get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    for found in EMBEDDED.finditer("\n".join(texts)):
        data = json.loads(found[2])
        if data["compare"]:
            start = data["start"]
            return data | {"excerpts": [data["excerpts"][start]], "panels": [data["panels"][start]], "start": 0}
    raise FrontDoorError(f"{CHAPTER} shows no explorer of inversions. Run `make notebooks` again.")


def front_door_html(data: dict[str, Any]) -> str:
    """The explorer in its brief form, around pictures and players that need no script."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    still = "".join(_still(step, data["panels"][0][data["steps"].index(step)]) for step in STILL)
    return (
        f'<svdlib-explorer brief><script type="application/json">{text}</script>'
        f'<div class="front-still">{still}</div></svdlib-explorer>\n<script>{front_end()}</script>\n'
    )


def _still(step: str, panel: dict[str, Any]) -> str:
    return (
        f'<figure><figcaption>{escape(step)}</figcaption><img alt="{escape(panel["words"])}" '
        f'src="data:image/png;base64,{panel["picture"]}"><audio controls preload="metadata" '
        f'aria-label="{escape(step)}" src="data:audio/mpeg;base64,{panel["sound"]}"></audio></figure>'
    )


def share_picture(data: dict[str, Any]) -> bytes:
    """The original and FC8's inversion side by side, as a PNG: what a link to the book shows elsewhere."""
    from PIL import Image

    width, height = SHARED_SIZE
    sheet = Image.new("RGB", SHARED_SIZE, "#121212")
    for place, step in enumerate((STILL[0], STILL[-1])):
        drawn = Image.open(io.BytesIO(base64.b64decode(data["panels"][0][data["steps"].index(step)]["picture"])))
        size = (width // 2 - 40, height - 120)
        sheet.paste(drawn.convert("RGB").resize(size, Image.Resampling.NEAREST), (width // 2 * place + 20, 60))
    file = io.BytesIO()
    sheet.quantize(128).save(file, format="png", optimize=True)
    return file.getvalue()


def write_front_door(notebook: NotebookNode, generated: Path, assets: Path) -> None:
    """Write what the first page includes and the picture for links to it.

    Args:
        notebook: the executed chapter.
        generated: folder of generated parts of pages.
        assets: folder of the book's own static files.

    Raises:
        FrontDoorError: if the chapter shows no explorer of inversions.
    """
    data = front_door_data(notebook)
    (generated / "front_door.html").write_text(front_door_html(data), encoding="utf-8")
    (assets / "share.png").write_bytes(share_picture(data))


def share_from_the_root(html: Path, address: str) -> None:
    """Give the root page, which only leads on, the description that links to it show elsewhere.

    Args:
        html: the folder of the finished pages; `index.html` and `book/intro.html` are changed.
        address: where the book will stand, such as "https://example.org/svdlib/"; previews need the picture's whole
            address. Empty where it is not known.
    """
    intro, index = html / "book" / "intro.html", html / "index.html"
    page = intro.read_text(encoding="utf-8")
    if address:
        page = page.replace('content="../_static/share.png"', f'content="{address.rstrip("/")}/_static/share.png"')
        intro.write_text(page, encoding="utf-8")
    shared = "\n".join(SHARED.findall(page)).replace('content="../', 'content="')
    lead = index.read_text(encoding="utf-8")
    if shared not in lead:
        head = f'{lead}<meta charset="utf-8"><title>Opening up a singing-voice detector</title>\n{shared}'
        index.write_text(f'<!doctype html><html lang="en"><head>{head}</head></html>\n', encoding="utf-8")


def pack_book(html: Path) -> Path:
    """Write the whole book as one zip file, for reading without a network, and name its size on the first page.

    The same pages give the same bytes. In the copy, the first page does not offer the zip.

    Args:
        html: the folder of the finished pages.

    Returns:
        The file, in that folder.
    """
    archive, intro = html / ARCHIVE, html / "book" / "intro.html"
    archive.unlink(missing_ok=True)
    page = intro.read_text(encoding="utf-8")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for path in sorted(html.rglob("*")):
            if path.is_dir() or path == archive:
                continue
            content = path.read_bytes()
            if path == intro:
                content = WHOLE_BOOK.sub("", page).encode()
            entry = zipfile.ZipInfo(f"svdlib-book/{path.relative_to(html).as_posix()}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, content)
    size = f"{archive.stat().st_size / 1e6:.0f} MB"
    intro.write_text(WHOLE_BOOK.sub(rf'<p class="whole-book">\1 ({size})\2</p>', page), encoding="utf-8")
    return archive
