"""What the teacher's pages list, generated from the executed chapters: minutes, exercises, and figures as files."""

import base64
import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from html import escape, unescape
from pathlib import Path

from nbformat import NotebookNode

from chapters import Chapter, ChapterError, Figure, tags_of
from slides import SLIDES_TYPE

SMALLEST_LETTER = 9
"""CSS pixels that the letters of a figure have at least, on a phone 390 pixels wide."""

NARROW = "(max-width: 600px)"
"""Where the drawing for phones is shown."""


def take_slides(name: str, notebook: NotebookNode) -> dict[str, bytes]:
    """Take the figures' forms for slides out of an executed notebook.

    Args:
        name: of the notebook's file, without the ending.
        notebook: is changed.

    Returns:
        The content of each file: `04-nre.svg`, `04-nre.png`, and `04-nre-phone.png` where phones get another drawing.

    Raises:
        ChapterError: if letters of a figure cannot be read on a phone.
    """
    files: dict[str, bytes] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            drawn = output.get("data", {}).pop(SLIDES_TYPE, None)
            if drawn and (figure := cell.metadata.get("figure")):
                if drawn["smallest_letter"] < SMALLEST_LETTER:
                    raise ChapterError(
                        f"{name}: letters of the figure {figure!r} are {drawn['smallest_letter']:.1f} pixels high on a "
                        f"phone; {SMALLEST_LETTER} is the least. Draw it under `two_layouts`, with larger letters."
                    )
                stem = file_stem(name, figure)
                files[f"{stem}.svg"] = drawn["svg"].encode()
                files[f"{stem}.png"] = base64.b64decode(drawn["png"])
                if drawn["phone"]:
                    files[f"{stem}-phone.png"] = base64.b64decode(drawn["phone"])
    return files


def file_stem(chapter: str, figure: str) -> str:
    """Name the files of a figure: "04-nre" for the figure "nre" of "04_quantitative_nre"."""
    return f"{chapter[:2]}-{figure}"


def minutes_text(chapters: Sequence[Chapter]) -> str:
    """A table of the minutes of each chapter, in Markdown."""
    rows = [
        f"| {{doc}}`../notebooks/{chapter.name}` | {chapter.reading} min | {chapter.n_questions} | "
        f"{len(chapter.exercises)}, {chapter.exercise_minutes}\u00a0min | {_duration(chapter.seconds)} |"
        for chapter in chapters
    ]
    return "\n".join(["| Chapter | To read | Questions | Exercises | To run |", "|---|---|---|---|---|", *rows, ""])


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not run"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def exercises_text(chapters: Sequence[Chapter]) -> str:
    """A table of all exercises with links, in Markdown."""
    rows = [
        f"| {{ref}}`{exercise.title} <{exercise.label}>` | {chapter.name[:2]} | {exercise.difficulty} | "
        f"{exercise.minutes} min |"
        for chapter in chapters
        for exercise in chapter.exercises
    ]
    return "\n".join(["| Exercise | Chapter | Difficulty | Time |", "|---|---|---|---|", *rows, ""])


def figures_text(chapters: Sequence[Chapter]) -> str:
    """All figures but those of solutions, small, each with its description and its links, in Markdown."""
    parts = []
    for chapter in chapters:
        shown = [figure for figure in _shown(chapter) if "solution" not in tags_of(figure.cell)]
        cards = [_card(chapter, figure) for figure in shown]
        parts += [f"## {chapter.title}", f'<div class="figure-files">\n{"".join(cards)}</div>']
    return "\n\n".join(parts) + "\n"


def _shown(chapter: Chapter) -> list[Figure]:
    """The figures of a chapter, but for those where a sentence says why these songs give nothing to draw."""
    return [figure for figure in chapter.figures if _pictures(figure) or not _says_why(figure)]


def _pictures(figure: Figure) -> list[str]:
    return [output.data["image/png"] for output in figure.cell.outputs if "image/png" in output.get("data", {})]


def _says_why(figure: Figure) -> bool:
    return any(output.get("data", {}).get("text/markdown", "").endswith(".") for output in figure.cell.outputs)


def _card(chapter: Chapter, figure: Figure) -> str:
    files = f"../_static/figures/{file_stem(chapter.name, figure.name)}"
    place = f"../notebooks/{chapter.name}.html#{anchor(figure)}"
    shown = f"figure {figure.name} of {chapter.title}"
    return (
        f'<figure><a href="{place}"><img src="../_images/{_picture(chapter, figure)}" alt="Go to {escape(shown)}"></a>'
        f"<figcaption>{escape(figure.description)}<br>"
        f'<a href="{files}.svg" download aria-label="SVG of {escape(shown)}">SVG</a> '
        f'<a href="{files}.png" download aria-label="PNG of {escape(shown)}">PNG</a></figcaption></figure>\n'
    )


def _picture(chapter: Chapter, figure: Figure) -> str:
    """Name the file that the page shows, as MyST-NB does.

    Raises:
        ChapterError: if the cell shows no picture, or several.
    """
    pictures = _pictures(figure)
    if len(pictures) != 1:
        raise ChapterError(
            f"{chapter.name}: the figure {figure.name!r} shows {len(pictures)} pictures; it must show one."
        )
    return f"{sha256(base64.b64decode(pictures[0])).hexdigest()}.png"


def anchor(figure: Figure) -> str:
    """Name the place of a figure in its page."""
    return f"figure-{figure.name}"


def mark_figures(page: str, chapter: Chapter, files: Collection[str]) -> str:
    """Give each figure of a rendered chapter the place where links lead, let a click open it large, and serve phones.

    A figure that a sentence stands for, since these songs give nothing to draw, has neither.

    Args:
        page: HTML of the chapter.
        chapter: which one it is.
        files: names of those of all figures; a figure with one for phones shows it there.

    Raises:
        ChapterError: if a figure is not there.
    """
    figures = {figure.description: figure for figure in _shown(chapter)}

    def marked(match: re.Match[str]) -> str:
        figure = figures.pop(unescape(match[1]), None)
        if figure is None:
            return match[0]
        stem, shown = file_stem(chapter.name, figure.name), match[0]
        if f"{stem}-phone.png" in files:
            source = f'<source media="{NARROW}" srcset="../_static/figures/{stem}-phone.png">'
            shown = f"<picture>{source}{shown}</picture>"
        return f'<a class="figure-large" id="{anchor(figure)}" href="../_static/figures/{stem}.svg">{shown}</a>'

    page = re.sub(r'<img [^>]*?alt="([^"]*)"[^>]*>', marked, page)
    if figures:
        raise ChapterError(f"{chapter.name}: its page does not show {', '.join(map(anchor, figures.values()))}.")
    return page


def write_generated(chapters: Sequence[Chapter], folder: Path) -> None:
    """Write what the teacher's pages include into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("minutes", minutes_text), ("exercises", exercises_text), ("figures", figures_text)):
        (folder / f"{name}.md").write_text(text(chapters), encoding="utf-8")
