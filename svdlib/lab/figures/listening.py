"""Figures of the chapter on listening; nothing is computed here."""

from collections.abc import Mapping

from matplotlib import rc_context

from svdlib.lab.figures.style import BLUE, GREY, ORANGE, STYLE, Drawing, layer_title


def figure_rounds(differences: Mapping[int, float]) -> Drawing:
    """Draw what is left of the difference after some rounds of Griffin and Lim's algorithm.

    Args:
        differences: per number of rounds, an audible difference in decibels.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(4.6, 2.6), layout="constrained")
        axes = figure.subplots()
        axes.semilogx(list(differences), list(differences.values()), "o-", base=2, color=BLUE)
        axes.set_xticks(list(differences), [str(rounds) for rounds in differences])
        axes.set_ylim(0, None)
        axes.set_xlabel("rounds")
        axes.set_ylabel("audible difference (dB)")
    return figure


def figure_differences(differences: Mapping[str, tuple[float, float]], route: float) -> Drawing:
    """Draw how far inversions are from originals, as pictures and as sounds.

    Args:
        differences: per layer, the audible difference of pictures and of sounds, in decibels.
        route: that of originals before and after the way to sound.
    """
    layers = list(differences)
    with rc_context(STYLE):
        figure = Drawing(figsize=(4.6, 3.0), layout="constrained")
        axes = figure.subplots()
        for place, (name, mark, colour) in enumerate((("pictures", "o-", BLUE), ("sounds", "D--", ORANGE))):
            axes.plot([differences[layer][place] for layer in layers], mark, color=colour, label=name)
        axes.axhline(route, color=GREY, linestyle=":", label="the way to sound, originals")
        axes.set_xticks(range(len(layers)), [layer_title(layer) for layer in layers], rotation=30)
        axes.set_ylim(0, None)
        axes.set_ylabel("audible difference (dB)")
        axes.legend(loc="best")
    return figure
