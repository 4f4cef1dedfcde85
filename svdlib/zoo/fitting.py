"""Training inverters: of the detector by families that have names, of any other network by families derived for it."""

import sys
from collections.abc import Iterable, Mapping
from typing import Unpack

import torch

from svdlib.compute.distributed import leads
from svdlib.compute.run_state import RunOptions, RunSettings
from svdlib.detector.model import LAYER_SHAPES
from svdlib.errors import DeviceError, LayerError, PlanError, quoted
from svdlib.inversion import training
from svdlib.inversion.bank import Bank, check_bank
from svdlib.inversion.comparison import Compare
from svdlib.inversion.derivation import PARAMETERS, Choice, derive_inverters
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.inverters import FeatureInverter, InverterSpec
from svdlib.inversion.listener import Listener
from svdlib.inversion.plans import TrainingPlan
from svdlib.inversion.training import FittedInverters
from svdlib.zoo.families import inverter_spec
from svdlib.zoo.objectives import find_objective
from svdlib.zoo.profiles import PROFILES, find_profile, fit_to_corpus

MOST_NAMED = 3
"""How many groups a message names."""


def fit_inverters(
    encoder: Listener,
    train: Bank,
    valid: Bank,
    *,
    layers: str | Iterable[str] | None = None,
    inverter: str | None = None,
    variant: str | None = None,
    parameters: int = PARAMETERS,
    compare: Compare = None,
    objective: str = "joint",
    lambda_feature: float | None = None,
    plan: TrainingPlan | str = TrainingPlan(),
    start: Mapping[str, FeatureInverter] | None = None,
    options: RunOptions = RunOptions(),
    **settings: Unpack[RunSettings],
) -> FittedInverters:
    """Train the inverters of any set of layers in one run (paper section 3.3).

    Which family of inverters a network other than the detector gets, and why, is printed on stderr and kept in their
    provenance.

    Args:
        encoder: the trained network, the detector or an `svdlib.Encoder`; it is only read.
        train: training inputs, on the device to train on.
        valid: validation inputs, on the same device; the epoch with the lowest loss on them is kept, per layer, if
            the plan keeps the best. They should be from other recordings: groups of one name in both are told on
            stderr.
        layers: which layers to invert; None takes all.
        inverter: "aligned", "general", or "auto", which takes the aligned one where there is one, see
            `svdlib.inversion.derivation`. None takes "auto", but for the detector a family of its own.
        variant: of the detector, which family, see `svdlib.zoo.families`; None takes "published".
        parameters: how many weights each inverter that is derived may have. It is made as wide as they allow, between 2
            and 128 channels; one that mirrors a single step has no width to choose.
        compare: the layer in whose feature space reconstructions are compared, several, or those of another network
            (`svdlib.inversion.comparison.Comparison`); None takes the network's comparator, for the detector Conv5, for
            an `svdlib.Encoder` its deepest layer that has positions.
        objective: "joint", "balanced", "input", "released" or another of `svdlib.zoo.objectives`.
        lambda_feature: weight of the feature loss; None leaves it at 1.
        plan: how long and how fast; by default that of the profile "full". The name of a profile, such as "demo", takes
            its plan, shortened where there are few inputs. "released" has rules of its own.
        start: trained inverters of this family to go on from, per layer; None starts from chance.
        options: seed, precision, folder and time limit of the run. The device is that of `train`.
        settings: options one by one, such as `seed=1`.

    Raises:
        InputError: if inputs are no bank, or have another shape than the network takes.
        LayerError: if a layer or the variant does not exist, a layer has no aligned inverter, and one is asked for, or
            reconstructions are compared at a layer without a gradient.
        DeviceError: if there is no such precision, or another device is named than that of `train`.
        TrainingError: if there is no such objective, the run cannot start, its state belongs to another run, a loss is
            no longer finite, or several processes cannot divide a batch evenly.
        OutputError: if the state cannot be written.
    """
    check_bank(train, encoder, "training")
    check_bank(valid, encoder, "validation")
    chosen = encoder.check_layers(encoder.shapes if layers is None else layers)
    run = options.with_settings(**settings)
    _check_device(run.device if run.device != RunOptions.device else settings.get("device", "auto"), train)
    named = find_objective(objective, lambda_feature)
    length = fit_to_corpus(_plan_of(plan), len(train)) if isinstance(plan, str) else _plan_of(plan)
    _warn_of_shared_groups(train, valid)
    specs: Mapping[str, InverterSpec]
    if inverter is None and _is_like_the_detector(encoder):
        family = variant or "published"
        specs, choices = {layer: inverter_spec(layer, family) for layer in chosen}, {}
    else:
        family = ""
        choices = _derive(encoder, chosen, inverter or "auto", variant, parameters)
        specs = {layer: choice.spec for layer, choice in choices.items()}
    fitted = training.fit_inverters(
        encoder,
        train,
        valid,
        specs,
        variant=family,
        compare=compare,
        objective=named,
        plan=length,
        start=start,
        options=run,
    )
    fitted.reasons = {layer: choice.reason for layer, choice in choices.items()}
    for layer, each in fitted.inverters.items() if choices else ():
        each.provenance = fitted.provenance(layer)
    return fitted


def _plan_of(plan: TrainingPlan | str) -> TrainingPlan:
    """The plan of that name, or the plan itself.

    Raises:
        PlanError: if there is none, or it is no plan.
    """
    if isinstance(plan, str):
        return find_profile(PROFILES, plan)
    if not isinstance(plan, TrainingPlan):
        raise PlanError(
            f"plan is {quoted(plan)}, a {type(plan).__name__}. Give svdlib.TrainingPlan(epochs=...), or a profile: "
            f"{', '.join(PROFILES)}."
        )
    return plan


def _check_device(named: torch.device | str, train: Bank) -> None:
    """Make sure that a device that was named is the one where the inputs lie, since that counts.

    Raises:
        DeviceError: if it is another one.
    """
    if str(named) == "auto":
        return
    wanted, there = str(named), str(train.device)
    alike = f"{there}:".startswith(f"{wanted}:") or f"{wanted}:".startswith(f"{there}:")  # "cuda" is any of them
    if not alike:
        raise DeviceError(
            f"device is {wanted!r}, but the training inputs lie on {there!r}, and the bank's device counts. "
            "Leave it out here, and put the inputs there: svdlib.TensorBank(x, groups, device=...)."
        )


def _warn_of_shared_groups(train: Bank, valid: Bank) -> None:
    """Say that training and validation inputs are of the same groups, where groups have names."""
    names = [getattr(bank, "group_names", ()) if getattr(bank, "has_names", False) else () for bank in (train, valid)]
    shared = [quoted(name) for name in names[0] if name in set(names[1])]
    if shared and leads():
        more = f" and {len(shared) - MOST_NAMED} more" if len(shared) > MOST_NAMED else ""
        print(
            f"Training and validation inputs share groups: {', '.join(shared[:MOST_NAMED])}{more}. Inputs of one group "
            "are alike, so the validation loss is too good. Split by groups.",
            file=sys.stderr,
        )


def _derive(
    encoder: Listener, layers: tuple[str, ...], inverter: str, variant: str | None, parameters: int
) -> dict[str, Choice]:
    """Plan the inverters of a network and say which and why.

    Raises:
        LayerError: if a family is named that only the detector has, or a layer has no aligned inverter.
        PlanError: if a family is named twice.
    """
    if variant is not None and not _is_like_the_detector(encoder):
        name = type(encoder.net if isinstance(encoder, Encoder) else encoder).__name__
        raise LayerError(
            f"The family {variant!r} is made for the detector, not for {name}. "
            "Take inverter='auto', 'aligned' or 'general'."
        )
    if variant is not None:
        raise PlanError(f"Both inverter={inverter!r} and variant={variant!r} name a family. Leave one of them out.")
    choices = derive_inverters(encoder, layers, inverter, parameters)
    for choice in choices.values() if leads() else ():
        print(choice, file=sys.stderr)
    return choices


def _is_like_the_detector(encoder: Listener) -> bool:
    """Whether a network has the detector's layers, for which there are families by name."""
    return dict(encoder.shapes) == LAYER_SHAPES
