"""A Sphinx extension: a number stays on one line with its unit, however narrow the page, and has a true minus sign.

Some sentences are typed and some are computed, so one has "42 %" and another "42%". On the page they look alike.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import desc_signature

HYPHEN = re.compile(r"(?<![^\s(\[])-(?=\d)")
PER_CENT = re.compile(r"(?<=\d)[ \n]?%")
GAP = re.compile(r"(?<=\d)[ \n](?=(?:ms|s|min|h|dB|k?Hz|[kMGT]B)\b)")
TIMES = re.compile(r"(?<=\d)[ \n]×[ \n](?=\d)")
INTERVAL = re.compile(r"\(([^ ()]+) to ([^ ()]+)\)")
CELL = re.compile(r"(<t[dh]\b[^>]*>)([^<]*)(?=</t[dh]>)")
AS_WRITTEN = (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.raw, nodes.comment, desc_signature)


def whole(text: str) -> str:
    """The same text with spaces that do not break within numbers and intervals, and with true signs."""
    text = GAP.sub("\u00a0", PER_CENT.sub("\u202f%", TIMES.sub("\u00a0×\u00a0", text)))
    return INTERVAL.sub("(\\1\u00a0to\u00a0\\2)", HYPHEN.sub("\u2212", text))


def keep_together(app: Any, doctree: nodes.document, docname: str) -> None:  # noqa: ARG001
    """Change all text but code and formulas, and of what is HTML already the cells of tables."""
    for raw in list(doctree.findall(nodes.raw)):
        if "html" in raw.get("format", "") and "<table" in raw.astext():
            cells = CELL.sub(lambda cell: cell[1] + whole(cell[2]), raw.astext())
            raw.replace_self(nodes.raw(cells, cells, **raw.attributes))
    for text in list(doctree.findall(nodes.Text)):
        above = text.parent
        while above is not None and not isinstance(above, AS_WRITTEN):
            above = above.parent
        if above is None:
            text.parent.replace(text, nodes.Text(whole(text)))


def setup(app: Any) -> dict[str, bool]:
    """Look at each page when it is complete."""
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
