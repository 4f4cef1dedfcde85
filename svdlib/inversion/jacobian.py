"""How strongly an encoder answers to small changes of a picture: the singular values of its Jacobian.

A direction in which the picture can change and the feature hardly does is a direction that the feature has nearly
forgotten. The smallest singular value is the answer to the most forgotten one, per unit of change.
"""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from svdlib.errors import OptimisationError
from svdlib.inversion.optimisation import FeatureMap


def singular_range(encoder: FeatureMap, x: Tensor, steps: int, seed: int = 0) -> tuple[float, float]:
    """Estimate the smallest and the largest singular value of an encoder's Jacobian at one picture.

    Lanczos' method on J^T J, each step one product with J and one with its transpose. The largest is soon exact. The
    smallest comes from above: the true one is at most what is returned, and equal to it with as many steps as the
    picture has cells.

    Args:
        encoder: a differentiable map.
        x: one picture (1, ...).
        steps: of Lanczos' method.
        seed: of the direction in which it starts.

    Raises:
        OptimisationError: there is more than one picture.
    """
    if len(x) != 1:
        raise OptimisationError(f"A Jacobian belongs to one picture, not to {len(x)}.")
    x = x.detach()
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        feature = encoder(leaf)

    def product(direction: Tensor) -> Tensor:
        with torch.no_grad(), forward_ad.dual_level():
            dual = encoder(forward_ad.make_dual(x, direction.view_as(x)))
            change = forward_ad.unpack_dual(dual).tangent
        return torch.autograd.grad(feature, leaf, change, retain_graph=True)[0].flatten().double()

    start = torch.randn(x.numel(), generator=torch.Generator().manual_seed(seed)).to(x)
    basis, diagonal, beside = [(start / start.norm()).double()], [], []
    for _ in range(min(steps, x.numel())):
        image = product(basis[-1].to(x.dtype))
        diagonal.append(basis[-1] @ image)
        # Twice against all former directions: rounding would bring back those that are already known.
        known = torch.stack(basis)
        for _ in range(2):
            image = image - known.T @ (known @ image)
        length = image.norm()
        if length <= 1e-9 * max(float(each.abs()) for each in diagonal):
            break
        beside.append(length)
        basis.append(image / length)
    off = torch.stack(beside[: len(diagonal) - 1]) if len(diagonal) > 1 else torch.zeros(0).to(diagonal[0])
    squares = torch.linalg.eigvalsh(torch.diag(torch.stack(diagonal)) + torch.diag(off, 1) + torch.diag(off, -1))
    smallest, largest = squares[[0, -1]].clamp(min=0).sqrt().tolist()
    return smallest, largest
