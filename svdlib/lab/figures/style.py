"""The look that all figures share."""

import io
from typing import Any

from matplotlib.figure import Figure

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


class Drawing(Figure):
    """A figure that notebooks show by themselves, without pyplot's global list of open figures."""

    def png(self, colours: int = 256) -> bytes:
        """Draw it as a PNG of at most `colours` different colours: a third of the bytes, and no visible loss."""
        from PIL import Image

        drawn, small = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=DISPLAY_DPI)
        Image.open(drawn).convert("RGB").quantize(colours).save(small, format="png", optimize=True)
        return small.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def layer_title(layer: str) -> str:
    """Name a layer as the paper does: "Conv1", "MP3", "FC8"."""
    return layer.capitalize() if layer.startswith("conv") else layer.upper()
