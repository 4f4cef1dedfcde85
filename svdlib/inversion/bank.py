"""The inputs that a network is inverted on: many tensors on one device, in groups such as songs."""

import math
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from svdlib.compute.devices import choose_device
from svdlib.compute.storage import digest
from svdlib.errors import InputError, quoted
from svdlib.inversion.listener import Listener, as_numbers, check_listener

STRETCHES = 16
"""How many groups there are where none are named."""


class Bank(Protocol):
    """Inputs of a network that lie on one device, in groups such as songs."""

    device: torch.device

    @property
    def digest(self) -> str:
        """What tells these inputs from others."""

    def __len__(self) -> int: ...

    def gather(self, indices: Tensor) -> Tensor:
        """The inputs named by `indices` (batch,): `(batch, *input_shape)`."""

    def spread(self, count: int) -> Tensor:
        """Indices of up to `count` inputs, evenly spread over the bank."""

    def draw(self, per_group: int, generator: np.random.Generator) -> Tensor:
        """Places of so many random inputs of every group, or fewer of each, group by group, to be given to `cut`."""

    def cut(self, places: Tensor) -> Tensor:
        """The inputs at places that `draw` gave: `(batch, *input_shape)`."""


class TensorBank:
    """Inputs of any shape that lie in one tensor.

    Attributes:
        x: all inputs, float32 (inputs, ...).
        groups: number of the group of each input (inputs,), from 0.
        group_names: what each group is called.
        has_names: whether these names were given; without, they are numbers of stretches.
    """

    def __init__(
        self,
        x: Tensor | np.ndarray,
        groups: Sequence[Hashable] | np.ndarray | Tensor | None = None,
        *,
        device: torch.device | str | None = None,
    ) -> None:
        """Take the inputs.

        Args:
            x: inputs (inputs, ...), as the network takes them, standardised.
            groups: what each input belongs to, such as the name of its song (inputs,). Inputs of one song are alike, so
                intervals come from resampling whole groups. None takes 16 stretches of neighbouring inputs.
            device: where they are to lie; None leaves them where they are.

        Raises:
            InputError: if there is no input, a value is no finite number, or the groups are not one name per input.
            DeviceError: if the device is not there.
        """
        self.x = as_numbers(x)
        if self.x.ndim < 2 or not self.x.numel():
            raise InputError(f"A bank takes inputs of shape (inputs, ...), not {tuple(self.x.shape)}.")
        self.x = self.x.float() if device is None else self.x.to(choose_device(str(device))).float()
        if not torch.isfinite(self.x).all():
            bad = int((~torch.isfinite(self.x.flatten(1)).all(1)).nonzero()[0])
            raise InputError(f"Input {bad} holds values that are not finite numbers. Leave it out, or mend it.")
        self.device = self.x.device
        self.has_names = groups is not None
        named = _stretches(len(self.x)) if groups is None else _plain(groups)
        if len(named) != len(self.x):
            raise InputError(f"There are {len(self.x)} inputs, but {len(named)} names of groups. Give one per input.")
        self.group_names = tuple(dict.fromkeys(named))
        numbers = {name: number for number, name in enumerate(self.group_names)}
        self.groups = np.array([numbers[name] for name in named])
        self._members = [np.flatnonzero(self.groups == number) for number in range(len(self.group_names))]

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        count = len(self.group_names)
        shape = " x ".join(map(str, self.x.shape[1:]))
        return f"TensorBank of {len(self)} inputs {shape} in {count} group{'s' * (count != 1)}, on {self.device}"

    @property
    def digest(self) -> str:
        """What tells these inputs from others."""
        return digest(self.x)

    def gather(self, indices: Tensor) -> Tensor:
        """The inputs named by `indices` (batch,): `(batch, ...)`."""
        return self.x[indices]

    def cut(self, places: Tensor) -> Tensor:
        """The same: places of this bank are indices."""
        return self.gather(places)

    def spread(self, count: int) -> Tensor:
        """Indices of up to `count` inputs, evenly spread over the bank."""
        count = min(count, len(self))
        return torch.linspace(0, len(self) - 1, count, dtype=torch.float64, device=self.device).round().long()

    def draw(self, per_group: int, generator: np.random.Generator) -> Tensor:
        """Indices of so many random inputs of every group, group by group, none twice.

        Args:
            per_group: how many per group; where the smallest group has fewer, that many of each.
            generator: the source of chance.

        Returns:
            (groups * per_group,).
        """
        count = min(per_group, min(map(len, self._members)))
        drawn = [generator.choice(members, count, replace=False) for members in self._members]
        return torch.as_tensor(np.concatenate(drawn), device=self.device)


def check_bank(bank: Bank, encoder: Listener, role: str = "") -> None:
    """Make sure that a bank holds inputs of a network.

    Args:
        bank: what was given as one.
        encoder: the network.
        role: what its inputs are for, for the message, such as "training".

    Raises:
        InputError: if it is no bank, the network has no named layers, or takes inputs of another shape.
    """
    check_listener(encoder)
    named = f"{role} inputs" if role else "inputs"
    if not hasattr(bank, "spread"):
        raise InputError(
            f"The {named} are {type(bank).__name__}, not a bank. Wrap them: svdlib.TensorBank(x, groups), where groups "
            "names the song of each input."
        )
    found, expected = tuple(bank.gather(bank.spread(1)).shape[1:]), tuple(encoder.input_shape)
    if found == expected:
        return
    remedy = _remedy(found, expected)
    raise InputError(f"The network takes inputs of shape {expected}, but the {named} have {found}. {remedy}")


def _remedy(found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What would bring inputs into another shape, in a sentence."""
    if (1, *found) == expected:
        return "Add the axis of channels: x[:, None]."
    if found == (1, *expected):
        return "Take the axis of channels away: x[:, 0]."
    if len(found) == len(expected) > 1 and found == (*expected[:-2], expected[-1], expected[-2]):
        return "Turn the last two axes: x.transpose(-2, -1)."
    return "Cut them as the example of the network was."


def _stretches(count: int) -> list[int]:
    """The number of the stretch that each of so many inputs lies in; two inputs or more are in each, if there are."""
    stretches = min(STRETCHES, max(1, count // 2))
    return [index * stretches // count for index in range(count)]


def _plain(names: Any) -> list[Hashable]:
    """Names as Python's own values, which can be compared whatever they were kept in.

    Raises:
        InputError: if they are no series, or one of them is missing or no name.
    """
    if isinstance(names, str | bytes) or not hasattr(names, "__iter__"):
        raise InputError(f"The groups are {quoted(names)}. Give a name for each input, such as {[names] * 2!r}.")
    if isinstance(names, Tensor | np.ndarray) and names.ndim != 1:
        raise InputError(f"The groups have the shape {tuple(names.shape)}, not (inputs,). Take groups.flatten().")
    found = names.tolist() if isinstance(names, Tensor | np.ndarray) else list(names)
    return [_checked(number, name) for number, name in enumerate(found)]


def _checked(number: int, name: Any) -> Hashable:
    """The name of the group of an input, so numbered; tensors of one value would all be different."""
    if isinstance(name, Tensor | np.ndarray | np.generic) and name.ndim == 0:
        name = name.item()
    if name is None or (isinstance(name, float) and math.isnan(name)):
        raise InputError(f"Input {number} has no group: {name}. Name one, or leave the input out.")
    if not isinstance(name, Hashable) or isinstance(name, Tensor):
        raise InputError(f"Input {number} is in the group {quoted(name)}, which is no name. Give a word or a number.")
    return name
