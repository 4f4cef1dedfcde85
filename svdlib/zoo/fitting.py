"""Training inverters: of the detector by families that have names, of any other network by families derived for it."""

import sys
from collections.abc import Iterable, Mapping
from typing import Unpack

from svdlib.compute.distributed import leads
from svdlib.compute.run_state import RunOptions, RunSettings
from svdlib.detector.model import LAYER_SHAPES
from svdlib.errors import LayerError, PlanError
from svdlib.inversion import training
from svdlib.inversion.bank import Bank
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
            the plan keeps the best.
        layers: which layers to invert; None takes all.
        inverter: "aligned", "general", or "auto", which takes the aligned one where there is one, see
            `svdlib.inversion.derivation`. None takes "auto", but for the detector a family of its own.
        variant: of the detector, which family, see `svdlib.zoo.families`; None takes "published".
        parameters: how many weights each inverter that is derived may have.
        compare: the layer in whose feature space reconstructions are compared, several, or those of another network
            (`svdlib.inversion.comparison.Comparison`); None takes the network's comparator, for the detector Conv5, for
            an `svdlib.Encoder` its deepest layer that has positions.
        objective: "joint", "balanced", "input", "released" or "adversarial", see `svdlib.zoo.objectives`.
        lambda_feature: weight of the feature loss; None leaves it at 1.
        plan: how long and how fast; by default that of the profile "full". The name of a profile, such as "demo", takes
            its plan, shortened where there are few inputs. "released" has rules of its own.
        start: trained inverters of this family to go on from, per layer; None starts from chance.
        options: seed, precision, folder and time limit of the run.
        settings: options one by one, such as `seed=1`.

    Raises:
        LayerError: if a layer or the variant does not exist, or a layer has no aligned inverter, and one is asked for.
        DeviceError: if there is no such precision.
        TrainingError: if there is no such objective, the run cannot start, its state belongs to another run, a loss is
            no longer finite, or several processes cannot divide a batch evenly.
        OutputError: if the state cannot be written.
    """
    chosen = encoder.check_layers(encoder.shapes if layers is None else layers)
    run = options.with_settings(**settings)
    named = find_objective(objective, lambda_feature)
    length = fit_to_corpus(find_profile(PROFILES, plan), len(train)) if isinstance(plan, str) else plan
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
