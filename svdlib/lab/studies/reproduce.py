"""The whole paper in one program: detector, inverters, reconstruction errors, figures and tables, one page of them.

    python -m svdlib.lab.studies.reproduce --corpus jamendo --second rwc --dry-run
    python -m svdlib.lab.studies.reproduce --corpus jamendo --second rwc

The work is a list of steps, see `svdlib.lab.studies.reproduce_steps`. What a step has found is kept in the folder with
the settings it belongs to, so the same command goes on where an interrupted one stopped, and does nothing twice. The
page is `report.html`, its numbers are `results.json`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from svdlib.compute.command_line import Parser, run_safely
from svdlib.compute.devices import choose_device, device_name
from svdlib.lab.studies import as_json, write_results
from svdlib.lab.studies.reproduce_plan import describe_plan
from svdlib.lab.studies.reproduce_report import REPORT_FILE, write_report
from svdlib.lab.studies.reproduce_steps import (
    PER_SONG,
    Settings,
    finished_step,
    finished_steps,
    record_path,
    steps_of,
)
from svdlib.recipes import make_provenance
from svdlib.zoo.objectives import OBJECTIVES
from svdlib.zoo.profiles import PROFILES

RESULTS_FILE = "results.json"


def reproduce(settings: Settings, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Do all steps that are not done yet, and write the page and its numbers.

    Args:
        settings: what and where.
        say: is told, in a line, what happens.

    Returns:
        What `results.json` holds.

    Raises:
        CorpusError: a corpus is not there.
        TrainingError: the folder holds results of other settings.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    steps = steps_of(settings)
    records: dict[str, dict[str, Any]] = {}
    finished_steps(settings, steps)  # what belongs to other settings is better found now than after a day
    place = device_name(choose_device(settings.device))
    say(f"{settings.corpus}, then {settings.second}; profile {settings.profile}, on {place}, in {settings.folder}")
    for number, step in enumerate(steps, start=1):
        head = f"[{number}/{len(steps) + 1}] {step.name}"
        if there := finished_step(settings, step):
            records[step.name] = there
            say(f"{head}: there already")
            continue
        say(f"{head}: {step.makes}")
        begun = time.monotonic()
        result = as_json(step.act())
        record = {"identity": as_json(step.identity()), "seconds": round(time.monotonic() - begun, 1)}
        records[step.name] = record | {"device": place, "result": result}
        write_results(record_path(settings, step), records[step.name])
    say(f"[{len(steps) + 1}/{len(steps) + 1}] report")
    results = results_of(settings, records)
    write_results(settings.folder / RESULTS_FILE, results)
    write_report(settings, results)
    say(f"The page: {settings.folder / REPORT_FILE}")
    return results


def results_of(settings: Settings, records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """All numbers, and where they come from; no path of somebody's disk."""
    origin = make_provenance(
        settings.corpus, len(settings.opened["corpus"].tracks), settings.seed, settings.profile, settings.device
    )
    second = make_provenance(settings.second, 0, 0, "", "")["corpus"]
    chosen = {"second": second, "objectives": list(settings.objectives), "sets": settings.sets, "per_song": PER_SONG}
    return as_json(
        {"study": "reproduce"}
        | {key: value for key, value in origin.items() if key != "device"}
        | chosen
        | {
            "steps": {
                name: {"seconds": record["seconds"], "device": record["device"]} for name, record in records.items()
            },
            "songs_and_frames": records["log-mels"]["result"],
            "detector": records["detector"]["result"],
            "detector_scores": records["detector-scores"]["result"],
            "inverters": {name: records[f"inverters-{name}"]["result"] for name in settings.objectives},
            "nre": {name: records[f"nre-{name}"]["result"] for name in settings.objectives},
        }
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when done, 2 after something that the user can put right, 130 when interrupted."""

    def act() -> None:
        options = vars(_parser().parse_args(arguments))
        dry_run, second = options.pop("dry_run"), options.pop("second")
        options["objectives"] = tuple(options["objectives"])
        settings = Settings(second=second or second_of(options["corpus"]), **options)
        if dry_run:
            print(describe_plan(settings))
        else:
            reproduce(settings, partial(print, flush=True))

    return run_safely(act, resumable=False)  # the same command goes on, without --resume


def second_of(corpus: str) -> str:
    """The second corpus where none is named: RWC for Jamendo, as published, or else other synthetic songs."""
    if corpus.partition(":")[0].strip() == "jamendo":
        return "rwc"
    return "synthetic" if corpus.startswith("synthetic-b") else "synthetic-b"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m svdlib.lab.studies.reproduce", description=__doc__)
    parser.add_argument("--corpus", default="jamendo", metavar="NAME", help="to train and test on (default jamendo)")
    parser.add_argument("--second", metavar="NAME", help="only to test on (default rwc for jamendo, else synthetic-b)")
    parser.add_argument("--folder", type=Path, default=Path("runs/reproduce"), help="where everything is kept")
    parser.add_argument("--profile", choices=PROFILES, default="published", help="how long to train")
    parser.add_argument(
        "--objectives",
        nargs="+",
        choices=OBJECTIVES,
        default=list(Settings.objectives),
        help=f"eight inverters are trained for each (default: {' '.join(Settings.objectives)})",
    )
    parser.add_argument("--sets", type=int, default=10, metavar="N", help="evaluation sets per NRE (default 10)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (default 0)")
    parser.add_argument("--dry-run", action="store_true", help="print steps, time and disk; write nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
