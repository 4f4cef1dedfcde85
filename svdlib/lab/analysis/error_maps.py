"""Where in an excerpt the error of an inversion lies: over frames, over bands, in each cell."""

from torch import Tensor


def frame_errors(x: Tensor, x_hat: Tensor) -> Tensor:
    """Error of each frame: its squared error over all excerpts and bands, divided by its mean square in the originals.

    Args:
        x: standardised excerpts (n, 1, 115, 80).
        x_hat: their reconstructions.

    Returns:
        (115,); 1 is as bad as painting the average level of every band.
    """
    return (mean_squares(x - x_hat).mean(dim=1) / mean_squares(x).mean(dim=1)).cpu()


def band_errors(x: Tensor, x_hat: Tensor) -> Tensor:
    """Error of each band: its squared error over all excerpts and frames, divided by its mean square in the originals.

    Args:
        x: standardised excerpts (n, 1, 115, 80).
        x_hat: their reconstructions.

    Returns:
        (80,); 1 is as bad as painting the average level of the band.
    """
    return (mean_squares(x - x_hat).mean(dim=0) / mean_squares(x).mean(dim=0)).cpu()


def mean_squares(x: Tensor) -> Tensor:
    """Mean over excerpts (n, 1, 115, 80) of the square of each value: (115, 80)."""
    return x.double().square().mean(dim=(0, 1))
