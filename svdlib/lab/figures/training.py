"""Learning curves of the inverters and of the detector."""

from collections.abc import Mapping, Sequence

from matplotlib import colormaps, rc_context
from matplotlib.ticker import LogLocator, MaxNLocator

from svdlib.inversion.training import Epoch
from svdlib.lab.figures.style import (
    BLUE,
    ORANGE,
    STYLE,
    Drawing,
    figure_width,
    is_for_phone,
    layer_title,
    legend_columns,
    two_layouts,
)


@two_layouts
def figure_training(history: Sequence[Epoch]) -> Drawing:
    """Draw the losses of a training run over its epochs.

    Args:
        history: one entry per epoch, from `svdlib.zoo.fitting.fit_inverters`.
    """
    with rc_context(STYLE):
        figure = Drawing(
            figsize=(figure_width(), 3.4 + 0.2 * len(history[0].training) * is_for_phone()), layout="constrained"
        )
        axes = figure.subplots()
        epochs = range(1, len(history) + 1)
        layers = list(history[0].training)
        for number, layer in enumerate(layers):
            colour = BLUE if len(layers) == 1 else _layer_colour(number, len(layers))
            name = layer_title(layer)
            axes.plot(
                epochs, [epoch.training[layer] for epoch in history], "o-", ms=4, color=colour, label=f"{name} training"
            )
            axes.plot(
                epochs,
                [epoch.validation[layer] for epoch in history],
                "s--",
                ms=4,
                color=colour,
                mfc="white",
                label=f"{name} validation",
            )
        axes.set(yscale="log", xlabel="epoch", ylabel="loss (log scale)")
        axes.yaxis.set_major_formatter("{x:g}")
        low, high = axes.get_ylim()
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if high > 4 * low else range(2, 10)))
        axes.yaxis.set_minor_formatter("{x:g}")  # not as powers of ten
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
        _, names = axes.get_legend_handles_labels()
        if is_for_phone():
            figure.legend(loc="outside lower center", fontsize=8.5, ncols=legend_columns(names, 2))
        else:
            figure.legend(loc="outside right upper", fontsize=8.5)
    return figure


def _layer_colour(number: int, count: int) -> tuple[float, float, float, float]:
    return colormaps["viridis"](0.9 * number / max(1, count - 1))


@two_layouts
def figure_detector_training(history: Sequence[Mapping[str, float]]) -> Drawing:
    """Draw the losses of a training of the detector over its epochs.

    Args:
        history: one entry per epoch, with "training" and "validation".
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.2), layout="constrained")
        axes = figure.subplots()
        for key, colour, look in (("training", BLUE, "o-"), ("validation", ORANGE, "s--")):
            axes.plot(
                range(1, len(history) + 1), [epoch[key] for epoch in history], look, ms=4, color=colour, label=key
            )
        axes.set(xlabel="epoch", ylabel="cross-entropy", ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
        figure.legend(loc="outside lower center", ncols=2)
    return figure


WATCHED = {"watched_mean_auc": ("mean AUC of songs", BLUE, "o-"), "watched_accuracy": ("accuracy", ORANGE, "s--")}
"""The scores that are drawn: name, colour and look."""


@two_layouts
def figure_learning_curve(updates: Sequence[int], curves: Sequence[Mapping[str, Sequence[float] | None]]) -> Drawing:
    """Draw how well detectors do on real songs while they learn, each training as lines of its own.

    Args:
        updates: after how many the scores were measured.
        curves: per training, scores at these by the names of `WATCHED`; without those that are not known.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.2), layout="constrained")
        axes = figure.subplots()
        for number, curve in enumerate(curves):
            for key, (label, colour, look) in WATCHED.items():
                if scores := curve.get(key):
                    name = "_" + label if number else label  # one entry for all
                    axes.plot(updates, scores, look, ms=4, color=colour, label=name)
        axes.set(xlabel="updates", ylabel="score on real songs", xlim=(0, None), ylim=(None, 1))
        figure.legend(loc="outside lower center", ncols=2)
    return figure
