"""The ledger of claims: verdicts on hand-made results, and the texts of the book against the stored results."""

import json

import numpy as np
import pytest
from places import ROOT
from scipy.stats import norm

from svdlib.detector.model import LAYERS
from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.analysis.verdicts import (
    DIFFERS,
    NOT_REPRODUCED,
    OWN,
    REAL,
    REPRODUCED,
    SECOND,
    UNDECIDED,
    VERDICTS,
    Bounds,
    Claim,
    Entry,
    Expectation,
    Reading,
    chance,
    judge,
    standing,
    table_of,
)
from svdlib.lab.studies import claim_numbers as numbers
from svdlib.lab.studies import claims, load_results
from svdlib.lab.studies.claims import CLAIMS, ledger

ISSUE = {
    "the order of the NRE over the layers": {"deepest", "order"},
    "Conv5 18 % below FC7": {"conv5-fc7"},
    "15 % between MP6 and FC7": {"mp6-fc7"},
    "the jump from Conv2 to MP3": {"conv2-mp3"},
    "second corpus worse except at Conv1 and Conv2": {"second-corpus", "second-corpus-shallow"},
    "input-only about equal to joint": {"objectives"},
    "FC8 keeps no harmonic and no temporal structure": {"fc8-structure"},
    "FC8 splits by high against low frequencies": {"fc8-class"},
    "FC7 keeps some harmonics and rough onsets": {"fc7-harmonics", "fc7-onsets"},
    "Conv1 and Conv2 nearly bijective": {"bijective"},
}


# --- verdicts ---


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.10, 0.20), REPRODUCED),
        ((0.03, 0.06), DIFFERS),  # more, but not as much more
        ((0.30, 0.40), DIFFERS),
        ((0.05, 0.10), UNDECIDED),  # as much more, or not
        ((-0.02, 0.04), UNDECIDED),
        ((-0.02, 0.20), UNDECIDED),
        ((-0.20, -0.10), NOT_REPRODUCED),
        ((np.nan, np.nan), UNDECIDED),  # one song
    ],
)
def test_the_verdict_follows_from_where_the_interval_lies(ends, verdict):
    assert judge(Interval(np.mean(ends), *ends), Bounds(0.075, 0.225), Bounds(low=0)) == verdict


def claim_of(agrees, direction):
    return Claim("x", ("", ""), "", "", "", "", agrees, direction, ".2f", lambda *_: None)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0.1, 0.2), 2 * norm.sf(0.075 / 0.025510673)),  # 0.15, three deviations from 0.075 and from 0.225
        ((0.3, 0.4), 2 * norm.sf(0.125 / 0.025510673)),  # from 0.225; farther from no direction at 0
        ((-0.2, -0.1), 2 * norm.sf(0.15 / 0.025510673)),
        ((-0.02, 0.2), 1),
    ],
)
def test_the_chance_of_a_verdict_is_that_of_its_distance_from_the_nearest_bound(ends, expected):
    claim, interval = claim_of(Bounds(0.075, 0.225), Bounds(low=0)), Interval(np.mean(ends), *ends)
    assert chance(interval, claim, judge(interval, claim.agrees, claim.direction)) == pytest.approx(expected, rel=1e-6)


def test_of_many_verdicts_those_stand_that_the_rule_of_benjamini_and_hochberg_leaves():
    claim = claim_of(Bounds(low=0), Bounds(low=0))
    # One deviation is a quarter of the interval, nearly: the lower ends lie 0.02 to 3 of them above the bound.
    found = [Interval(1.96 + above, above, 3.92 + above) for above in (0.02, 3, 0.2, 0.9, -1)]
    entries = [Entry(claim, (Reading("", "", each, judge(each, claim.agrees, claim.direction)),), "") for each in found]
    chances = sorted(2 * norm.sf(1.96 + above) for above in (0.02, 3, 0.2, 0.9)) + [1]
    most = max(rank for rank, each in enumerate(chances, start=1) if each <= 0.05 * rank / len(chances))
    assert most == 2  # all four are under 0.05, but not all under their share of it
    assert standing(entries) == [False, True, False, True, False]


def test_the_table_of_expectations_has_a_row_for_each_and_a_column_for_each_corpus():
    def number(measured):
        return Interval(*measured["numbers"])

    more = Expectation("task", "It is more.", number, Bounds(low=0))
    share = Expectation("geometry", "It is less than a half.", number, Bounds(high=0.5), "+.0%")
    corpora = {"ours": {"numbers": (0.25, 0.1, 0.4)}, "real songs": {"numbers": (0.6, 0.4, 0.8)}}
    corpora["none"] = {"numbers": (np.nan, np.nan, np.nan)}
    assert table_of((more, share), corpora) == [
        {
            "about": "task",
            "expected": "It is more.",
            "ours": "+0.250, holds",
            "real songs": "+0.600, holds",
            "none": "open",
        },
        {
            "about": "geometry",
            "expected": "It is less than a half.",
            "ours": "+25%, holds",
            "real songs": "+60%, open",
            "none": "open",
        },
    ]


def test_what_agrees_lies_in_the_direction():
    for claim in CLAIMS:
        assert claim.direction.low <= claim.agrees.low <= claim.agrees.high <= claim.direction.high, claim.key


def test_bounds_can_be_said():
    assert Bounds(low=0).in_words("+.0%") == "above 0%" and Bounds(high=0.05).in_words(".2f") == "below 0.05"
    assert Bounds(0.075, 0.225).in_words("+.1%") == "from +7.5% to +22.5%"


def test_percentages_agree_within_half_of_them():
    bounds = {claim.key: claim.agrees for claim in CLAIMS}
    assert (bounds["mp6-fc7"].low, bounds["mp6-fc7"].high) == pytest.approx((0.075, 0.225))
    assert (bounds["conv5-fc7"].low, bounds["conv5-fc7"].high) == pytest.approx((-0.27, -0.09))


# --- numbers ---


def errors(values, songs=12, spread=0.01):
    """Per layer, errors of songs around a value; what makes a song hard is the same for all layers."""
    hardness = np.random.default_rng(0).normal(0, spread, songs)
    return {layer: (value + hardness).tolist() for layer, value in zip(LAYERS, values, strict=True)}


def measured(values, **options):
    found = errors(values, **options)
    families = ("published", "aligned")
    between = (1 - np.eye(len(found[LAYERS[0]]))).tolist()
    layers = {
        layer: {family: {"per_song": each, "interior": {"per_song": each}} for family in families}
        for layer, each in found.items()
    }
    return {"between": between, "layers": layers}


RISING = (0.1, 0.15, 0.4, 0.42, 0.44, 0.5, 0.55, 0.6)


def test_numbers_of_errors_are_what_one_computes_by_hand():
    of = errors(RISING, spread=0)
    assert numbers.lead_of_the_deepest(of).value == pytest.approx(0.6 / 0.55 - 1)
    assert numbers.smallest_step(of).value == pytest.approx(0.02 / (0.5 / 7))
    assert numbers.relative_step(of, "conv2", "mp3").value == pytest.approx(0.25 / (0.5 / 7))


def test_a_fall_is_found_whatever_the_songs():
    step = numbers.smallest_step(errors((0.1, 0.15, 0.45, 0.42, 0.44, 0.5, 0.55, 0.6), spread=0.1))
    assert step.value == pytest.approx(-0.03 / (0.5 / 7)) and step.high < 0


def test_the_second_corpus_is_compared_layer_group_by_layer_group():
    worse = [value * (1.2 if number > 1 else 1) for number, value in enumerate(RISING)]
    results = {
        "reconstruction_error": {
            "corpora": {
                "synthetic": measured(RISING, spread=0.001),
                "synthetic-c:songs=9": measured(worse, songs=9, spread=0.001),
            }
        }
    }
    deep = numbers.second_corpus(LAYERS[2:])(results, SECOND, "published")
    assert deep.value == pytest.approx(0.2, abs=0.01) and deep.lies_above(0.15)
    shallow = numbers.second_corpus(LAYERS[:2])(results, SECOND, "published")
    assert shallow.value == pytest.approx(0, abs=0.02)
    assert numbers.second_corpus(LAYERS)(results, REAL, "published") is None


def test_objectives_are_compared_over_the_layers():
    def training(name, values):
        layers = errors(values)
        scored = {layer: {"best": {"synthetic test songs": {"per_song": each}}} for layer, each in layers.items()}
        return {"name": name, "layers": scored}

    results = {"inverter_ablation": {"configurations": [training("joint", RISING), training("input", RISING[::-1])]}}
    assert numbers.objectives(results, OWN, "published").value == pytest.approx(0)
    results["inverter_ablation"]["configurations"][1] = training("input", [0.9 * value for value in RISING])
    assert numbers.objectives(results, OWN, "published").value == pytest.approx(-0.1, abs=0.01)
    assert numbers.objectives(results, OWN, "aligned") is None


def test_what_is_kept_counts_beyond_chance():
    found = {
        "onset_match": {"per_song": [0.3, 0.4, 0.5], "chance_per_song": [0.3, 0.4, 0.5]},
        "harmonic_match": {"per_song": [0.5, None, 0.6, 0.7], "chance_per_song": [0.1, 0.9, 0.2, 0.3]},
    }
    results = {"kept_structure": {"corpora": {"synthetic": {"layers": {"fc8": {"published": found}}}}}}
    assert numbers.kept("fc8", "onset_match")(results, OWN, "published") == Interval(0, 0, 0)
    both = numbers.kept("fc8", "onset_match", "harmonic_match")(results, OWN, "published")
    assert (both.value, both.low, both.high) == pytest.approx((0.4, 0.4, 0.4))


# --- the ledger of this repository ---


def test_the_ledger_has_a_verdict_with_an_interval_for_every_claim():
    entries = {entry.claim.key: entry for entry in ledger()}
    assert set(entries) == set().union(*ISSUE.values())
    for entry in entries.values():
        assert entry.verdict in VERDICTS and entry.because
        assert all(reading.interval.is_known for reading in entry.readings), entry.claim.key
        assert {reading.corpus for reading in entry.readings} >= {"real songs"}, entry.claim.key


def test_a_changed_result_asks_for_another_text(monkeypatch):
    stored = {name: load_results(name) for name in numbers.SOURCES}
    turned = json.loads(json.dumps(stored))
    for by_family in turned["reconstruction_error"]["corpora"]["synthetic"]["layers"].values():
        by_family["published"]["per_song"] = [1 - value for value in by_family["published"]["per_song"]]
    changed = {entry.claim.key: entry for entry in ledger(turned)}
    assert changed["deepest"].verdict == NOT_REPRODUCED and not changed["deepest"].because
    monkeypatch.setattr(claims, "load_results", turned.get)
    with pytest.raises(KeyError, match="text must be written"):
        ledger()


def test_every_explanation_is_of_a_claim_and_its_present_verdict():
    present = {(entry.claim.key, entry.verdict) for entry in ledger()}
    assert set(claims.BECAUSE) == present, "texts for verdicts that are no longer there mislead whoever reads the code"


def test_what_the_explanations_say_of_both_families_is_so():
    value = {
        (entry.claim.key, reading.corpus, reading.family): reading.interval
        for entry in ledger()
        for reading in entry.readings
    }

    def of(key, family):
        return value[key, "synthetic test songs", family]

    assert of("conv2-mp3", "aligned").value < of("conv2-mp3", "published").value / 2
    assert of("mp6-fc7", "published").lies_below(0.15) and of("mp6-fc7", "aligned").lies_above(0.15)
    assert of("conv5-fc7", "aligned").value < 2 * of("conv5-fc7", "published").value < 0
    assert of("fc7-onsets", "aligned").value > of("fc7-onsets", "published").value
    for songs in ("synthetic test songs", "real songs"):
        for family in ("aligned", "aligned, interior"):
            assert value["order", songs, family].lies_above(0)
    for key in ("second-corpus", "second-corpus-shallow"):
        assert value[key, "synthetic-c", "aligned"].lies_above(0)
        for reading in (("synthetic-c", "published"), ("real songs", "published"), ("real songs", "aligned")):
            assert value[(key, *reading)].low < 0 < value[(key, *reading)].high
    assert of("bijective", "optimised").value < of("bijective", "aligned").value < of("bijective", "published").value
    kept = next(iter(load_results("kept_structure")["corpora"].values()))["layers"]["fc8"]["published"]
    assert kept["harmonic_match"]["mean"] - kept["harmonic_match"]["chance"] < 0.05
    stored = load_results("reconstruction_error")["corpora"]["synthetic"]["layers"]
    falls = {
        family: [
            one
            for one, other in zip(LAYERS, LAYERS[1:], strict=False)
            if stored[other][family]["nre"] < stored[one][family]["nre"]
        ]
        for family in ("published", "aligned")
    }
    assert falls == {"published": ["mp3"], "aligned": []}


def test_the_book_computes_each_claim_where_the_ledger_points():
    for claim in CLAIMS:
        chapter, label = claim.place
        source = (ROOT / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8")
        assert f"# ({label})=\n" in source, claim.key


def test_the_program_reads_other_results(tmp_path, capsys):
    assert claims.main(["--results", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err
    found = {"corpora": {"synthetic": measured(RISING)}}
    (tmp_path / "reconstruction_error.json").write_text(json.dumps(found))
    assert claims.main(["--results", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "REPRODUCED: The reconstruction error is largest" in printed and "bijective" not in printed


def test_the_program_prints_and_writes_the_ledger(tmp_path, capsys):
    out = tmp_path / "claims.json"
    assert claims.main(["--out", str(out)]) == 0
    printed, written = capsys.readouterr().out, json.loads(out.read_text())
    for entry in ledger():
        assert entry.claim.said in printed and written["claims"][entry.claim.key]["verdict"] == entry.verdict
