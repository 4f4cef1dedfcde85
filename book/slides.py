"""An extension of the notebooks' kernel: each figure also comes as it is wanted for slides and for phones.

The build loads it into the kernel that executes the notebooks, and takes what it adds out of their outputs again.
"""

import base64
import io
from typing import Any

SLIDES_TYPE = "application/vnd.svdlib.slides+json"
"""The kind of output: the texts `svg`, `png` in base64, `phone` likewise or empty, and the number `smallest_letter`."""

DOTS_PER_INCH = 260
"""A figure of 7.4 inches is then as wide as a full-HD screen."""

PHONE_DOTS_PER_INCH = 220
"""A phone's figure is then nearly three dots wide for each pixel that a page counts."""


def for_slides(figure: Any) -> dict[str, Any]:
    """Draw a figure as SVG, with letters as shapes so that no font is needed, as a large PNG, and as one for phones.

    Returns:
        The SVG, both PNGs in base64, and how high the smallest letters are on a phone, in CSS pixels.
    """
    from matplotlib import rc_context
    from PIL import Image

    from svdlib.lab.figures.style import smallest_letter

    vectors, drawn, small = io.StringIO(), io.BytesIO(), io.BytesIO()
    with rc_context({"svg.hashsalt": "svdlib", "svg.fonttype": "path"}):
        figure.savefig(vectors, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    narrow = figure.narrow() if figure.narrow else None
    phone = narrow.png(dots_per_inch=PHONE_DOTS_PER_INCH) if narrow else b""
    return {
        "svg": vectors.getvalue(),
        "png": base64.b64encode(small.getvalue()).decode(),
        "phone": base64.b64encode(phone).decode(),
        "smallest_letter": smallest_letter(narrow or figure),
    }


def load_ipython_extension(shell: Any) -> None:
    """Let every figure that a cell shows carry its form for slides."""
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name(
        "svdlib.lab.figures.style", "Drawing", lambda figure, **_: {SLIDES_TYPE: for_slides(figure)}
    )
