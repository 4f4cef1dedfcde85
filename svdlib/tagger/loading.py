"""The tagger's weights, from the files of the package musicnn, which is neither imported nor shipped."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from svdlib.compute.weights import fitted
from svdlib.errors import WeightsError
from svdlib.tagger.bundle import Bundle
from svdlib.tagger.model import CHANNELS, TAGS, MusicTagger

PACKAGE, VERSION = "musicnn", "0.1.0"
HOW_TO_GET = f"Install it without what it depends on: pip install --no-deps {PACKAGE}=={VERSION}"


def package_folder() -> Path:
    """The folder of the installed package, found without importing it.

    Raises:
        WeightsError: if the package is not there, or in another version.
    """
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        raise WeightsError(
            f"The music tagger's weights are in the package {PACKAGE} {VERSION}, which is not there. {HOW_TO_GET}"
        ) from None
    if found.version != VERSION:
        raise WeightsError(
            f"The music tagger's weights are in the package {PACKAGE} {VERSION}, and version {found.version} is there. "
            f"{HOW_TO_GET}"
        )
    return Path(str(found.locate_file(PACKAGE)))


def load_tagger() -> MusicTagger:
    """Read the tagger MTT_vgg from the installed package, in eval mode, with `.provenance`.

    Raises:
        WeightsError: if the package is not there, in another version, or its files are damaged.
    """
    folder = package_folder() / "MTT_vgg"
    bundle = Bundle(folder / ".index", folder / ".data-00000-of-00001")
    tagger = MusicTagger()
    own = {name: values for name, values in tagger.state_dict().items() if not name.endswith("num_batches_tracked")}
    weights = fitted(bundle.index, read_weights(bundle), own, "music tagger")
    tagger.load_state_dict(tagger.state_dict() | weights)
    tagger.provenance = {"package": f"{PACKAGE} {VERSION}", "model": "MTT_vgg", "licence": "ISC"}
    return tagger.eval()


def read_weights(bundle: Bundle) -> dict[str, Tensor]:
    """The tagger's weights in a checkpoint, named and laid out as in its `state_dict`.

    Raises:
        WeightsError: if one is missing, damaged, or of another shape.
    """
    state: dict[str, np.ndarray] = {}
    for number in range(6):
        scope = f"batch_normalization_{number}" if number else "batch_normalization"
        for ours, theirs in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            state[f"norm{number}.{ours}"] = bundle.read(f"{scope}/{theirs}", (CHANNELS if number else 1,))
    for number in range(1, 6):
        # TensorFlow lays filters out as (time, frequency, in, out).
        kernel = bundle.read(f"{number}CNN/kernel", (3, 3, 1 if number == 1 else CHANNELS, CHANNELS))
        state[f"conv{number}.weight"] = kernel.transpose(3, 2, 0, 1)
        state[f"conv{number}.bias"] = bundle.read(f"{number}CNN/bias", (CHANNELS,))
    # Its channels stand last, so that what is flattened has them innermost; ours have time there.
    dense = bundle.read("dense/kernel", (2 * CHANNELS, len(TAGS))).reshape(2, CHANNELS, len(TAGS))
    state["dense.weight"] = dense.transpose(2, 1, 0).reshape(len(TAGS), 2 * CHANNELS)
    state["dense.bias"] = bundle.read("dense/bias", (len(TAGS),))
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in state.items()}
