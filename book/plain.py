"""Notebooks that open anywhere: what only MyST understands, in a notebook's text, becomes Markdown and HTML.

The pages are written in MyST: boxes, labels, links by name, citations. JupyterLab, Colab and GitHub show these as they
are written. Here a box becomes a disclosure box in HTML, a link by name a link to the file beside it, a citation the
authors and the year, and a list of what is cited follows at the end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
BIBLIOGRAPHY = ROOT / "book" / "references.bib"

ROLE = re.compile(r"\{(?P<role>[a-z]+(?::[a-z]+)?)\}`(?P<content>[^`]+)`")
NAMED = re.compile(r"^(?P<text>.+?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
LABEL = re.compile(r"^\((?P<label>[a-z0-9-]+)\)=$", re.MULTILINE)
BOX = re.compile(
    r"^(?P<fence>:::+|```+)\{(?P<kind>[a-z]+)\}[ ]*(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[a-z-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
LEFT_OVER = re.compile(r"^:::|^\([a-z0-9-]+\)=$|\{[a-z]+(?::[a-z]+)?\}`", re.MULTILINE)


class PlainError(Exception):
    """A text holds something that plain Markdown has no word for; the message says what."""


@dataclass(frozen=True)
class Book:
    """What links and citations lead to.

    Attributes:
        titles: of the pages, by their path from the root: "notebooks/01_model".
        labels: page and heading of what has a label.
    """

    titles: Mapping[str, str]
    labels: Mapping[str, tuple[str, str]]


@cache
def read_book() -> Book:
    """Read the titles and labels of all chapters and prose pages."""
    titles, labels = {}, {}
    for path in [*sorted((ROOT / "notebooks").glob("*.py")), *sorted((ROOT / "book").rglob("*.md"))]:
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        if path.suffix == ".py":
            cells = jupytext.read(path).cells
            text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        else:
            text = path.read_text(encoding="utf-8")
        if heading := re.search(r"^# (.+)$", text, re.MULTILINE):
            titles[name] = heading[1]
        for label in LABEL.finditer(text):
            following = re.match(r"\n+#+ (.+)", text[label.end() :])
            labels[label["label"]] = (name, following[1] if following else titles.get(name, name))
    return Book(titles, labels)


def make_plain(notebook: NotebookNode, name: str) -> NotebookNode:
    """Translate the text of a notebook.

    Args:
        notebook: is changed.
        name: of its file, without the ending, in the folder `notebooks`.

    Raises:
        PlainError: if it uses something of MyST that is not known here.
    """
    cited: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_text(cell.source, f"notebooks/{name}", cited)
    if cited:
        notebook.cells.append(nbformat.v4.new_markdown_cell(_references(cited)))
    return notebook


def plain_text(source: str, page: str, cited: list[str]) -> str:
    """Translate a text in MyST.

    Args:
        source: of one cell.
        page: where it stands, from the root: "notebooks/01_model".
        cited: keys of what is cited; those of this text are added.

    Raises:
        PlainError: if something of MyST is left.
    """
    text = source
    while BOX.search(text):
        text = BOX.sub(_box, text)
    text = LABEL.sub(lambda match: f'<a id="{match["label"]}"></a>\n', text)
    text = ROLE.sub(lambda match: _role(match, page, cited), text)
    if left := LEFT_OVER.search(re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)):
        raise PlainError(f"{page}: plain Markdown has no word for {text[left.start() :][:60]!r}.")
    return text


def _box(match: re.Match[str]) -> str:
    title, body = match["title"].strip(), match["body"].strip("\n")
    if match["kind"] == "dropdown" or "dropdown" in match["options"]:
        return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
    if match["kind"] in ("admonition", "note", "tip", "warning", "important", "hint"):
        quoted = "\n".join(f"> {line}".rstrip() for line in body.split("\n"))
        return f"> **{title or match['kind'].capitalize()}**\n>\n{quoted}"
    raise PlainError(f"Plain Markdown has no box like {{{match['kind']}}}.")


def _role(match: re.Match[str], page: str, cited: list[str]) -> str:
    named = NAMED.match(match["content"])
    text, target = (named["text"], named["target"]) if named else ("", match["content"])
    role = match["role"]
    if role == "doc":
        return _link_to_page(text, target, page)
    if role == "ref":
        return _link_to_label(text, target, page)
    if role == "term":
        return text or target
    if role.startswith("py:"):
        return f"`{text or (target[1:].rpartition('.')[2] if target.startswith('~') else target)}`"
    if role in ("cite", "cite:p", "cite:t"):
        keys = [key.strip() for key in target.split(",")]
        cited += [key for key in keys if key not in cited]
        names = [_author_and_year(key) for key in keys]
        if role == "cite:t":
            return ", ".join(f"{authors} ({year})" for authors, year in names)
        return f"({'; '.join(f'{authors}, {year}' for authors, year in names)})"
    raise PlainError(f"{page}: plain Markdown has no word for {match[0]!r}.")


def _link_to_page(text: str, target: str, page: str) -> str:
    path = _path_from(page, target)
    if path not in read_book().titles:
        raise PlainError(f"{page}: there is no page {target!r}.")
    shown = text or read_book().titles[path]
    folder, _, name = path.rpartition("/")
    # Prose pages are no notebooks; a copy that stands alone names them.
    return f"[{shown}]({name}.ipynb)" if folder == "notebooks" else f"*{shown}* (a page of the book)"


def _link_to_label(text: str, label: str, page: str) -> str:
    if label not in read_book().labels:
        raise PlainError(f"{page}: there is no label {label!r}.")
    path, heading = read_book().labels[label]
    place = "" if path == page else f"{path.rpartition('/')[2]}.ipynb"
    return f"[{text or heading}]({place}#{label})" if path.startswith("notebooks/") else f"*{text or heading}*"


def _path_from(page: str, target: str) -> str:
    parts = page.split("/")[:-1]
    for part in target.strip("/").split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


@cache
def _bibliography() -> Any:
    from pybtex.database import parse_file

    return parse_file(str(BIBLIOGRAPHY))


def _author_and_year(key: str) -> tuple[str, str]:
    try:
        entry = _bibliography().entries[key]
    except KeyError:
        raise PlainError(f"{BIBLIOGRAPHY.name} has no entry {key!r}.") from None
    names = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
    names = [re.sub(r"[{}]", "", _unicode(name)) for name in names]
    authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return authors, entry.fields["year"]


def _unicode(text: str) -> str:
    from pybtex.richtext import Text

    return str(Text.from_latex(text))


def _references(cited: Sequence[str]) -> str:
    """The list of what is cited, in Markdown."""
    from pybtex.backends.markdown import Backend
    from pybtex.style.formatting.unsrt import Style

    entries = Style().format_bibliography(_bibliography(), list(cited))
    lines = sorted(entry.text.render(Backend()) for entry in entries)
    return "\n".join(["## References", "", *(f"- {line}" for line in lines)])
