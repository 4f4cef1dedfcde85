"""Which cells of an excerpt made the detector answer as it did? Four families of local explanations.

Each gives a map with a value per cell: how much the cell speaks for singing, in the unit of the logit. The gradient
alone has no direction: it says how much the answer would react. Gradients come from captum (Kokhlikyan et al. 2020);
regions that are switched on and off, and a linear model of what happens, are SLIME (Mishra, Sturm & Dixon, ISMIR 2017).
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.model import LAYER_SHAPES, SVDNet
from svdlib.errors import InputError, PackageError
from svdlib.inversion.geometry import receptive_field
from svdlib.inversion.nre import reconstruct
from svdlib.lab.analysis.masking import BATCH, keep, logits_of

GRAD_CAM_LAYER = "conv5"
"""The deepest convolution (Selvaraju et al. 2017, section 3, take the last one)."""

IG_STEPS = 12
"""Points of the path at which gradients are taken, with the weights of Gauss and Legendre."""

GRIDS = {"time": (10, 1), "frequency": (1, 8), "time-frequency": (6, 4)}
"""Number of regions along time and along frequency, for SLIME."""

SLIME_SAMPLES = 64
"""Perturbations of each excerpt: more than twice as many as there are regions of time and frequency together."""

KERNEL_WIDTH = 0.25
"""How quickly a perturbation counts for less the more regions are off (that of LIME for pictures)."""


INVERTED_LAYERS = ("fc8", "mp6")
"""Whose inversions stand beside the local explanations: the deepest layer, as in the authors' study, and the deepest
layer that still has a time axis."""

SIGNED = ("input-x-gradient", "integrated-gradients", "grad-cam", "slime")
"""The maps that say which way a cell pushes the answer."""

MAP_TITLES = {
    "inversion-fc8": "inversion of FC8",
    "inversion-mp6": "inversion of MP6",
    "gradient": "gradient",
    "input-x-gradient": "input × gradient",
    "integrated-gradients": "integrated gradients",
    "grad-cam": "Grad-CAM",
    "slime": "SLIME",
    "loudness": "loudness",
    "voice": "true voice",
}
"""What each map is called in figures and tables."""


def require_captum() -> None:
    """Make sure that the package `captum` is installed; raise PackageError otherwise."""
    try:
        import captum  # noqa: F401
    except ImportError:
        raise PackageError(
            "Gradients, integrated gradients and Grad-CAM are computed with the package captum. "
            "Add it with: pip install captum"
        ) from None


def gradient(detector: nn.Module, x: Tensor) -> Tensor:
    """How strongly the logit reacts to each cell: the size of its gradient (Simonyan et al. 2014).

    Args:
        detector: gives logits (n, 1) for excerpts; in eval mode.
        x: standardised excerpts (n, 1, 115, 80).

    Returns:
        Maps (n, 115, 80), logits per deviation, none negative.

    Raises:
        PackageError: if captum is not installed.
    """
    require_captum()
    from captum.attr import Saliency

    return _piecewise(Saliency(detector).attribute, x)


def input_times_gradient(detector: nn.Module, x: Tensor) -> Tensor:
    """The gradient of each cell multiplied by its value: what a linear detector would owe to it, counted from 0.

    Args:
        detector: gives logits (n, 1) for excerpts; in eval mode.
        x: standardised excerpts (n, 1, 115, 80).

    Returns:
        Maps (n, 115, 80), in logits.

    Raises:
        PackageError: if captum is not installed.
    """
    require_captum()
    from captum.attr import InputXGradient

    return _piecewise(InputXGradient(detector).attribute, x)


def integrated_gradients(
    detector: nn.Module, x: Tensor, baseline: Tensor | None = None, steps: int = IG_STEPS
) -> Tensor:
    """Gradients added up on the straight way from a baseline to the excerpt (Sundararajan et al. 2017).

    The values of a map add up to the logit of the excerpt minus that of the baseline, as far as the steps are fine
    enough ("completeness").

    Args:
        detector: gives logits (n, 1) for excerpts; in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        baseline: a standardised excerpt (1, 1, 115, 80) to start from; None takes 0, every band at its mean.
        steps: number of points on the way.

    Returns:
        Maps (n, 115, 80), in logits.

    Raises:
        PackageError: if captum is not installed.
    """
    require_captum()
    from captum.attr import IntegratedGradients

    start = torch.zeros_like(x[:1]) if baseline is None else baseline
    method = IntegratedGradients(detector)

    def attribute(piece: Tensor) -> Tensor:
        return method.attribute(piece, baselines=start, n_steps=steps, internal_batch_size=BATCH)

    return _piecewise(attribute, x)


def grad_cam(detector: SVDNet, x: Tensor, layer: str = GRAD_CAM_LAYER) -> Tensor:
    """The maps of a layer, each weighted by the mean of its gradient, added up (Selvaraju et al. 2017).

    Values below zero, which the paper sets to zero, are kept: the cells that speak against singing are then in order
    too. Between the cells of the layer values are interpolated, each cell standing in the middle of what it sees. These
    networks do not pad, so stretching the map to the size of the excerpt would put it at the wrong place.

    Args:
        detector: in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        layer: a convolutional or pooling layer.

    Returns:
        Maps (n, 115, 80); beyond the outermost cells the value of the nearest one.

    Raises:
        PackageError: if captum is not installed.
        LayerError: if the layer does not exist or is dense.
    """
    require_captum()
    from captum.attr import LayerGradCam

    field = receptive_field(detector, layer)
    _, n_times, n_bands = LAYER_SHAPES[layer]
    along_time = _between(n_times, field.stride, field.size, EXCERPT_FRAMES).to(x)
    along_bands = _between(n_bands, field.stride, field.size, N_BANDS).to(x)
    coarse = _piecewise(LayerGradCam(detector, detector.layers[layer]).attribute, x)
    return along_time @ coarse @ along_bands.T


def _between(n_cells: int, stride: int, size: int, n_frames: int) -> Tensor:
    """Weights (frames, cells) of the cells in each frame, for values that change in straight lines between cells."""
    places = (torch.arange(n_frames, dtype=torch.float64) - (size - 1) / 2) / stride
    places = places.clamp(0, n_cells - 1)
    return (1 - (places[:, None] - torch.arange(n_cells)).abs()).clamp(min=0)


def _piecewise(attribute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Explain a few excerpts at a time: maps (n, times, bands) without their channel."""
    return torch.cat([attribute(piece.detach().clone().requires_grad_()).detach()[:, 0] for piece in x.split(BATCH)])


def regions(times: int, bands: int) -> Tensor:
    """Divide an excerpt into a grid of regions, as equal as possible: the number of the region of each cell (115, 80).

    Args:
        times: number of regions along time.
        bands: number of regions along frequency.

    Raises:
        InputError: if there cannot be so many.
    """
    if not (1 <= times <= EXCERPT_FRAMES and 1 <= bands <= N_BANDS):
        raise InputError(f"A grid of {times} x {bands} regions does not fit {EXCERPT_FRAMES} x {N_BANDS} cells.")
    rows = torch.arange(EXCERPT_FRAMES) * times // EXCERPT_FRAMES
    columns = torch.arange(N_BANDS) * bands // N_BANDS
    return rows[:, None] * bands + columns


def slime(
    detector: nn.Module,
    x: Tensor,
    fill: Tensor,
    grid: str = "time-frequency",
    *,
    samples: int = SLIME_SAMPLES,
    penalty: float = 1.0,
    seed: int = 0,
) -> tuple[Tensor, np.ndarray]:
    """Switch regions of an excerpt off at random, and fit a linear model of what the detector then answers.

    After Mishra, Sturm & Dixon (ISMIR 2017) and Ribeiro et al. (2016). Each region is off with probability 1/2; a
    perturbation weighs exp(-(d / 0.25)^2), d being the cosine distance of its pattern of zeros and ones to all ones.
    Other than there, what is explained is the logit, like in the other methods here, not the probability.

    Args:
        detector: gives logits (n, 1) for excerpts; in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        fill: what stands in regions that are off, standardised values that broadcast to `x`.
        grid: one of `GRIDS`.
        samples: perturbations of each excerpt, the first of them none.
        penalty: of the ridge regression, on the square of the weights; 1 is that of LIME.
        seed: of the perturbations.

    Returns:
        Maps (n, 115, 80), in each cell the weight of its region, in logits; and for each excerpt the share of the
        weighted variance of these very logits that its linear model explains (n,).

    Raises:
        InputError: if there is no such grid.
    """
    if grid not in GRIDS:
        raise InputError(f"There is no grid {grid!r} of regions. Known ones: {', '.join(GRIDS)}.")
    from sklearn.linear_model import Ridge

    numbers = regions(*GRIDS[grid])
    rng = np.random.default_rng(seed)
    fills = fill.expand_as(x)
    maps, fits = [], []
    for excerpt, background in zip(x, fills, strict=True):
        patterns = rng.random((samples, int(numbers.max()) + 1)) < 0.5
        patterns[0] = True
        masks = torch.from_numpy(patterns)[:, numbers].to(x.device)
        answers = logits_of(detector, keep(excerpt.expand(samples, -1, -1, -1), masks, background)).cpu().numpy()
        distances = 1 - np.sqrt(patterns.mean(axis=1))
        weights = np.exp(-((distances / KERNEL_WIDTH) ** 2))
        model = Ridge(alpha=penalty).fit(patterns, answers.astype(float), sample_weight=weights)
        maps.append(torch.from_numpy(model.coef_)[numbers])
        fits.append(model.score(patterns, answers, sample_weight=weights))
    return torch.stack(maps).to(x), np.array(fits)


def every_map(
    detector: SVDNet, inverters: Mapping[str, nn.Module], x: Tensor, *, samples: int = SLIME_SAMPLES, seed: int = 0
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Explain excerpts in all ways: by inversions, by the local explanations, and by loudness, which explains nothing.

    Loudness is the excerpt itself: a map that knows nothing of the detector. What does no better than loudness has not
    shown that it knows something.

    Args:
        detector: in eval mode.
        inverters: of `INVERTED_LAYERS`, in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        samples: perturbations of each excerpt for SLIME.
        seed: of these.

    Returns:
        Maps (n, 115, 80) by name, in the order of `MAP_TITLES`; and how much of the answers SLIME's linear models
        explain (n,), see `slime`.

    Raises:
        PackageError: if captum is not installed.
    """
    chosen = {layer: inverters[layer] for layer in INVERTED_LAYERS}
    inversions = reconstruct(detector, chosen, x, batch=BATCH)
    regional, fits = slime(detector, x, torch.zeros_like(x[:1]), samples=samples, seed=seed)
    maps = {f"inversion-{layer}": x_hat[:, 0] for layer, x_hat in inversions.items()} | {
        "gradient": gradient(detector, x),
        "input-x-gradient": input_times_gradient(detector, x),
        "integrated-gradients": integrated_gradients(detector, x),
        "grad-cam": grad_cam(detector, x),
        "slime": regional,
        "loudness": x[:, 0],
    }
    return maps, fits


def towards(maps: Mapping[str, Tensor], sung: Tensor) -> dict[str, Tensor]:
    """Turn signed maps so that they speak for the detector's answer, also where that is "not sung".

    Args:
        maps: by name, a value per cell (n, 115, 80), for singing.
        sung: the answers, boolean (n,).
    """
    signs = torch.where(sung, 1.0, -1.0)[:, None, None]
    return {name: values * signs.to(values) if name in SIGNED else values for name, values in maps.items()}
