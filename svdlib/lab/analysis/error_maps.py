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
    return over_frames(mean_squares(x - x_hat), mean_squares(x)).cpu()


def mean_squares(x: Tensor) -> Tensor:
    """Mean over excerpts (n, 1, 115, 80) of the square of each value: (115, 80)."""
    return x.double().square().mean(dim=(0, 1))


def over_frames(errors: Tensor, originals: Tensor) -> Tensor:
    """Error of each frame (115,), from `mean_squares` of the errors and of the originals (115, 80)."""
    return errors.mean(dim=1) / originals.mean(dim=1)


def over_bands(errors: Tensor, originals: Tensor) -> Tensor:
    """Error of each band (80,), likewise; 1 is as bad as painting the average level of the band."""
    return errors.mean(dim=0) / originals.mean(dim=0)
