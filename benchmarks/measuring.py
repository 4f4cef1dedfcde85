"""What all benchmarks share: measuring in turn, ratios, and tables as text and JSON.

A single time says little, since other programs share the machine. So the ways to be compared are measured in turn, each
in a process of its own, and ratios are taken round by round: what slows one down then slows the other down as well. A
table gives the median of the rounds and, in brackets, the smallest and the largest.

On a machine that is busy otherwise, `--threads 1` helps more: one thread on a CPU is timed by the processor time that
it gets, which does not grow while it waits for other programs.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

from svdlib.compute.command_line import in_short
from svdlib.compute.devices import choose_device, computes_bfloat16, device_name, units_for_bfloat16
from svdlib.compute.interrupts import end_with_parent
from svdlib.compute.storage import write_atomically

Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        device: where to compute.
        quick: take the smallest sizes, and one process for all: shows that a script works, not how fast anything is.
        rounds: how often everything is measured.
        threads: how many share the work on a CPU.
        deadline: no round begins after it, the first one excepted; on the clock of `time.monotonic`.
    """

    device: str = "cpu"
    quick: bool = False
    rounds: int = 3
    threads: int = 1
    deadline: float = math.inf


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    min: float
    max: float

    def __str__(self) -> str:
        middle = as_text(self.median)
        return middle if self.min == self.max else f"{middle} ({as_text(self.min)}–{as_text(self.max)})"


@dataclass(frozen=True)
class Table:
    """One table of a report.

    Attributes:
        title: what is compared with what.
        rows: cells by the name of their column: a text, a number, a `Spread`, or None where nothing was measured.
        remarks: what a reader must know to judge the numbers.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    remarks: Sequence[str] = ()

    @property
    def cells(self) -> list[list[str]]:
        """All cells as texts, row by row, the names of the columns first."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        return [columns, *([as_text(row.get(name)) for name in columns] for row in self.rows)]

    def __str__(self) -> str:
        cells = self.cells
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        return "\n".join([self.title, "", *lines, *self.remarks])


def as_text(cell: Any) -> str:
    """A cell as it stands in a table; numbers with three significant digits."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:#.3g}"
    return str(cell)


def in_turn(ways: Mapping[str, Callable[[], Result]], options: Options) -> dict[str, list[Result]]:
    """Call each way once per round, the ways one after the other.

    Args:
        ways: by name, functions of a module, or a `functools.partial` of one; what they return must be picklable.
        options: how many rounds, and whether each call gets a process of its own.
    """
    results: dict[str, list[Result]] = {name: [] for name in ways}
    for number in range(1 if options.quick else options.rounds):
        if number and time.monotonic() > options.deadline:
            break
        for name, way in ways.items():
            results[name].append(way() if options.quick else in_fresh_process(way, options.threads))
    return results


def in_fresh_process(way: Callable[[], Result], threads: int) -> Result:
    """Call a function in a process that has done nothing before, and ends if this one does."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(threads,)) as pool:
        return pool.submit(way).result()


def _begin(threads: int) -> None:
    end_with_parent()
    torch.set_num_threads(threads)


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest of several measurements."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """The ratios of measurements of the same rounds."""
    return spread([one / other for one, other in zip(numerators, denominators, strict=True)])


def now(device: str) -> float:
    """Seconds on a clock, after all work handed to the device is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


class Stopwatch:
    """Times updates from the inside of a training run: those before and after are not counted.

    Attributes:
        steps: how many updates are timed.
        needed: how many the run must have.
    """

    def __init__(self, device: str, steps: int) -> None:
        self.device, self.steps, self.begun = device, steps, 0
        self.warm_up = min(2, steps - 1)
        self.needed = self.warm_up + steps + 1
        self.marks: list[float] = []

    def begin_update(self) -> None:
        """To be called at the beginning of each update."""
        # The device is waited for at the two ends only: in between, a GPU may lag behind as it does in a real run.
        if self.begun in (self.warm_up, self.warm_up + self.steps):
            self.marks.append(now(self.device))
        self.begun += 1

    @property
    def seconds(self) -> float:
        """Seconds per update."""
        first, last = self.marks
        return (last - first) / self.steps


def precisions(device: str) -> tuple[str, ...]:
    """The precisions that a device has units for."""
    place = torch.device(device)
    return ("float32", "bfloat16") if units_for_bfloat16(place) or computes_bfloat16(place) else ("float32",)


def matrix_rate(device: str, precision: str, quick: bool) -> float:
    """Multiply large square matrices and return the FLOPs per second.

    Where convolutions in float32 may round to TF32, as they do on a GPU by default, the matrices may too: a floor must
    not lie higher because it was measured with slower arithmetic.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    size = 256 if quick else 8192 if device.startswith("cuda") else 2048
    matrix = torch.rand(size, size, device=device).to(getattr(torch, precision))
    seconds = []
    for _ in range(3 if quick else 13):
        begun = now(device)
        matrix @ matrix
        seconds.append(now(device) - begun)
    # The first ones wake the machine up.
    return 2 * size**3 / statistics.median(seconds[2:])


def script(name: str, document: str | None, tables: Callable[[Options], list[Table]]) -> None:
    """Run one benchmark from the command line."""
    parser = parser_for(document)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--page", type=Path, help="also write the tables to this file, as part of a page in Markdown")
    arguments = parser.parse_args()
    report = measure(name, tables, read_options(arguments))
    if arguments.out:
        write(report, arguments.out)
    if arguments.page:
        write_page([report], arguments.page)
    print(json.dumps(as_json(report), indent=1) if arguments.json else as_page(report))


def parser_for(document: str | None) -> argparse.ArgumentParser:
    """The options that the benchmarks have in common."""
    parser = argparse.ArgumentParser(description=in_short(document))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: shows that it works, not how fast it is")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--threads", type=int, help="on a CPU; default: as many as PyTorch takes, with --quick one")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further round after this long")
    return parser


def read_options(arguments: argparse.Namespace) -> Options:
    """What the command line says on how to measure."""
    device = str(choose_device(arguments.device))
    threads = arguments.threads or (1 if arguments.quick else torch.get_num_threads())
    deadline = time.monotonic() + 60 * arguments.minutes
    return Options(device, arguments.quick, max(1, arguments.rounds), threads, deadline)


@dataclass(frozen=True)
class Report:
    """All tables of a benchmark, and where they were measured.

    Attributes:
        name: of the benchmark.
        device: what it ran on.
        units: of a processor, its units for bfloat16; empty if it has none, and on a GPU.
        torch: the version of PyTorch.
        threads: how many shared the work on a processor.
        quick: whether only a quick look was taken.
        tables: what was measured.
    """

    name: str
    device: str
    units: str
    torch: str
    threads: int
    quick: bool
    tables: Sequence[Table]


def measure(name: str, tables: Callable[[Options], list[Table]], options: Options) -> Report:
    """Run a benchmark."""
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    units = units_for_bfloat16(device)
    return Report(name, device_name(device), units, torch.__version__, options.threads, options.quick, tables(options))


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON has it."""
    return asdict(report)


def as_page(report: Report) -> str:
    """The report as text."""
    where = f"{report.name}: {_where(report)}"
    warning = ["Quick look: the numbers mean nothing."] if report.quick else []
    return "\n\n".join([where, *warning, *map(str, report.tables)]) + "\n"


def write_page(reports: Sequence[Report], path: Path) -> None:
    """Write several reports to a file as a part of a page in Markdown."""
    content = as_markdown(reports).encode()
    write_atomically(path, lambda file: file.write(content))


def as_markdown(reports: Sequence[Report]) -> str:
    """Several reports as a part of a page in Markdown."""
    parts = [f"{_where(reports[0])[0].upper()}{_where(reports[0])[1:]}."]
    for report in reports:
        for table in report.tables:
            head, *rows = [f"| {' | '.join(line)} |" for line in table.cells]
            rule = "|" + "---|" * len(table.cells[0])
            parts += [f"**{table.title}**", "\n".join([head, rule, *rows]), *table.remarks]
    return "\n\n".join(parts) + "\n"


def _where(report: Report) -> str:
    """What a report was measured on, in words."""
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    units = [f"bfloat16 by {report.units}"] if report.units else []
    device = "CPU" if report.device == "cpu" else report.device
    return ", ".join([device, *units, threads, f"torch {report.torch}"])


def write(report: Report, path: Path) -> None:
    """Write the report to a JSON file."""
    content = json.dumps(as_json(report), indent=1).encode()
    write_atomically(path, lambda file: file.write(content))


def read(path: Path) -> Report:
    """Read what `write` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    tables = [
        Table(table["title"], [_with_spreads(row) for row in table["rows"]], table["remarks"])
        for table in content["tables"]
    ]
    return Report(**(content | {"tables": tables}))


def _with_spreads(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Spread(**cell) if isinstance(cell, dict) else cell for name, cell in row.items()}
