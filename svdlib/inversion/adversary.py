"""The adversarial term of the objective "adversarial", which the paper leaves to future work (its section 5).

An inverter that is unsure paints the mean of all excerpts that fit, and a mean is blurred. Dosovitskiy and Brox (2016,
"Generating images with perceptual similarity metrics based on deep networks") let a second network, the discriminator,
learn to tell originals from reconstructions. What its opinion costs the inverter is a third loss, beside the input loss
and the feature loss. Both losses and the rule for pausing are theirs; the sizes of the network and the weight are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from svdlib.compute.devices import in_channels_last
from svdlib.compute.distributed import as_the_leader, average
from svdlib.compute.run_state import mix_seeds, own_chance
from svdlib.compute.storage import Tree, pack_adam, restore_adam
from svdlib.errors import PlanError
from svdlib.inversion.balance import Balanced
from svdlib.inversion.listener import Listener
from svdlib.inversion.objectives import Companion, Objective

ADVERSARIAL_WEIGHT = 0.01
"""What the adversarial term counts beside the input loss and the feature loss, which count 1 each.

The source's weights belong to sums over pixels and do not carry over to our means. This one was chosen by the lengths
of the gradients for an inverter's weights: with the packaged inverters trained on under it, in batches of 8 excerpts of
`synthetic`, the term had 8 to 15 % of the length of the input loss for FC8 and 16 to 40 % for Conv5, from the hundredth
update to the two hundredth. Before, it is nearly nothing: the discriminators have yet to learn. Twice the weight gave
26 to 47 % for FC8. No weight was chosen by its results.
"""

DISCRIMINATOR_RATE = 2e-4
"""Adam's step size for the discriminators, as in the source; it stays the same over the run."""

PAUSE_RATIO = 0.1
"""A discriminator pauses while its loss is below this share of what it costs the inverter, as in the source."""

FILTERS = (16, 32, 64, 64)
UNITS = 64
LEAKINESS = 0.2


class Discriminator(nn.Module):
    """Judges whether an excerpt is an original or a reconstruction from a given feature.

    Four 3x3 convolutions with stride 2 look at the excerpt, and their mean over time and frequency goes on: as in the
    source, the discriminator is there for the local texture, the other losses for what is where. The feature that was
    inverted comes along, so that a reconstruction must not only look real but look like that feature. It comes as its
    mean over time and frequency, through one dense layer, which is the same for the features of all eight layers. They
    differ forty times in size, so it is scaled to mean 0 and deviation 1 first.

    There is no batch normalisation: a batch holds either originals or reconstructions, and its mean would give them
    away. There is no dropout, so that a judgement is the same whenever it is asked for.

    """

    def __init__(self, channels: int) -> None:
        """Build the network for features with so many channels or units."""
        super().__init__()
        parts: list[nn.Module] = []
        for n_in, n_out in zip((1, *FILTERS), FILTERS, strict=False):
            parts += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.LeakyReLU(LEAKINESS)]
        self.look = nn.Sequential(*parts)
        self.compare = nn.Sequential(nn.Linear(channels, UNITS), nn.LeakyReLU(LEAKINESS))
        self.decide = nn.Sequential(nn.Linear(FILTERS[-1] + UNITS, UNITS), nn.LeakyReLU(LEAKINESS), nn.Linear(UNITS, 1))

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        """Judge a batch.

        Args:
            x: originals or reconstructions (batch, 1, time, frequency).
            feature: what was inverted, (batch, channels, ...) or (batch, units); for an original, the feature of its
                own.

        Returns:
            The logit of being an original (batch,).
        """
        seen = self.look(x).mean(dim=(2, 3))
        told = feature.flatten(2).mean(dim=2) if feature.ndim > 2 else feature
        told = self.compare(F.layer_norm(told, told.shape[1:]))
        logits: Tensor = self.decide(torch.cat([seen, told], dim=1))
        return logits.squeeze(1)


def discriminator_loss(of_originals: Tensor, of_reconstructions: Tensor) -> Tensor:
    """What a discriminator D learns to make small: -log D(x) - log(1 - D(G(feature))), a mean over the batch.

    Args:
        of_originals: logits of originals (batch,).
        of_reconstructions: logits of reconstructions (batch,).

    Returns:
        A scalar: 0 if all are told apart with certainty, 2 log 2 = 1.39 if the discriminator sees no difference.
    """
    return F.softplus(-of_originals).mean() + F.softplus(of_reconstructions).mean()


def adversarial_loss(of_reconstructions: Tensor) -> Tensor:
    """What an inverter G is to make small: -log D(G(feature)), a mean over the batch.

    Args:
        of_reconstructions: logits of reconstructions (batch,).

    Returns:
        A scalar: 0 if all are taken for originals, log 2 = 0.69 if the discriminator sees no difference.
    """
    return F.softplus(-of_reconstructions).mean()


def pauses(own_loss: float, cost: float) -> bool:
    """Whether a discriminator is so far ahead that it does not learn from this batch.

    Args:
        own_loss: `discriminator_loss` of the batch.
        cost: `adversarial_loss` of the batch.
    """
    return own_loss < PAUSE_RATIO * cost


class Adversary(Companion):
    """One discriminator per layer, with the optimiser that trains them.

    Nothing is shared between layers: a discriminator becomes the same whichever others are trained beside it.

    Attributes:
        discriminators: the network of each layer.
    """

    def __init__(self, encoder: Listener, layers: Sequence[str], device: torch.device, seed: int) -> None:
        """Build the discriminators.

        Args:
            encoder: whose features are inverted.
            layers: which of its layers.
            device: where they are trained.
            seed: of the initial weights.
        """
        self.discriminators: dict[str, nn.Module] = {}
        for layer in layers:
            with own_chance(mix_seeds(seed, list(encoder.shapes).index(layer), 1), device):
                self.discriminators[layer] = in_channels_last(Discriminator(encoder.shapes[layer][0]), device)
            as_the_leader(list(self.discriminators[layer].state_dict().values()))
        parameters = [weights for network in self.discriminators.values() for weights in network.parameters()]
        self.optimiser = torch.optim.Adam(parameters, lr=DISCRIMINATOR_RATE, fused=True)
        self.loss_sums = torch.zeros(len(layers), device=device)

    def learn(self, x: Tensor, features: Mapping[str, Tensor], reconstructions: Mapping[str, Tensor]) -> None:
        """Let the discriminators of these layers learn from a batch, all but those that pause; no inverter learns.

        Args:
            x: originals (batch, 1, time, frequency).
            features: per layer, (batch, ...).
            reconstructions: per layer to learn from, of the shape of `x`.
        """
        self.optimiser.zero_grad(set_to_none=True)
        losses, costs = [], []
        for layer, x_hat in reconstructions.items():
            judge = self.discriminators[layer]
            of_reconstructions = judge(x_hat.detach(), features[layer]).float()
            losses.append(discriminator_loss(judge(x, features[layer]).float(), of_reconstructions))
            costs.append(adversarial_loss(of_reconstructions))
        values = torch.stack([*losses, *costs]).detach()
        average([values])
        for layer, value in zip(reconstructions, values, strict=False):
            self.loss_sums[list(self.discriminators).index(layer)] += value
        pairs = values.view(2, -1).T.tolist()
        learning = [loss for loss, pair in zip(losses, pairs, strict=True) if not pauses(*pair)]
        if learning:
            torch.stack(learning).sum().backward()
            parameters = (weights for group in self.optimiser.param_groups for weights in group["params"])
            average([weights.grad for weights in parameters if weights.grad is not None])
            # Adam leaves alone what has no gradient, and with it those that pause.
            self.optimiser.step()

    def term(self, features: Mapping[str, Tensor], reconstructions: Mapping[str, Tensor]) -> Tensor:
        """What to add to the losses of the inverters, whose gradient reaches the reconstructions and no discriminator.

        Args:
            features: per layer, (batch, ...).
            reconstructions: per layer to judge, (batch, 1, time, frequency).

        Returns:
            The weighted adversarial losses of all these layers, added up: a scalar.
        """
        costs = []
        for layer, x_hat in reconstructions.items():
            judge = self.discriminators[layer]
            fixed = {name: weights.detach() for name, weights in judge.named_parameters()}
            costs.append(adversarial_loss(functional_call(judge, fixed, (x_hat, features[layer])).float()))
        return ADVERSARIAL_WEIGHT * torch.stack(costs).sum()

    def close_epoch(self, batches: int) -> dict[str, float]:
        """The mean `discriminator_loss` per layer over an epoch of so many batches; counting starts again."""
        means = (self.loss_sums / batches).tolist()
        self.loss_sums.zero_()
        return dict(zip(self.discriminators, means, strict=True))

    def pack(self) -> Tree:
        """All that a saved state must hold."""
        networks: Tree = {layer: network.state_dict() for layer, network in self.discriminators.items()}
        return {"loss_sums": self.loss_sums, "adam": pack_adam(self.optimiser)} | networks

    def unpack(self, arrays: Tree) -> None:
        """Go back to what `pack` gave."""
        self.loss_sums.copy_(arrays["loss_sums"])
        for layer, network in self.discriminators.items():
            network.load_state_dict(arrays[layer])
        restore_adam(self.optimiser, arrays.get("adam", {}), [DISCRIMINATOR_RATE])


@dataclass(frozen=True)
class Adversarial(Objective):
    """Input loss, feature loss, and a term that asks for reconstructions that a discriminator takes for originals.

    The term is no part of the loss that is reported: it depends on a discriminator that changes from step to step, and
    says nothing about whether an inverter grew better.
    """

    name: ClassVar[str] = "adversarial"
    can_be_recorded: ClassVar[bool] = False  # its losses decide who learns

    def settings(self) -> dict[str, Any]:
        """The weight of the term, beside that of the feature loss."""
        return super().settings() | {"adversarial_weight": ADVERSARIAL_WEIGHT}

    def companion(self, encoder: Listener, layers: Sequence[str], device: torch.device, seed: int) -> Adversary:
        """A discriminator per layer.

        Raises:
            PlanError: if inputs are no pictures with one channel, which the discriminators judge.
        """
        if len(encoder.input_shape) != 3 or encoder.input_shape[0] != 1:
            raise PlanError(
                f"The objective {self.name!r} judges pictures (1, time, frequency), and inputs have the shape "
                f"{tuple(encoder.input_shape)}. Take the objective 'joint' or 'input'."
            )
        return Adversary(encoder, layers, device, seed)


@dataclass(frozen=True)
class AdversarialBalanced(Adversarial, Balanced):
    """Both losses as shares of the mean predictor's, and the same term."""

    name: ClassVar[str] = "adversarial-balanced"
