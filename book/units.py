"""A Sphinx extension: a number stays on one line with its unit, and per cent looks the same on every page.

Some sentences are typed and some are computed, so one has "42 %" and another "42%". Code, formulas and raw HTML, such
as the tables of notebooks, stay as they are.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

THIN, WIDE = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"
PER_CENT = re.compile(r"(?<=\d)[ \n]?%")
BEFORE_UNIT = re.compile(r"(?<=\d)[ \n](?=(?:s|ms|min|h|Hz|kHz|dB|kB|MB|GB)\b)")
TIMES = re.compile(r"(?<=\d)[ \n]×[ \n](?=\d)")
VERBATIM = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


def together(text: str) -> str:
    """The text with numbers that no line break parts from their units."""
    text = BEFORE_UNIT.sub(WIDE, PER_CENT.sub(f"{THIN}%", text))
    return TIMES.sub(f"{WIDE}×{WIDE}", text)


def is_prose(text: nodes.Text) -> bool:
    """Whether a text stands in no code, formula or HTML."""
    above = text.parent
    while above is not None and not isinstance(above, VERBATIM):
        above = above.parent
    return above is None


class UnitsTogether(SphinxPostTransform):
    """Changes what is shown, not what was read: the search finds a number however it was typed."""

    default_priority = 900  # behind what chooses among the outputs of notebooks

    def run(self, **_: Any) -> None:
        """Change all prose of one page."""
        for text in list(self.document.findall(nodes.Text)):
            if is_prose(text) and (shown := together(text)) != text:
                text.parent.replace(text, nodes.Text(shown))


def setup(app: Any) -> dict[str, bool]:
    """Be run on every page."""
    app.add_post_transform(UnitsTogether)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
