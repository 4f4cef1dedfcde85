"""How the time of training and of the front end grows with the size of the task.

python -m benchmarks.scaling [--device cuda] [--quick] [--rounds 3] [--json] [--out FILE]
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from benchmarks.flops import count_update
from benchmarks.inverter_training import time_fit
from benchmarks.measuring import Options, Table, in_turn, ratios, script
from svdlib.detector.model import LAYERS


def by_layers(options: Options) -> Table:
    """The detector's pass is shared, so eight layers must cost less than the sum of each alone."""
    counts = (1, 2) if options.quick else (1, 2, 4, 8)
    batch, steps = sizes(options)
    # From the deepest up: its inverter is cheap, so that what is shared weighs most.
    chosen = {count: LAYERS[-count:] for count in counts}
    found = in_turn(
        {str(count): partial(time_fit, options.device, batch, steps, chosen[count]) for count in counts}, options
    )
    least = count_update(chosen[1]).total
    rows = [
        {
            "layers": f"{count}: {chosen[count][0]}–{LAYERS[-1]}" if count > 1 else f"1: {LAYERS[-1]}",
            "time per update, times that of one": ratios(found[str(count)], found["1"]),
            "counted operations, times": count_update(chosen[count]).total / least,
        }
        for count in counts
    ]
    return Table(f"Layers trained at once, {batch} excerpts per update", rows)


def by_batch(options: Options) -> Table:
    batches = (2, 4) if options.quick else (8, 16, 32, 64, 256) if on_gpu(options) else (8, 16, 32, 64)
    _, steps = sizes(options)
    layers = LAYERS[-1:] if options.quick else LAYERS
    found = in_turn({str(batch): partial(time_fit, options.device, batch, steps, layers) for batch in batches}, options)
    rows = [
        {
            "excerpts per update": batch,
            "time per excerpt, times that of the smallest": ratios(found[str(batch)], found[str(batches[0])]),
        }
        for batch in batches
    ]
    return Table(f"Size of a batch, {len(layers)} layers at once", rows)


def by_excerpts(options: Options) -> Table:
    """The time of an update must not depend on how many excerpts there are to choose from."""
    counts = (10, 100) if options.quick else (1_000, 10_000, 100_000)
    batch, steps = sizes(options)
    layers = LAYERS[-1:]
    way = partial(time_fit, options.device, batch, steps, layers)
    found = in_turn({str(count): partial(way, excerpts=count) for count in counts}, options)
    rows = [
        {
            "excerpts": count,
            "time per update, times that of the fewest": ratios(found[str(count)], found[str(counts[0])]),
        }
        for count in counts
    ]
    remark = "Must be 1 throughout: an excerpt is cut out when it is needed, wherever it lies."
    return Table(f"Number of training excerpts, {layers[0]} alone", rows, [remark])


def by_processes(options: Options) -> Table:
    """Songs of the synthetic corpus rendered and transformed, nothing from the cache."""
    title = "Processes that compute log-mels (SVDLIB_PROCESSES)"
    missing = [package for package in ("joblib", "scipy", "pyloudnorm") if not find_spec(package)]
    if missing:
        return Table(title, [{"processes": "not measured"}], [f"Needs {', '.join(missing)}."])
    counts = [count for count in (1, 2, 4, 8, 16) if count <= max(2, os.cpu_count() or 1)]
    songs, seconds = (3, 5) if options.quick else (16, 30)
    found = in_turn({str(count): partial(time_log_mels, songs, seconds, count) for count in counts}, options)
    rows = [{"processes": count, "times as fast as one": ratios(found["1"], found[str(count)])} for count in counts]
    return Table(f"{title}, {songs} songs of {seconds} s", rows, ["The start of the processes is counted."])


def time_log_mels(songs: int, seconds: int, processes: int) -> float:
    """Seconds on the clock of the wall: the work is done in other processes."""
    from svdlib.songs.corpora import open_corpus
    from svdlib.songs.loading import load_songs

    corpus = open_corpus(f"synthetic:songs={songs},seconds={seconds}")
    with tempfile.TemporaryDirectory() as empty:
        begun = time.perf_counter()
        load_songs(corpus.tracks, cache_dir=empty, processes=processes)
        return time.perf_counter() - begun


def sizes(options: Options) -> tuple[int, int]:
    """Excerpts per update, and timed updates."""
    return (2, 1) if options.quick else (32, 50) if on_gpu(options) else (16, 3)


def on_gpu(options: Options) -> bool:
    return options.device.startswith("cuda")


TABLES: tuple[Callable[[Options], Table], ...] = (by_layers, by_batch, by_excerpts, by_processes)
"""What is measured, in this order. Training in several processes gets its table here."""


def tables(options: Options) -> list[Table]:
    return [table(options) for table in TABLES]


if __name__ == "__main__":
    script("scaling", __doc__, tables)
