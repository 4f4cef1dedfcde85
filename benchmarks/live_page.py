"""How fast the page "Your own sound" is on one core: from a dropped song to its curve and inversions, and on a click.

The book must have been built. Browser, page and this script share one core, and so does the peer, PyTorch with one
thread: it decodes the same MP3, computes the same curve, and inverts the same place with the same eight networks. Times
are those of a clock on the wall, so the machine should have nothing else to do.

    python -m benchmarks.live_page [--book _build/html] [--seconds 180] [--rounds 3] [--json] [--out FILE]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.browsers import BROWSERS, find_browser
from benchmarks.log_mel import make_samples
from benchmarks.measuring import Options, Spread, Table, as_json, as_page, measure, ratios, spread, write
from svdlib.audio.files import encode_mp3, load_audio
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.compute.command_line import in_short
from svdlib.detector.scores import smooth
from svdlib.zoo.checkpoints import pretrained, pretrained_inverters

TARGETS = {"song to curve": 25.0, "curve to inversions": None, "later click to inversions": 2.0}
"""Seconds that a page may take for a song of three minutes on one slow core."""

PATIENCE = 600_000  # milliseconds


def on_one_core() -> None:
    """Bind this process, and all that it starts, to one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def timed(step: Callable[[], object]) -> float:
    """Seconds on the wall that a step takes."""
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def time_steps(curve: Callable[[], object], invert: Callable[[float | None], object]) -> dict[str, float]:
    """Seconds for each step: the curve, the inversion that follows unasked, and one at a place, a share of the song."""
    steps = (curve, lambda: invert(None), lambda: invert(0.3))
    return {name: timed(step) for name, step in zip(TARGETS, steps, strict=True)}


def time_page(book: Path, song: Path) -> dict[str, float]:
    """Use the page as a reader does, in a fresh browser; seconds for each step."""
    from playwright.sync_api import sync_playwright

    path = find_browser()
    if path is None:
        sys.exit(f"error: no browser: none of {', '.join(BROWSERS)} was found")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{book.resolve().as_uri()}/book/live.html")

        def curve() -> None:
            page.set_input_files("#live-file", song)
            page.locator(".live-curve").wait_for()

        def invert(share: float | None) -> None:
            if share is not None:
                width = page.locator(".live-plot").bounding_box()["width"]
                page.locator(".live-plot").click(position={"x": share * width, "y": 20})
            page.locator(".live-panel").nth(8).wait_for()
            page.locator(".live-busy").wait_for(state="hidden")

        seconds = time_steps(curve, invert)
        browser.close()
    return seconds


def time_pytorch(song: Path) -> dict[str, float]:
    """Do the same with PyTorch; seconds for each step."""
    detector, inverters = pretrained("detector"), pretrained_inverters("aligned")
    held: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def curve() -> None:
        held["song"] = detector.standardizer(LogMel()(load_audio(song)))
        smooth(detector.predict_song(held["song"]).numpy())

    @torch.no_grad()
    def invert(share: float | None) -> None:
        start = int((0.5 if share is None else share) * (len(held["song"]) - EXCERPT_FRAMES))
        excerpt = held["song"][None, None, start : start + EXCERPT_FRAMES]
        features = detector.features(excerpt)
        # Sounds are made when they are asked for, there as here.
        detector(torch.cat([excerpt, *(inverter(features[layer]) for layer, inverter in inverters.items())]))

    return time_steps(curve, invert)


def tables(book: Path, length: float, options: Options) -> list[Table]:
    """Measure page and PyTorch in turn."""
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.mp3"
        song.write_bytes(encode_mp3(make_samples(length)))
        rounds = [(time_page(book, song), time_pytorch(song)) for _ in range(options.rounds)]
    rows = []
    for step, target in TARGETS.items():
        page, peer = ([times[way][step] for times in rounds] for way in (0, 1))
        share: Spread | None = spread([seconds / target for seconds in page]) if target else None
        rows.append(
            {"step": step, "page, s": spread(page), "of its target": share, "page / PyTorch": ratios(page, peer)}
        )
    remarks = (f"A song of {length:.0f} s as MP3; the targets, 25 s and 2 s, are for 180 s.",)
    return [Table("Your own sound, on one core", rows, remarks)]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=in_short(__doc__))
    parser.add_argument("--book", type=Path, default=Path("_build/html"), help="folder of the built book")
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the song")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    given = parser.parse_args()
    if not (given.book / "book" / "live.html").exists():
        sys.exit(f"error: {given.book} holds no built book: run `make book` first")
    on_one_core()
    report = measure(
        "live_page", lambda options: tables(given.book, given.seconds, options), Options(rounds=given.rounds)
    )
    if given.out:
        write(report, given.out)
    print(json.dumps(as_json(report), indent=1) if given.json else as_page(report))


if __name__ == "__main__":
    main()
