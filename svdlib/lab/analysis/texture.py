"""The fine structure of inversions: does it move with the sound, or does the inverter paint it wherever it likes?

A layer that keeps where something fine is leads to fine structure that moves along when the excerpt is shifted. A layer
that only keeps how much of it there is leaves the place to the inverter: what it paints then stays where it is.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from svdlib.errors import InputError

WIDTH = 2.0
"""Standard deviation of the blur, in cells: what it leaves is coarse, and what it takes away is fine."""


def fine_structure(pictures: Tensor) -> Tensor:
    """What a blur takes away.

    Args:
        pictures: spectrograms (n, frames, bands).

    Returns:
        Pictures less a Gaussian blur of them, whose borders are mirrored, of the same shape.
    """
    reach = int(4 * WIDTH)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=pictures.device) / WIDTH) ** 2).to(pictures)
    weights = weights / weights.sum()
    padded = F.pad(pictures[:, None], (reach, reach, reach, reach), mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, weights[None, None, :, None]), weights[None, None, None, :])
    return pictures - blurred[:, 0]


def agreement(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of the angle between pictures (n, frames, bands), cell by cell: (n,); 0 where one of them is empty."""
    return F.cosine_similarity(one.flatten(1), other.flatten(1), dim=1)


def after_a_shift(unshifted: Tensor, shifted: Tensor, frames: int) -> dict[str, Tensor]:
    """What the fine structure does when the excerpt moves on by some frames.

    Args:
        unshifted: fine structure of inversions (n, frames, bands).
        shifted: that of the excerpts that begin so many frames later.
        frames: how many, 1 or more.

    Returns:
        "stays": agreement with what was at the same place of the picture; "moves": agreement with what was at the same
        place of the sound; (n,) each, over the frames that both can be compared on.

    Raises:
        InputError: if the excerpts do not overlap, or are not shifted.
    """
    length = unshifted.shape[1]
    if not 0 < frames < length:
        raise InputError(f"A shift is 1 to {length - 1} frames, not {frames}.")
    compared = slice(0, length - frames)
    return {
        "stays": agreement(unshifted[:, compared], shifted[:, compared]),
        "moves": agreement(unshifted[:, frames:], shifted[:, compared]),
    }


def fixed_picture(fine: Tensor) -> tuple[Tensor, float]:
    """The part of fine structure that all inversions share.

    Args:
        fine: fine structure (n, frames, bands).

    Returns:
        Its mean (frames, bands), and the mean's share of the energy: 1/n for noise, 1 for one picture throughout.
    """
    mean = fine.mean(0)
    energy = float(fine.square().sum(dim=(1, 2)).mean())
    return mean, float(mean.square().sum()) / energy if energy else 0.0


def without(pictures: Tensor, fine: Tensor) -> Mapping[str, Tensor]:
    """Inversions from which fine structure is taken.

    Args:
        pictures: inversions (n, frames, bands).
        fine: their fine structure.

    Returns:
        "fine structure": all of it taken; "fixed picture": what all share taken, each at the strength it has there.
    """
    mean, _ = fixed_picture(fine)
    norm = mean.square().sum()
    strength = (fine * mean).sum(dim=(1, 2)) / norm if norm else torch.zeros(len(fine), device=fine.device)
    return {"fine structure": pictures - fine, "fixed picture": pictures - strength[:, None, None] * mean}
