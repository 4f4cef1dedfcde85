"""How far pictures lie from real excerpts, by their simplest statistics.

An inversion may have the right feature and look like nothing that was ever recorded. Four statistics of each band say
so: its level, how much it varies, and how much it changes to the next frame and to the next band. What is too noisy
changes too much, what is blurred too little. The measure is ours; the source judges by eye.
"""

import torch
from torch import Tensor

from svdlib.errors import CorpusError

STATISTICS = ("level", "spread", "change in time", "change across bands")
"""Per band: mean; and the logarithms of the deviation and of the root mean squares of differences to the next frame and
to the next band."""

SMALLEST = 1e-3
"""What does not vary at all gets the logarithm of this; standardised excerpts vary by about 1."""


def surface_statistics(x: Tensor) -> dict[str, Tensor]:
    """Statistics of each band over the frames of a picture.

    Args:
        x: standardised pictures (n, 1, 115, 80).

    Returns:
        Per name of `STATISTICS`, (n, 80); the last has (n, 79).
    """
    frames = x.detach().double().squeeze(1)
    values = (
        frames.mean(dim=1),
        frames.std(dim=1, correction=0).clamp(min=SMALLEST).log(),
        frames.diff(dim=1).square().mean(dim=1).sqrt().clamp(min=SMALLEST).log(),
        frames.diff(dim=2).square().mean(dim=1).sqrt().clamp(min=SMALLEST).log(),
    )
    return dict(zip(STATISTICS, values, strict=True))


def times_as_rough(x: Tensor, x_hat: Tensor) -> Tensor:
    """How many times as much an inversion changes from frame to frame as its original.

    Args:
        x: standardised originals (n, 1, 115, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        The ratio of the root mean square changes, a geometric mean over the bands (n,): above 1 for noise, below 1 for
        a blur. A distance says that a picture is far from real ones; this says on which side.
    """
    before, after = (surface_statistics(each)["change in time"] for each in (x, x_hat))
    return (after - before).mean(dim=1).exp()


class RealExcerpts:
    """What the statistics of real excerpts are, and how much they differ from one another."""

    def __init__(self, x: Tensor) -> None:
        """Measure real excerpts.

        Args:
            x: standardised (n, 1, 115, 80), n >= 2, of many songs.

        Raises:
            CorpusError: there is only one, or they are all alike in some statistic.
        """
        self.ranges = {}
        for name, values in surface_statistics(x).items():
            deviation = values.std(dim=0)
            if not (deviation > 0).all():
                raise CorpusError(f"{len(x)} excerpts do not differ in the {name} of a band: take more, of more songs.")
            self.ranges[name] = values.mean(dim=0), deviation

    def distances(self, x: Tensor) -> dict[str, Tensor]:
        """How far pictures lie from the mean of the real excerpts, in deviations of the real excerpts.

        Args:
            x: standardised pictures (n, 1, 115, 80).

        Returns:
            Per name of `STATISTICS`, the root mean square over the bands (n,): about 1 for an excerpt of the same kind
            of songs. Under "all" the root mean square of the four.
        """
        found = {
            name: ((values - self.ranges[name][0]) / self.ranges[name][1]).square().mean(dim=1).sqrt()
            for name, values in surface_statistics(x).items()
        }
        return found | {"all": torch.stack(list(found.values())).square().mean(dim=0).sqrt()}
