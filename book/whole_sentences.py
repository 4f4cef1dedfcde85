"""A Sphinx extension: what says of a constant or a property what it is stays a whole sentence, colons and all.

Napoleon takes what stands before a colon, on the first line below either, for its type.
"""

from typing import Any


def keep_whole(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Break the first line behind its colon: what nothing follows on its line is no type."""
    if what in ("attribute", "data", "property") and lines and ": " in lines[0]:
        before, after = lines[0].split(": ", 1)
        lines[:1] = [f"{before}:", after]


def setup(app: Any) -> dict[str, bool]:
    """Be asked before Napoleon."""
    app.connect("autodoc-process-docstring", keep_whole, priority=400)
    return {"parallel_read_safe": True}
