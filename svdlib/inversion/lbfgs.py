"""Many small minimisations at once, each on its own: L-BFGS for a batch (Liu & Nocedal 1989).

Every picture of the batch has its own loss, its own curvature memory and its own step length. They share nothing but
the pass through the network that computes their losses, so that a result does not depend on its neighbours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from svdlib.compute.progress import progress
from svdlib.errors import OptimisationError

Losses = Callable[[Tensor], Mapping[str, Tensor]]
"""Maps a batch (n, ...) to the terms of its losses by name, each (n,), which are added up."""

MEMORY = 10
"""Pairs of steps and changes of the gradient that describe the curvature."""

SUFFICIENT_DECREASE = 1e-4
"""A step must bring this share of what the slope promises (Armijo's condition)."""

SHRINK = 0.3
"""A step that brings too little is tried again at this share of its length."""

SHORTEST_STEP = 1e-3
"""When even so short a step brings nothing, the memory of the curvature is dropped."""


@dataclass(frozen=True)
class Descent:
    """Where a descent has come to, and how.

    Attributes:
        x: the batch with the smallest losses (n, ...).
        history: per term, its value at the start and after each pass, (passes + 1, n).
    """

    x: Tensor
    history: dict[str, Tensor]


@dataclass
class _Point:
    """A batch with its losses (n,) and gradients."""

    x: Tensor
    terms: dict[str, Tensor]
    gradient: Tensor

    @property
    def loss(self) -> Tensor:
        return _total(self.terms)

    def replaced(self, where: Tensor, other: "_Point") -> "_Point":
        """This point, but the other one for the pictures named by a boolean (n,)."""
        terms = {name: torch.where(where, other.terms[name], old) for name, old in self.terms.items()}
        wide = _wide(where, self.x)
        return _Point(torch.where(wide, other.x, self.x), terms, torch.where(wide, other.gradient, self.gradient))


class _Curvature:
    """What the last steps have told about the curvature of each loss; its product with a gradient is Newton's step."""

    def __init__(self, gradient: Tensor) -> None:
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        length = _dot(gradient, gradient).sqrt()
        self.scale = 1 / length.clamp(min=torch.finfo(length.dtype).tiny)

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Take in a step and the change of the gradient along it; a pair without positive curvature is left out."""
        along, size = _dot(step, change), _dot(change, change)
        usable = along > 1e-10 * size
        # A weight of zero makes a pair vanish from the recursion: so each picture has a memory of its own.
        weight = torch.where(usable, 1 / torch.where(usable, along, 1.0), 0.0)
        self.scale = torch.where(usable, along / torch.where(usable, size, 1.0), self.scale)
        self.pairs = [*self.pairs, (step, change, weight)][-MEMORY:]

    def forget(self, which: Tensor) -> None:
        """Drop the memory of the pictures named by a boolean (n,)."""
        self.pairs = [(step, change, torch.where(which, 0.0, weight)) for step, change, weight in self.pairs]

    def newton_step(self, gradient: Tensor) -> Tensor:
        """The two-loop recursion: minus the approximate inverse Hessian times the gradient."""
        q, shares = gradient, []
        for step, change, weight in reversed(self.pairs):
            shares.append(weight * _dot(step, q))
            q = q - _wide(shares[-1], q) * change
        q = _wide(self.scale, q) * q
        for (step, change, weight), share in zip(self.pairs, reversed(shares), strict=True):
            q = q + _wide(share - weight * _dot(change, q), q) * step
        return -q


def minimise(objective: Losses, start: Tensor, passes: int, description: str = "descent") -> Descent:
    """Make the losses of a batch small, each on its own.

    One pass evaluates all losses and gradients once, at one trial step per picture. A picture takes the step if it
    brings enough, and tries a shorter one in the next pass if not; its loss never grows.

    Args:
        objective: the terms of the losses; the loss of a picture may depend on no other.
        start: where to begin (n, ...).
        passes: how often the objective is evaluated after the start.
        description: what the progress bar says.

    Raises:
        OptimisationError: a loss or its gradient is not finite where the descent begins, or a gradient where it
            arrives.
    """
    here = _evaluate(objective, start)
    _check_finite(here)
    curvature = _Curvature(here.gradient)
    direction, length = curvature.newton_step(here.gradient), torch.ones_like(here.loss)
    history = [here.terms]
    for _ in progress(range(passes), description=description, unit="pass"):
        there = _evaluate(objective, here.x + _wide(length, here.x) * direction)
        promised = SUFFICIENT_DECREASE * length * _dot(direction, here.gradient)
        taken = there.loss <= here.loss + promised  # false where the trial's loss is not a number
        after = here.replaced(taken, there)
        _check_finite(after)
        curvature.learn(after.x - here.x, after.gradient - here.gradient)
        here, length = after, torch.where(taken, 1.0, SHRINK * length)
        stuck = length < SHORTEST_STEP
        curvature.forget(stuck)
        fresh = curvature.newton_step(here.gradient)
        direction = torch.where(_wide(taken | stuck, fresh), fresh, direction)
        length = torch.where(stuck, 1.0, length)
        history.append(here.terms)
    return Descent(here.x, {name: torch.stack([terms[name] for terms in history]) for name in history[0]})


def _evaluate(objective: Losses, x: Tensor) -> _Point:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        terms = dict(objective(x))
        (gradient,) = torch.autograd.grad(_total(terms).sum(), x)
    return _Point(x.detach(), {name: term.detach() for name, term in terms.items()}, gradient)


def first_not_finite(losses: Tensor, gradients: Tensor) -> int | None:
    """Find the first picture that a search cannot go on with.

    Args:
        losses: of each picture (n,).
        gradients: of each loss (n, ...).

    Returns:
        Its number; None if all losses and gradients are finite.
    """
    sound = torch.isfinite(losses) & torch.isfinite(gradients).flatten(1).all(dim=1)
    return None if sound.all() else int((~sound).nonzero()[0])


def _check_finite(point: _Point) -> None:
    first = first_not_finite(point.loss, point.gradient)
    if first is not None:
        raise OptimisationError(
            f"The loss of picture {first} is {float(point.loss[first])}, or its gradient is not finite. "
            "Look for such values in the encoder's weights, in the feature and in the start."
        )


def _total(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum(dim=0)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """One value per picture (n,), fit to be multiplied with a batch (n, ...)."""
    return values.view(-1, *[1] * (like.ndim - 1))
