"""A Sphinx extension: descriptions in the code stay what they are, where their reader takes them for something else.

Napoleon takes what stands before a colon for a type, on the first line below a constant or a property, and on the
first line of what a function returns. The types come from the annotations. And lines of a module's description that
are set off to the right are commands to copy, not a quotation with its lines run together.
"""

from typing import Any


def keep_whole(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Break the first line behind its colon: what nothing follows on its line is no type."""
    if what in ("attribute", "data", "property") and lines and ": " in lines[0]:
        before, after = lines[0].split(": ", 1)
        lines[:1] = [f"{before}:", after]


def keep_returned(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Make a field of what is returned or yielded, as Napoleon would without a type."""
    for title, field in (("Returns:", ":returns:"), ("Yields:", ":Yields:")):
        if title in lines[:-1]:
            at = lines.index(title)
            lines[at : at + 2] = [f"{field} {lines[at + 1].strip()}"]


def keep_lines(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Mark what is set off in a module's description as verbatim."""
    if what != "module":
        return
    begins = [
        number
        for number in range(2, len(lines))
        if lines[number].startswith("    ") and not lines[number - 1] and not lines[number - 2].startswith("    ")
    ]
    for number in reversed(begins):
        if not lines[number - 2].endswith("::"):
            lines[number:number] = ["::", ""]


def setup(app: Any) -> dict[str, bool]:
    """Be asked before Napoleon."""
    app.connect("autodoc-process-docstring", keep_whole, priority=400)
    app.connect("autodoc-process-docstring", keep_returned, priority=400)
    app.connect("autodoc-process-docstring", keep_lines, priority=400)
    return {"parallel_read_safe": True}
