"""What the paper says, and what became of it here: a ledger, built from the stored results of the other studies.

    python -m svdlib.lab.studies.claims                          # prints the ledger
    python -m svdlib.lab.studies.claims --results FOLDER         # that of results other than the package's

Nothing is measured here. Each claim has a number with its 95 % interval over songs
(`svdlib.lab.studies.claim_numbers`), and two bounds that were fixed before the number was known: where it must lie for
the claim to be reproduced, and where it must lie for the claim to hold in direction, if not in size. The verdict
follows from where the interval lies.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from svdlib.compute.command_line import Parser
from svdlib.detector.model import LAYERS
from svdlib.errors import InputError
from svdlib.lab.analysis.intervals import Interval, change_interval
from svdlib.lab.analysis.verdicts import (
    CORPORA,
    DIFFERS,
    NOT_REPRODUCED,
    OWN,
    REAL,
    REPRODUCED,
    SECOND,
    UNDECIDED,
    Bounds,
    Claim,
    Entry,
    Reading,
    Results,
    judge,
)
from svdlib.lab.studies import as_json, load_results, run_program
from svdlib.lab.studies import claim_numbers as numbers


def _about(share: float) -> Bounds:
    """A percentage of the paper counts as reproduced within half of it on either side."""
    return Bounds(*sorted((0.5 * share, 1.5 * share)))


ALIGNED = ("aligned", "aligned, interior")
"""Aligned inverters judged by all cells, and without the border, where Conv1 and Conv2 see zeros."""

CLAIMS = (
    Claim(
        key="deepest",
        place=("04b_comparing_layers", "claim-order"),
        short="Largest error at FC8",
        said="The reconstruction error is largest for the deepest layer, FC8.",
        section="3.4",
        number="by what share the NRE of FC8 lies above the largest of the others",
        agrees=Bounds(low=0),
        direction=Bounds(low=0),
        unit="+.0%",
        measure=numbers.of_errors(numbers.lead_of_the_deepest),
    ),
    Claim(
        key="order",
        place=("04b_comparing_layers", "claim-order"),
        short="Error grows with depth",
        said="It decreases for representations inverted from shallower layers.",
        section="3.4",
        number="the smallest of the steps from layer to layer, in average steps: above 0 if the error always grows",
        agrees=Bounds(low=0),
        direction=Bounds(low=0),
        unit="+.2f",
        measure=numbers.of_errors(numbers.smallest_step),
        others=(*((OWN, family) for family in ALIGNED), (REAL, "published"), *((REAL, family) for family in ALIGNED)),
    ),
    Claim(
        key="conv2-mp3",
        place=("04b_comparing_layers", "claim-conv2-mp3"),
        short="Jump from Conv2 to MP3",
        said="There is a large increase between Conv2 and MP3.",
        section="3.4",
        number="the step from Conv2 to MP3, in average steps",
        agrees=Bounds(low=1),
        direction=Bounds(low=0),
        unit="+.1f",
        measure=numbers.of_errors(lambda errors: numbers.relative_step(errors, "conv2", "mp3")),
    ),
    Claim(
        key="mp6-fc7",
        place=("04b_comparing_layers", "claim-mp6-fc7"),
        short="MP6 to FC7, +15 %",
        said="The NRE changes by about 15 % between MP6 and FC7.",
        section="5",
        number="relative change of the NRE from MP6 to FC7",
        agrees=_about(0.15),
        direction=Bounds(low=0),
        unit="+.1%",
        measure=numbers.of_errors(lambda errors: change_interval(errors["mp6"], errors["fc7"])),
    ),
    Claim(
        key="conv5-fc7",
        place=("04b_comparing_layers", "claim-conv5-fc7"),
        short="FC7 to Conv5, \u221218 %",
        said="The average NRE is about 18 % less for Conv5 than for FC7.",
        section="4",
        number="relative change of the NRE from FC7 to Conv5",
        agrees=_about(-0.18),
        direction=Bounds(high=0),
        unit="+.1%",
        measure=numbers.of_errors(lambda errors: change_interval(errors["fc7"], errors["conv5"])),
    ),
    Claim(
        key="second-corpus",
        place=("04b_comparing_layers", "claim-second-corpus"),
        short="Second corpus worse from MP3 on",
        said="On a second corpus the error is larger, from MP3 on.",
        section="3.4",
        number="relative change of the mean NRE of MP3 to FC8, from the test songs to the other corpus",
        agrees=Bounds(low=0),
        direction=Bounds(low=0),
        unit="+.1%",
        measure=numbers.second_corpus(LAYERS[2:]),
        main=(SECOND, "published"),
        others=((SECOND, "aligned"), (REAL, "published"), (REAL, "aligned")),
    ),
    Claim(
        key="second-corpus-shallow",
        place=("04b_comparing_layers", "claim-second-corpus"),
        short="Second corpus no worse at Conv1, Conv2",
        said="For Conv1 and Conv2 it is not.",
        section="3.4",
        number="relative change of the mean NRE of Conv1 and Conv2, from the test songs to the other corpus",
        agrees=Bounds(high=0.05),
        direction=Bounds(high=0.05),
        unit="+.1%",
        measure=numbers.second_corpus(LAYERS[:2]),
        main=(SECOND, "published"),
        others=((SECOND, "aligned"), (REAL, "published"), (REAL, "aligned")),
    ),
    Claim(
        key="objectives",
        place=("04b_comparing_layers", "claim-objectives"),
        short="Input loss alone is as good",
        said="Trained with the input loss alone, the NRE is similar or slightly lower.",
        section="3.4",
        number="relative change of the NRE, mean over layers, from the joint loss to the input loss alone",
        agrees=Bounds(-0.1, 0.02),
        direction=Bounds(high=0.02),
        unit="+.1%",
        measure=numbers.objectives,
        others=((REAL, "published"),),
    ),
    Claim(
        key="fc8-structure",
        place=("05b_kept_structure", "claim-structure"),
        short="FC8 keeps neither onsets nor harmonics",
        said="FC8 does not retain any of the temporal or harmonic structures.",
        section="5",
        number="onset or harmonic match of its inversions less that of other excerpts' inversions, the larger one",
        agrees=Bounds(high=0.05),
        direction=Bounds(high=0.05),
        unit="+.2f",
        measure=numbers.kept("fc8", "onset_match", "harmonic_match"),
    ),
    Claim(
        key="fc8-class",
        place=("05c_class_and_neighbours", "claim-class"),
        short="FC8 paints the class",
        said="FC8's inversions have high frequencies for vocal excerpts and low ones for non-vocal excerpts.",
        section="4",
        number="AUC of high minus low as a detector of the detector's own decision",
        agrees=Bounds(low=0.75),
        direction=Bounds(low=0.5),
        unit=".2f",
        measure=numbers.class_dependence,
    ),
    Claim(
        key="fc7-harmonics",
        place=("05b_kept_structure", "claim-structure"),
        short="FC7 keeps some harmonics",
        said="FC7 preserves some harmonic information.",
        section="4",
        number="harmonic match of its inversions less that of other excerpts' inversions",
        agrees=Bounds(low=0.05),
        direction=Bounds(low=0),
        unit="+.2f",
        measure=numbers.kept("fc7", "harmonic_match"),
    ),
    Claim(
        key="fc7-onsets",
        place=("05b_kept_structure", "claim-structure"),
        short="FC7 keeps rough onsets",
        said="FC7 preserves approximate onset locations.",
        section="4",
        number="onset match of its inversions less that of other excerpts' inversions",
        agrees=Bounds(low=0.05),
        direction=Bounds(low=0),
        unit="+.2f",
        measure=numbers.kept("fc7", "onset_match"),
    ),
    Claim(
        key="bijective",
        place=("08b_what_optimisation_shows", "claim-bijective"),
        short="Conv1 and Conv2 can be undone",
        said="Conv1 and Conv2 act as a bijective map.",
        section="4",
        number="NRE of the excerpt that is optimised until its feature agrees, for the worse of both layers",
        agrees=Bounds(high=0.1),
        direction=Bounds(high=0.35),
        unit=".3f",
        measure=numbers.optimised_excerpts,
        main=(OWN, "optimised"),
        others=((REAL, "optimised"), (OWN, "aligned"), (OWN, "published")),
    ),
)  # fmt: skip
"""In the order of the paper's own argument."""

BECAUSE: dict[tuple[str, str], str] = {
    ("deepest", REPRODUCED): (
        "FC8's feature is the smallest: 64 numbers for an excerpt of 9200. Nearly any inverter must find it the "
        "hardest."
    ),
    ("order", UNDECIDED): (
        "A deeper layer is computed from a shallower one and cannot know more. So where the error does not grow, the "
        "inverters differ, not the layers. Published ones fail to see parts of the excerpt from MP3 on, each layer in "
        "its own way: Conv4 comes out no worse than MP3. With aligned inverters the error grows at every step, on our "
        "songs and on the real ones."
    ),
    ("conv2-mp3", REPRODUCED): (
        "Pooling keeps one value of nine. But much of this step is the published inverter's own: with inverters that "
        "fit the geometry of pooling, it is less than half as large, in average steps."
    ),
    ("mp6-fc7", DIFFERS): (
        "More, as the paper says, but how much depends on the inverter. With published inverters it is less than in "
        "the paper; with aligned ones it is more, because MP6 can be inverted far better than they do."
    ),
    ("conv5-fc7", REPRODUCED): (
        "The size agrees. It is a property of the published inverters, though: with aligned ones, which invert Conv5 "
        "far better, the gap is more than twice as large."
    ),
    ("second-corpus", UNDECIDED): (
        "With published inverters, these songs cannot tell. With aligned ones the error is surely larger on the other "
        "synthetic songs, while on real songs it is not. The paper gives no intervals, and has 16 and 20 songs as "
        "well."
    ),
    ("second-corpus-shallow", UNDECIDED): (
        "With published inverters, nothing can be said. The aligned ones, which err less, do worse on the other "
        "synthetic songs at these layers, too."
    ),
    ("objectives", REPRODUCED): (
        "There is hardly a difference to find. Both losses are means, as in the released code, and then the gradient "
        "of the feature loss is so short beside that of the input loss that it moves nothing. In the released code it"
        " does not arrive at all. The chapter on what an inverter is asked for gives it more."
    ),
    ("fc8-structure", NOT_REPRODUCED): (
        "No harmonics, as the paper says. But over thousands of excerpts a trace of the onsets remains, and it is more "
        "than the 0.05 that FC7 must keep for its own claims. One bar for both layers: an earlier version of this "
        "ledger let FC8 have up to 0.2."
    ),
    ("fc8-class", UNDECIDED): (
        "On our songs the inversions of both answers do not differ surely in this number. FC8 does carry the answer, "
        "one linear step away from it; our inverters do not paint it as high against low frequencies. Those that are "
        "asked for it paint it as fine texture: see the chapter on the round trip."
    ),
    ("fc7-harmonics", DIFFERS): (
        "There is a trace, surely above chance, but so small that it is hardly what the authors saw. Our measure "
        "takes only fine lines for harmonics; a broad band of energy may look harmonic to the eye."
    ),
    ("fc7-onsets", REPRODUCED): (
        "Most of all with aligned inverters: they put a sound where the feature says it was, while published ones let"
        " it drift."
    ),
    ("bijective", UNDECIDED): (
        "No network is needed to undo Conv1: started from noise, the excerpt itself is found. From Conv2 it is found "
        "up to a tenth of the distance between two excerpts, about where we had drawn the line, and the feature does "
        "not agree wholly yet. Trained inverters come less close, so their errors are not the layers'."
    ),
}
"""Why, by claim and verdict. Where it compares families, a test holds it to the numbers."""


def ledger(results: Results | None = None) -> list[Entry]:
    """Judge all claims.

    Args:
        results: per study of `claim_numbers.SOURCES` what it has found; None reads what the package has stored, and
            only for that there are explanations.

    Raises:
        KeyError: the stored results have changed, so that a verdict has no explanation in `BECAUSE`.

    Returns:
        An entry per claim that was measured, in the order of `CLAIMS`.
    """
    stored = {name: found for name in numbers.SOURCES if (found := load_results(name)) is not None}
    entries = []
    for claim in CLAIMS:
        readings = [_read(claim, stored if results is None else results, *of) for of in (claim.main, *claim.others)]
        if readings[0] is not None:
            known = tuple(reading for reading in readings if reading is not None)
            entries.append(Entry(claim, known, _explain(claim, known[0].verdict) if results is None else ""))
    return entries


def _explain(claim: Claim, verdict: str) -> str:
    if (claim.key, verdict) not in BECAUSE:
        raise KeyError(f"The claim {claim.key!r} is {verdict} now: its text must be written anew, in claims.BECAUSE.")
    return BECAUSE[claim.key, verdict]


def _read(claim: Claim, results: Results, begins: str, family: str) -> Reading | None:
    interval = claim.measure(results, begins, family)
    if interval is None:
        return None
    verdict = judge(interval, claim.agrees, claim.direction)
    return Reading(CORPORA[begins], family, interval, verdict)


def read_all(folder: Path) -> dict[str, Any]:
    """Read the results that studies have written into a folder, each as STUDY.json.

    Raises:
        InputError: if there is none.
    """
    found = {
        name: json.loads(path.read_text()) for name in numbers.SOURCES if (path := folder / f"{name}.json").is_file()
    }
    if not found:
        raise InputError(f"{folder} holds no results. Studies write them there as {', '.join(numbers.SOURCES)}.json.")
    return found


def to_json(entries: Sequence[Entry]) -> dict[str, Any]:
    """The ledger, ready for JSON."""
    claims = {
        entry.claim.key: {
            "said": entry.claim.said,
            "section": entry.claim.section,
            "number": entry.claim.number,
            "agrees": [entry.claim.agrees.low, entry.claim.agrees.high],
            "verdict": entry.verdict,
            "because": entry.because,
            "readings": [asdict(reading) for reading in entry.readings],
        }
        for entry in entries
    }
    return as_json({"study": "claims", "claims": claims})


def describe(result: Mapping[str, Any]) -> str:
    """The ledger as text for people."""
    lines = []
    for claim in result["claims"].values():
        lines += [
            "",
            f"{claim['verdict'].upper()}: {claim['said']} (section {claim['section']})",
            f"  {claim['number']}",
        ]
        for reading in claim["readings"]:
            where = f"{reading['corpus']}, {reading['family']}"
            number = Interval(**{key: math.nan if end is None else end for key, end in reading["interval"].items()})
            lines.append(f"    {where:36} {number:.3f}  {reading['verdict']}")
        lines += [f"  {claim['because']}"] if claim["because"] else []
    return "\n".join(lines[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the ledger; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.claims", description=__doc__)
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="read STUDY.json there, not the package's own")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        return to_json(ledger(read_all(options.results) if options.results else None))

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
