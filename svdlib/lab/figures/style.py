"""The look that all figures share, and the two widths that they are drawn in: a page's and a phone's."""

import io
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from textwrap import fill
from typing import Any, ParamSpec

from matplotlib.figure import Figure
from matplotlib.text import Text

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6b6b6b"
"""Colours that differ for colour-blind eyes too (Okabe & Ito)."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "legend.frameon": False,
}
"""Given to `matplotlib.rc_context` around every figure."""

DISPLAY_DPI = 110

PAGE_WIDTH, PHONE_WIDTH = 7.4, 4.6
"""Inches. What is narrower than a phone's needs no second drawing."""

PHONE_COLUMN = 358
"""CSS pixels that a page leaves for a figure on a phone 390 pixels wide."""

POINTS_PER_INCH = 72
LETTER_WIDTH = 0.6
"""Of the height of its font, on average."""
LEGEND_LINE = 0.6
"""Inches beside each name in a legend."""
ROW_NAMES = 1.0
"""Inches left of the first column, for the names of rows and the numbers at their axes."""
SUBSCRIPT = 0.7
"""Of the height of the letters that it stands at."""

Arguments = ParamSpec("Arguments")
_for_phone: ContextVar[bool] = ContextVar("for_phone", default=False)


class Drawing(Figure):
    """A figure that notebooks show by themselves, without pyplot's global list of open figures.

    Attributes:
        narrow: draws the same for a phone; None if there is one drawing for both.
    """

    narrow: "Callable[[], Drawing] | None" = None

    def png(self, colours: int = 256, dots_per_inch: float = DISPLAY_DPI) -> bytes:
        """Draw it as a PNG of at most `colours` different colours: a third of the bytes, and no visible loss."""
        from PIL import Image

        drawn, small = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=dots_per_inch)
        Image.open(drawn).convert("RGB").quantize(colours).save(small, format="png", optimize=True)
        return small.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def two_layouts(draw: Callable[Arguments, Drawing]) -> Callable[Arguments, Drawing]:
    """Let what a function draws be drawn for a phone too: `figure.narrow()` draws it again, in a phone's width."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **settings: Arguments.kwargs) -> Drawing:
        def narrow() -> Drawing:
            before = _for_phone.set(True)
            try:
                return draw(*args, **settings)
            finally:
                _for_phone.reset(before)

        figure = draw(*args, **settings)
        figure.narrow = narrow
        return figure

    return drawn


def is_for_phone() -> bool:
    """Whether a figure is being drawn for a phone."""
    return _for_phone.get()


def heading(name: str, columns: int) -> str:
    """A name in lines that are no wider than one of so many columns of a figure; words stay whole."""
    inches = (figure_width() - ROW_NAMES) / columns
    return fill(
        name, max(1, int(inches / (LETTER_WIDTH * STYLE["font.size"] / POINTS_PER_INCH))), break_long_words=False
    )


def figure_width(on_page: float = PAGE_WIDTH) -> float:
    """How wide a figure is to be, in inches: `on_page`, and never wider than a phone's if it is drawn for one."""
    return min(on_page, PHONE_WIDTH) if is_for_phone() else on_page


def panel_columns(on_page: int, on_phone: int = 2) -> int:
    """How many panels stand beside each other."""
    return min(on_page, on_phone) if is_for_phone() else on_page


def legend_columns(names: Sequence[str], most: int, inches: float | None = None) -> int:
    """How many columns of a legend fit beside each other.

    Args:
        names: what stands in it.
        most: more are never wanted.
        inches: of the figure; None stands for `figure_width()`.
    """
    longest = max(map(len, names), default=0) * LETTER_WIDTH * STYLE["font.size"] / POINTS_PER_INCH
    return max(1, min(most, int((figure_width() if inches is None else inches) / (longest + LEGEND_LINE))))


def smallest_letter(figure: Figure, column: float = PHONE_COLUMN) -> float:
    """How high the smallest letters of a figure are in CSS pixels, where it fills a column; infinite without any.

    Args:
        figure: drawn at least once.
        column: width in CSS pixels.
    """
    pixels_per_point = column / (figure.get_figwidth() * POINTS_PER_INCH)
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return float(min((_smallest_size(text) for text in shown), default=float("inf")) * pixels_per_point)


def _smallest_size(text: Text) -> float:
    has_subscript = "$" in text.get_text() and any(mark in text.get_text() for mark in "_^")
    return float(text.get_fontsize()) * (SUBSCRIPT if has_subscript else 1)


def layer_title(layer: str) -> str:
    """Name a layer as the paper does: "Conv1", "MP3", "FC8"."""
    return layer.capitalize() if layer.startswith("conv") else layer.upper()
