"""An extension of the notebooks' kernel: each figure also comes as it is wanted for slides, sharp and as vectors.

The build loads it into the kernel that executes the notebooks, and takes what it adds out of their outputs again.
"""

import base64
import io
from typing import Any

SLIDES_TYPE = "application/vnd.svdlib.slides+json"
"""The kind of output: the texts `svg`, and `png` in base64."""

DOTS_PER_INCH = 260
"""A figure of 7.4 inches is then as wide as a full-HD screen."""


def for_slides(figure: Any) -> dict[str, str]:
    """Draw a figure as SVG, with letters as shapes so that no font is needed, and as a large PNG in base64."""
    from matplotlib import rc_context
    from PIL import Image

    vectors, drawn, small = io.StringIO(), io.BytesIO(), io.BytesIO()
    with rc_context({"svg.hashsalt": "svdlib", "svg.fonttype": "path"}):
        figure.savefig(vectors, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return {"svg": vectors.getvalue(), "png": base64.b64encode(small.getvalue()).decode()}


def load_ipython_extension(shell: Any) -> None:
    """Let every figure that a cell shows carry its form for slides."""
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name(
        "svdlib.lab.figures.style", "Drawing", lambda figure, **_: {SLIDES_TYPE: for_slides(figure)}
    )
