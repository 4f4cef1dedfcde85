"""Training inverters of the detector, family and objective asked for by name."""

from collections.abc import Iterable
from typing import Unpack

from svdlib.compute.run_state import RunOptions, RunSettings
from svdlib.inversion import training
from svdlib.inversion.bank import Bank
from svdlib.inversion.listener import Listener
from svdlib.inversion.plans import TrainingPlan
from svdlib.inversion.training import FittedInverters
from svdlib.zoo.families import inverter_spec
from svdlib.zoo.objectives import find_objective


def fit_inverters(
    encoder: Listener,
    train: Bank,
    valid: Bank,
    *,
    layers: str | Iterable[str] | None = None,
    variant: str = "published",
    objective: str = "joint",
    plan: TrainingPlan = TrainingPlan(),
    options: RunOptions = RunOptions(),
    **settings: Unpack[RunSettings],
) -> FittedInverters:
    """Train the inverters of any set of layers in one run (paper section 3.3).

    Args:
        encoder: the trained detector; it is only read.
        train: training excerpts, on the device to train on.
        valid: validation excerpts, on the same device; the epoch with the lowest loss on them is kept, per layer, if
            the plan keeps the best.
        layers: which layers to invert; None takes all.
        variant: which family of inverters, see `svdlib.zoo.families`.
        objective: "joint", "input", "released" or "adversarial", see `svdlib.zoo.objectives`.
        plan: how long and how fast; by default that of the profile "full". "released" has rules of its own.
        options: seed, precision, folder and time limit of the run.
        settings: options one by one, such as `seed=1`.

    Raises:
        LayerError: if a layer or the variant does not exist.
        DeviceError: if there is no such precision.
        TrainingError: if there is no such objective, the run cannot start, its state belongs to another run, a loss is
            no longer finite, or several processes cannot divide a batch evenly.
        OutputError: if the state cannot be written.
    """
    chosen = encoder.check_layers(encoder.shapes if layers is None else layers)
    specs = {layer: inverter_spec(layer, variant) for layer in chosen}
    run = options.with_settings(**settings)
    named = find_objective(objective)
    return training.fit_inverters(
        encoder, train, valid, specs, variant=variant, objective=named, plan=plan, options=run
    )
