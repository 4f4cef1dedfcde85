"""Keep or remove parts of an excerpt, and watch what the detector answers.

After Mishra, Sturm & Dixon (EUSIPCO 2018), who turn an inversion into a binary mask and multiply the excerpt by it.
Here any map of the cells can be turned into masks, a mask is given by the share of cells that it holds, so that masks
of different maps are comparable, and every map has a control: the same map at a wrong time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, LOG_SILENCE, N_BANDS
from svdlib.audio.standardizer import Standardizer
from svdlib.errors import InputError

FILLS = ("mean", "silence")
"""What stands in masked cells: the mean of the band over the training songs, which is 0 on the standardised scale and
what the authors' code writes; or digital silence, the lowest value that a log-mel can have."""

SHARES = (0.1, 0.25, 0.5, 0.75)
"""Shares of the cells that are kept or removed."""

BATCH = 8
"""Excerpts that the detector gets at once: on a CPU more of them take longer each, since they leave its cache."""

_TIES = np.random.default_rng(0).random(EXCERPT_FRAMES * N_BANDS)


def fill_like(x: Tensor, standardizer: Standardizer, fill: str) -> Tensor:
    """What masked cells are filled with.

    Args:
        x: standardised excerpts (n, 1, 115, 80).
        standardizer: that of the detector.
        fill: one of `FILLS`.

    Returns:
        Standardised values, of the same shape as `x`.

    Raises:
        InputError: if there is no such fill.
    """
    if fill not in FILLS:
        raise InputError(f"There is no fill {fill!r} for masked cells. Known ones: {', '.join(FILLS)}.")
    if fill == "mean":
        return torch.zeros_like(x)
    return standardizer(torch.full_like(x, LOG_SILENCE))


def top_cells(maps: Tensor, share: float) -> Tensor:
    """The cells with the highest values: a mask of exactly the share that is asked for.

    Normalising a map first, as the authors do before they set a threshold, would change nothing: only the order counts.
    Cells of equal value are taken in an order that is random, but always the same.

    Args:
        maps: a value per cell (n, 115, 80).
        share: of the cells, from 0 to 1; rounded to whole cells.

    Returns:
        Boolean (n, 115, 80), true in `round(share * 9200)` cells of each.

    Raises:
        InputError: if the share is out of range or the maps have another shape.
    """
    if not 0 <= share <= 1:
        raise InputError(f"A mask cannot hold the share {share} of all cells: give a number from 0 to 1.")
    return _places(maps) < round(share * EXCERPT_FRAMES * N_BANDS)


def _places(maps: Tensor) -> Tensor:
    """The place of each cell when those of its map are sorted from the highest value to the lowest (n, 115, 80)."""
    if maps.ndim != 3 or tuple(maps.shape[1:]) != (EXCERPT_FRAMES, N_BANDS):
        raise InputError(
            f"Masks are made from maps of shape (n, {EXCERPT_FRAMES}, {N_BANDS}), not {tuple(maps.shape)}."
        )
    values = maps.detach().cpu().flatten(1).numpy()
    order = np.stack([np.lexsort((_TIES, -each)) for each in values])
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None], axis=1)
    return torch.from_numpy(places).view(maps.shape).to(maps.device)


def keep(x: Tensor, mask: Tensor, fill: Tensor) -> Tensor:
    """The excerpt inside the mask, the fill outside.

    Args:
        x: standardised excerpts (n, 1, 115, 80).
        mask: boolean (n, 115, 80).
        fill: standardised values that broadcast to `x`.
    """
    return torch.where(mask[:, None], x, fill)


def rolled(maps: Tensor, generator: torch.Generator) -> Tensor:
    """The control: each map shifted in time by a random number of frames, from a quarter to three quarters of it.

    What leaves at the end comes back at the beginning. A mask made of it has as many cells, in blobs of the same form
    and in the same bands, but they lie where something else sounds.

    Args:
        maps: a value per cell (n, 115, 80).
        generator: the source of chance, a CPU generator.
    """
    quarter = EXCERPT_FRAMES // 4
    shifts = torch.randint(quarter, EXCERPT_FRAMES - quarter + 1, (len(maps),), generator=generator)
    return torch.stack([each.roll(int(shift), dims=0) for each, shift in zip(maps, shifts, strict=True)])


def swapped(maps: Tensor, songs: Sequence[int] | np.ndarray) -> Tensor:
    """Another control: to each excerpt the map of an excerpt of another song.

    Args:
        maps: a value per cell (n, 115, 80).
        songs: the song of each excerpt (n,).

    Returns:
        The maps in another order: each is that of the next excerpt, in cyclic order, that comes from another song.

    Raises:
        InputError: if there is but one song.
    """
    n = len(songs)
    others = [next((j % n for j in range(i + 1, i + n) if songs[j % n] != songs[i]), None) for i in range(n)]
    if None in others:
        raise InputError("Maps are swapped between songs, and all of these excerpts come from one.")
    return maps[torch.tensor(others, device=maps.device)]


def scattered(maps: Tensor, generator: torch.Generator) -> Tensor:
    """The weakest control: each cell gets a random value of its own, so that masks are a fine dust."""
    return torch.rand(maps.shape, generator=generator).to(maps.device)


@torch.no_grad()
def logits_of(detector: nn.Module, x: Tensor) -> Tensor:
    """What the detector answers to excerpts (n, 1, 115, 80): logits (n,)."""
    return torch.cat([detector(piece)[:, 0] for piece in x.split(BATCH)])


@dataclass(frozen=True)
class Curves:
    """What the detector answers while more and more cells are kept, or removed.

    Attributes:
        shares: of the cells, from 0 to 1 (points,).
        keeping: logits (n, points) with only that share of the cells kept, the highest values of the map first. Others
            call it insertion.
        removing: logits (n, points) with that share of the cells removed, the highest first. Others call it deletion.
    """

    shares: tuple[float, ...]
    keeping: Tensor
    removing: Tensor


def masking_curves(
    detector: nn.Module, x: Tensor, maps: Tensor, fill: Tensor, shares: Sequence[float] = SHARES
) -> Curves:
    """Keep and remove growing parts of excerpts, those with the highest values in a map first.

    Args:
        detector: gives logits (n, 1) for excerpts; in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        maps: a value per cell (n, 115, 80).
        fill: standardised values for masked cells, broadcasting to `x`.
        shares: of the cells, rising, without 0 and 1, which are added.
    """
    places = _places(maps)
    whole, nothing = logits_of(detector, x), logits_of(detector, fill.expand_as(x))
    kept, removed = [nothing], [whole]
    for share in shares:
        mask = places < round(share * places[0].numel())
        kept.append(logits_of(detector, keep(x, mask, fill)))
        removed.append(logits_of(detector, keep(x, ~mask, fill)))
    return Curves((0.0, *shares, 1.0), torch.stack([*kept, whole], dim=1), torch.stack([*removed, nothing], dim=1))


def answer_probability(logits: Tensor, sung: Tensor) -> Tensor:
    """How sure the detector is of an answer: p where the answer is "sung", 1 - p where it is "not sung".

    Args:
        logits: (n, ...).
        sung: the answer for each excerpt, boolean (n,).
    """
    signs = torch.where(sung, 1.0, -1.0).to(logits)
    return torch.sigmoid(logits * signs.view(-1, *[1] * (logits.ndim - 1)))


def area_under(shares: Sequence[float], values: Tensor) -> Tensor:
    """Area under curves (n, points) over shares (points,), in straight lines from point to point: (n,)."""
    return torch.trapezoid(values.double(), torch.tensor(shares, dtype=torch.float64, device=values.device), dim=1)
