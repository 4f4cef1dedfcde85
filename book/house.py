"""The library as a house, drawn from its own imports, and what the reference says of each wing.

    python book/house.py house.svg

The floors and what may not be imported are read from `.importlinter`, the rest from the source of svdlib. Nothing is
imported.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "svdlib"
CONTRACTS = ROOT / ".importlinter"


@dataclass(frozen=True)
class Module:
    """A module of the library.

    Attributes:
        name: with that of the package: "svdlib.audio.files".
        summary: the first line of its docstring.
        lines: how many lines its file has.
        is_bare: it is the `__init__` of a folder and only describes it, or passes on what others hold.
        imports: the modules of the library that it imports, wherever in the file, those for type checkers included.
    """

    name: str
    summary: str
    lines: int
    is_bare: bool
    imports: frozenset[str]

    @property
    def wing(self) -> str:
        """Its part of the house, "audio"; empty for the package itself and for what starts it."""
        part = self.name.split(".")[1:2]
        return part[0] if part and part[0] != "__main__" else ""


@dataclass(frozen=True)
class Plan:
    """Which wing stands on which.

    Attributes:
        floors: the names of the wings on each floor, from the highest to the lowest.
        forbidden: pairs of wings of which the first may not import the second, though it is lower.
    """

    floors: tuple[tuple[str, ...], ...]
    forbidden: frozenset[tuple[str, str]]

    @property
    def wings(self) -> tuple[str, ...]:
        """All wings, from the highest to the lowest."""
        return tuple(wing for floor in self.floors for wing in floor)

    def allows(self, importer: str, imported: str) -> bool:
        """Whether one wing may import another."""
        level = {wing: number for number, floor in enumerate(self.floors) for wing in floor}
        return level[importer] < level[imported] and (importer, imported) not in self.forbidden


def read_plan(contracts: Path = CONTRACTS) -> Plan:
    """Read the floors and the forbidden pairs from the contracts on imports."""
    parser = ConfigParser()
    parser.read_string(contracts.read_text(encoding="utf-8"))
    floors = parser["importlinter:contract:wings"]["layers"].split("\n")
    forbidden = {
        (importer.removeprefix("svdlib."), imported.removeprefix("svdlib."))
        for name in parser.sections()
        if parser[name].get("type") == "forbidden"
        for importer in parser[name]["source_modules"].split()
        for imported in parser[name]["forbidden_modules"].split()
    }
    return Plan(tuple(tuple(floor.replace("|", " ").split()) for floor in floors if floor), frozenset(forbidden))


def read_modules(package: Path = PACKAGE) -> list[Module]:
    """Read every module under a package, in the order of the names."""
    files = {_dotted(path, package): path for path in sorted(package.rglob("*.py"))}
    return [_read_module(name, path, files) for name, path in sorted(files.items())]


def _dotted(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read_module(name: str, path: Path, known: Mapping[str, Path]) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    is_bare = path.name == "__init__.py" and not any(map(_does_something, tree.body))
    folder = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = {found for node in ast.walk(tree) for found in _imported(node, folder, known)} - {name}
    return Module(name, summary, len(text.splitlines()), is_bare, frozenset(imports))


def _does_something(statement: ast.stmt) -> bool:
    """Whether a statement is more than an import, a text or the list `__all__`."""
    is_list = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not (is_list or is_text or isinstance(statement, ast.Import | ast.ImportFrom))


def _imported(node: ast.AST, folder: str, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the library that one statement imports; of `from a import b`, a.b if that is a module, else a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom):
        start = ".".join(folder.split(".")[: len(folder.split(".")) + 1 - node.level]) if node.level else ""
        source = ".".join(filter(None, [start, node.module]))
        for alias in node.names:
            yield from [name for name in (f"{source}.{alias.name}", source) if name in known][:1]


def count_arrows(modules: Iterable[Module]) -> Counter[tuple[str, str]]:
    """Count for each pair of wings how often a module of the first imports one of the second."""
    named = {module.name: module for module in modules}
    pairs = ((module.wing, named[other].wing) for module in named.values() for other in module.imports)
    return Counter(
        (importer, imported) for importer, imported in pairs if importer and imported and importer != imported
    )


# The drawing, in units that are pixels on a phone.
LABEL, LANE, ROW, ROOF, WIDTH = 92, 22, 46, 22, 358

STYLE = """\
.bd-article .house-figure { margin: 1rem 0; padding: 0; }
.bd-article .house-figure figcaption { color: inherit; font: 0.9rem var(--pst-font-family-base); }
.bd-article .house-figure figcaption { letter-spacing: normal; text-align: left; }
.house { display: block; height: auto; margin: 0 auto 0.5rem; max-width: 28rem; width: 100%; }
.house text { fill: var(--pst-color-text-base, #222832); font: 12px var(--pst-font-family-base, sans-serif); }
.house .name { font-size: 14px; font-weight: 600; }
.house .size { fill: var(--pst-color-text-muted, #48566b); font-size: 11.5px; }
.house .room { fill: var(--pst-color-surface, #f3f4f5); stroke: none; }
.house :is(.wall, .roof) { fill: none; stroke: var(--pst-color-text-base, #222832); stroke-width: 1.5; }
.house .floor { stroke: var(--pst-color-text-muted, #48566b); }
.house .beside { stroke: var(--pst-color-text-muted, #48566b); stroke-dasharray: 2 4; }
.house .lead { stroke: var(--pst-color-text-muted, #48566b); stroke-dasharray: 1 3; }
.house .down { --line: var(--pst-color-primary, #176de8); }
.house .up { --line: var(--pst-color-danger, #d0202e); stroke-width: 2.5; }
.house path:is(.down, .up) { fill: none; stroke: var(--line); }
.house g rect { fill: var(--pst-color-background, #fff); stroke: var(--line); }
.house .tip { fill: var(--line); stroke: none; }
.house .start { fill: var(--pst-color-primary, #176de8); }
.house g text { stroke: none; }
"""


def draw_house(modules: Sequence[Module], plan: Plan) -> str:
    """Draw the wings as floors of a house, each with its way down to the wings it imports.

    Returns:
        An SVG without blank lines, which takes the colours of the page that it stands in.

    Raises:
        ValueError: if a wing is missing in the plan.
    """
    arrows = count_arrows(modules)
    if missing := {module.wing for module in modules if module.wing} - set(plan.wings):
        raise ValueError(f"No floor in {CONTRACTS.name} has {', '.join(sorted(missing))}.")
    height = ROOF + ROW * len(plan.wings) + 2
    parts = [
        f'<svg class="house" viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg" role="img" '
        'aria-labelledby="house-title house-text">',
        '<title id="house-title">The wings of svdlib as floors of a house, with the imports between them</title>',
        f'<desc id="house-text">{escape(describe(modules, plan))}</desc>',
        f"<style>\n{STYLE}</style>",
        f'<path class="roof" d="M1 {ROOF} L{WIDTH / 2:g} 2 L{WIDTH - 1} {ROOF}"/>',
        *_rooms(modules, plan),
        *(line for wing in plan.wings for line in _stairs(wing, arrows, plan)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _middle(wing: str, plan: Plan) -> float:
    return ROOF + ROW * (plan.wings.index(wing) + 0.5)


def _rooms(modules: Sequence[Module], plan: Plan) -> Iterator[str]:
    below = WIDTH - 2
    yield f'<rect class="room" x="1" y="{ROOF}" width="{below}" height="{ROW * len(plan.wings)}"/>'
    first = {floor[0] for floor in plan.floors}
    for number, wing in enumerate(plan.wings):
        top, middle = ROOF + ROW * number, _middle(wing, plan)
        if number:
            kind = "floor" if wing in first else "beside"
            yield f'<line class="{kind}" x1="1" y1="{top}" x2="{WIDTH - 1}" y2="{top}"/>'
        yield f'<line class="lead" x1="{LABEL}" y1="{middle:g}" x2="{_lane(number):g}" y2="{middle:g}"/>'
        yield f'<text class="name" x="9" y="{middle - 8:g}">{escape(wing)}</text>'
        for line, text in enumerate(size_of(wing, modules)):
            yield f'<text class="size" x="9" y="{middle + 5 + 12 * line:g}">{text}</text>'
    yield f'<rect class="wall" x="1" y="{ROOF}" width="{below}" height="{ROW * len(plan.wings)}"/>'


def _lane(number: int) -> float:
    return LABEL + LANE * (number + 0.5)


def _stairs(wing: str, arrows: Mapping[tuple[str, str], int], plan: Plan) -> Iterator[str]:
    """The way from a wing to all that it imports, with the number of imports at each."""
    targets = [other for other in plan.wings if arrows[wing, other]]
    x, start = _lane(plan.wings.index(wing)), _middle(wing, plan)
    for kind, allowed in (("down", True), ("up", False)):
        ends = [_middle(other, plan) for other in targets if plan.allows(wing, other) is allowed]
        if ends:
            yield f'<path class="{kind}" d="M{x:g} {min(start, *ends):g} V{max(start, *ends):g}"/>'
    if targets:
        yield f'<circle class="start" cx="{x:g}" cy="{start:g}" r="3.5"/>'
    for other in targets:
        middle, kind = _middle(other, plan), "down" if plan.allows(wing, other) else "up"
        side = -1 if middle > start else 1
        tip = middle + 9 * side
        yield (
            f'<g class="{kind}"><title>{wing} imports {other}: {arrows[wing, other]}</title>'
            f'<path class="tip" d="M{x - 3.5:g} {tip + 4 * side:g} h7 L{x:g} {tip:g} Z"/>'
            f'<rect x="{x - 9:g}" y="{middle - 9:g}" width="18" height="18" rx="4"/>'
            f'<text x="{x:g}" y="{middle + 4:g}" text-anchor="middle">{arrows[wing, other]}</text></g>'
        )


def size_of(wing: str, modules: Iterable[Module]) -> tuple[str, str]:
    """How large a wing is, in words: "8 modules", "789 lines"; an `__init__` that only describes isn't counted."""
    own = [module for module in modules if module.wing == wing and not module.is_bare]
    return _counted(len(own), "module"), _counted(sum(module.lines for module in own), "line")


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"


def against_the_order(arrows: Mapping[tuple[str, str], int], plan: Plan) -> list[str]:
    """Say which wings import what they may not, from top to bottom: "audio imports songs"."""
    pairs = [(a, b) for a in plan.wings for b in plan.wings if arrows.get((a, b)) and not plan.allows(a, b)]
    return [f"{importer} imports {imported}" for importer, imported in pairs]


def describe(modules: Sequence[Module], plan: Plan) -> str:
    """The drawing in words, floor by floor."""
    arrows = count_arrows(modules)
    sentences = []
    for wing in plan.wings:
        targets = [f"{other} {arrows[wing, other]}" for other in plan.wings if arrows[wing, other]]
        size = ", ".join(size_of(wing, modules))
        sentences.append(f"{wing} ({size}) imports {_listed(targets) or 'no other wing'}.")
    wrong = against_the_order(arrows, plan)
    ending = f"Against the order: {_listed(wrong)}." if wrong else "Every arrow leads down."
    return " ".join(["From top to bottom:", *sentences, ending])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def house_text(modules: Sequence[Module], plan: Plan) -> str:
    """The drawing with what it shows in numbers, in HTML for a page in Markdown."""
    arrows, inside = count_arrows(modules), [module for module in modules if not module.is_bare]
    lines = sum(module.lines for module in inside)
    wrong = against_the_order(arrows, plan)
    direction = f"against the order: {_listed(wrong)}" if wrong else "always downwards"
    caption = (
        f"{len(plan.wings)} wings, {len(inside)} modules, {lines:,} lines. Between the wings, modules import each "
        f"other {sum(arrows.values())} times, {direction}."
    )
    return f'<figure class="house-figure">\n{draw_house(modules, plan)}<figcaption>{caption}</figcaption>\n</figure>\n'


def wing_text(wing: str, plan: Plan) -> str:
    """What a wing may import, as a sentence in Markdown."""
    allowed = [f"`{other}`" for other in plan.wings if plan.allows(wing, other)]
    return f"`{wing}` may import {_listed(allowed)}.\n" if allowed else f"`{wing}` imports nothing of svdlib.\n"


def modules_text(folder: str, modules: Sequence[Module], order: Sequence[str] = ()) -> str:
    """A table in Markdown of the modules that lie directly in a folder of the library, with a line on each.

    Args:
        folder: its dotted name, "svdlib.audio".
        modules: all there are.
        order: names of modules, as they shall follow each other; what isn't named comes last.
    """
    place = {name: number for number, name in enumerate(order)}
    folders = {module.name.rpartition(".")[0] for module in modules}
    inside = [each for each in modules if each.name == folder]
    inside += [each for each in modules if each.name not in folders and each.name.rpartition(".")[0] == folder]
    rows = [
        f"| {{py:mod}}`~{module.name}` | {module.summary.replace('|', chr(92) + '|')} |"
        for module in sorted(inside, key=lambda module: place.get(module.name, len(place)))
        if module.wing and not module.is_bare
    ]
    return "\n".join(["| Module | What it is |", "|---|---|", *rows, ""])


def modules_on_pages(folder: Path = ROOT / "book" / "api") -> list[str]:
    """The names of the modules on the pages of the reference, in their order there."""
    pages = [page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.md"))]
    return re.findall(r"automodule:: (\S+)", "\n".join(pages))


def write_house(folder: Path) -> None:
    """Write what the pages about the library include into `folder`: the drawing, and the texts for each wing."""
    modules, plan, order = read_modules(), read_plan(), modules_on_pages()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "house.md").write_text(house_text(modules, plan), encoding="utf-8")
    for wing in plan.wings:
        (folder / f"wing-{wing}.md").write_text(wing_text(wing, plan), encoding="utf-8")
    for name in {module.name.rpartition(".")[0] for module in modules} - {""}:
        part = name.removeprefix("svdlib").strip(".") or "root"
        (folder / f"modules-{part}.md").write_text(modules_text(name, modules, order), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write the drawing into the named file; return the exit code."""
    if len(arguments) != 1:
        print("usage: python book/house.py FILE.svg", file=sys.stderr)
        return 2
    Path(arguments[0]).write_text(draw_house(read_modules(), read_plan()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
