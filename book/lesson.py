"""What a lesson needs beside the pages: a blind pair of sounds, answers to its guesses, slides, and a handout.

Slides and pair come from the executed chapters, the answers from a stored study, so none of them says what was not
computed. The slides are one file of Markdown, `book/lesson/slides.md`: `---` between them, `::: notes` for the speaker.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from markdown_it import MarkdownIt
from nbformat import NotebookNode

from svdlib.detector.model import LAYER_SHAPES, LAYERS
from svdlib.lab.figures.style import layer_title

ROOT = Path(__file__).resolve().parent.parent
SLIDES = ROOT / "book" / "lesson" / "slides.md"
FRAME = ROOT / "book" / "lesson" / "slides.html"
KEPT = ROOT / "svdlib" / "lab" / "studies" / "results" / "kept_structure.json"

CHAPTER = "00b_songs_and_corpus"
"""Whose singer and clarinet the lesson begins with."""

SINGER, CLARINET = "The singer", "A clarinet, same melody and gestures"
"""The titles of their panels there."""

PLAYER = re.compile(
    r'<figcaption class="svdlib-title">(?P<title>[^<]+)</figcaption>(?:(?!</figure>).)*?<audio [^>]*'
    r'src="(?P<source>data:audio/mpeg;base64,[A-Za-z0-9+/=]+)"',
    re.DOTALL,
)
NOTES = re.compile(r"^::: notes\n(?P<notes>.*?)\n:::$", re.DOTALL | re.MULTILINE)
FIGURE = re.compile(r'src="figure:(?P<name>[a-z0-9-]+)"')
PAGE = re.compile(r'href="page:')

A4 = (8.27, 11.69)  # inches


class LessonError(Exception):
    """The lesson's material cannot be made; the message says what is missing."""


def pair_of(notebook: NotebookNode) -> dict[str, str]:
    """The sounds of the singer and the clarinet, as addresses that hold them.

    Raises:
        LessonError: if the executed chapter does not play both.
    """
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    found = {
        match["title"]: match["source"]
        for output in outputs
        for match in PLAYER.finditer(output.get("data", {}).get("text/html", ""))
    }
    if missing := [title for title in (SINGER, CLARINET) if title not in found]:
        raise LessonError(f"{CHAPTER} plays nothing with the title {missing[0]!r}. Run `make notebooks` again.")
    return {title: found[title] for title in (SINGER, CLARINET)}


def blind_pair(pair: dict[str, str]) -> str:
    """Two players that do not say what they play, in HTML: A is the clarinet, B the singer."""
    players = "".join(
        f'<div><strong>{name}</strong><audio controls preload="metadata" aria-label="Sound {name}" src="{source}">'
        "</audio></div>"
        for name, source in (("A", pair[CLARINET]), ("B", pair[SINGER]))
    )
    return f'<div class="pair">{players}</div>'


def answer_to_pair() -> str:
    """Which sound of the pair is which, folded, in HTML."""
    return (
        "<details><summary>Which is which?</summary><p>A is the clarinet, B the singer. Melody, glides, scoops and "
        "vibrato are the same in both. Only in B do the resonances move with the words.</p></details>"
    )


def kept_rows(study: dict[str, Any]) -> list[tuple[str, ...]]:
    """For each layer: its name, the size of its feature, and how well onsets and harmonics match, with chance.

    Args:
        study: the stored results of `svdlib.lab.studies.kept_structure`.
    """
    layers = study["corpora"]["synthetic"]["layers"]
    rows = []
    for layer in LAYERS:
        measured = layers[layer]["aligned"]
        matches = (
            f"{measured[name]['mean']:.2f} (chance {np.mean(measured[name]['chance_per_song']):.2f})"
            for name in ("onset_match", "harmonic_match")
        )
        rows.append((layer_title(layer), _shape(layer), *matches))
    return rows


def _shape(layer: str) -> str:
    return " × ".join(map(str, LAYER_SHAPES[layer]))


def answers_table(study: dict[str, Any]) -> str:
    """What the layers keep, as a table in Markdown."""
    rows = [f"| {' | '.join(row)} |" for row in kept_rows(study)]
    head = "| Layer | Feature | When: onsets match | Pitch: harmonics match |\n|---|---|---|---|"
    return "\n".join([head, *rows, ""])


def slides_page(markdown: str, pair: str, figures: Path) -> str:
    """The slides as one page of HTML, in the folder beside that of the figures.

    Args:
        markdown: all slides.
        pair: the two players, in HTML.
        figures: the folder of the figures' files.

    Raises:
        LessonError: if a slide shows a figure that is not there, or has no notes.
    """
    made = []
    for number, slide in enumerate(re.split(r"^---$", markdown, flags=re.MULTILINE), start=1):
        notes = NOTES.search(slide)
        if not notes:
            raise LessonError(f"{SLIDES.name}: slide {number} has no notes.")
        body, said = (MarkdownIt().render(text) for text in (NOTES.sub("", slide), notes["notes"]))
        for figure in FIGURE.finditer(body):
            if not (figures / f"{figure['name']}.svg").exists():
                raise LessonError(f"{SLIDES.name}: slide {number} shows the figure {figure['name']!r}; there is none.")
        body = FIGURE.sub(lambda match: f'src="../figures/{match["name"]}.svg"', body).replace("<p>{pair}</p>", pair)
        body = PAGE.sub('href="../../', body)
        made.append(f'<section aria-label="Slide {number}">\n{body}<aside>{said}</aside></section>')
    return FRAME.read_text(encoding="utf-8").replace("{slides}", "\n".join(made))


def handout() -> bytes:
    """The guess sheet with the table of the layers, on one page of A4, as a PDF."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    with rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans", "font.size": 9.5}):
        sheet = Figure(figsize=A4)
        FigureCanvasPdf(sheet)
        sheet.text(0.08, 0.95, "What does a network still know about a song?", size=16, weight="bold")
        sheet.text(0.08, 0.925, "Guess sheet. Write your guesses before you see or hear the answer.", size=10)
        _questions(sheet)
        sheet.text(0.08, 0.565, "The eight layers, from the sound to the answer", size=12, weight="bold")
        sheet.text(
            0.08,
            0.535,
            "A convolution (Conv) looks for patterns; a pooling (MP) keeps the largest of 3 × 3; a",
            size=9.5,
        )
        sheet.text(
            0.08,
            0.518,
            "dense layer (FC) mixes everything. A feature is filters × time × frequency, or a row.",
            size=9.5,
        )
        _layer_table(sheet)
        file = io.BytesIO()
        title = "Guess sheet: what does a network still know about a song?"
        sheet.savefig(file, format="pdf", metadata={"Title": title, "CreationDate": None})
    return file.getvalue()


QUESTIONS = (
    "1.  A and B: which is the singer? What gives it away?",
    "2.  Where is the detector's first mistake in the curve, and what may it have heard there?",
    "3.  Which layer is the first to forget when a sound began? Which, its pitch?",
    "4.  You hear the inversion from FC8. What was played?",
    "5.  A layer keeps the drums. Does the detector use them? How would you find out?",
)


def _questions(sheet: Any) -> None:
    for number, question in enumerate(QUESTIONS):
        top = 0.89 - 0.064 * number
        sheet.text(0.08, top, question)
        for line in (0.020, 0.040):
            sheet.add_artist(_rule(0.105, top - line))


def _rule(left: float, height: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([left, 0.92], [height, height], color="0.6", linewidth=0.6)


def _layer_table(sheet: Any) -> None:
    columns = ("Layer", "Feature", "Numbers", "I think it keeps …", "I heard …", "Measured")
    rows = [(layer_title(layer), _shape(layer), f"{np.prod(LAYER_SHAPES[layer]):,}", "", "", "") for layer in LAYERS]
    axes = sheet.add_axes((0.08, 0.06, 0.84, 0.44))
    axes.axis("off")
    table = axes.table(
        rows, colLabels=columns, colWidths=(0.1, 0.19, 0.12, 0.21, 0.21, 0.17), cellLoc="left", bbox=(0, 0, 1, 1)
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9.5)
    for (row, _), cell in table.get_celld().items():
        cell.PAD = 0.06
        cell.set_linewidth(0.6)
        cell.set_edgecolor("0.6")
        if row == 0:
            cell.set_text_props(weight="bold")


def write_lesson(notebook: NotebookNode, generated: Path, assets: Path) -> None:
    """Write what the lesson's page includes, and its slides and handout.

    Args:
        notebook: the executed chapter with the singer and the clarinet.
        generated: folder of generated parts of pages.
        assets: folder of the book's own static files, with the figures in it.

    Raises:
        LessonError: if a sound or a figure is missing.
    """
    pair = blind_pair(pair_of(notebook))
    (generated / "pair.html").write_text(f"{pair}\n{answer_to_pair()}\n", encoding="utf-8")
    study = json.loads(KEPT.read_text(encoding="utf-8"))
    (generated / "lesson_answers.md").write_text(answers_table(study), encoding="utf-8")
    folder = assets / "lesson"
    folder.mkdir(parents=True, exist_ok=True)
    slides = slides_page(SLIDES.read_text(encoding="utf-8"), pair, assets / "figures")
    (folder / "slides.html").write_text(slides, encoding="utf-8")
    (folder / "handout.pdf").write_bytes(handout())
