"""All benchmarks, one after the other; each leaves its tables in a folder, and all of them a page, `speed.md`.

python -m benchmarks [--device cuda] [--quick] [--out runs/bench] [--minutes 8] [--keep]
"""

import importlib
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import as_page, measure, parser_for, read, read_options, write, write_page
from svdlib.errors import SvdlibError

SCRIPTS = ("inverter_training", "operators", "detector_training", "prediction", "log_mel", "scaling")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks; 0 when all have left their tables, 3 when time was up before."""
    parser = parser_for(__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of the JSON files")
    parser.add_argument("--keep", action="store_true", help="do not measure again what is in the folder already")
    given = parser.parse_args(arguments)
    options = read_options(given)
    left = [name for name in SCRIPTS if not (given.keep and (given.out / f"{name}.json").exists())]
    for number, name in enumerate(left):
        now = time.monotonic()
        if now > options.deadline:
            print(f"time is up, not measured yet: {', '.join(left[number:])}")
            return 3
        # Each gets its share of the time that is left, so that one script does not take the rounds of all others.
        share = replace(options, deadline=now + (options.deadline - now) / (len(left) - number))
        report = measure(name, importlib.import_module(f"benchmarks.{name}").tables, share)
        write(report, given.out / f"{name}.json")
        print(as_page(report), flush=True)
    write_page([read(given.out / f"{name}.json") for name in SCRIPTS], given.out / "speed.md")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SvdlibError as error:
        sys.exit(f"error: {error}")
