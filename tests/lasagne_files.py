"""Files as Lasagne writes them, with random values, and what its networks compute from them, slowly and in float64."""

import warnings
import zipfile

import numpy as np
import oracles

from svdlib.detector.model import LAYER_SHAPES

# Table 1 of the paper for FC7; the others as in the released models.
DENSE_GROWTH = "FC256 Uconv64 Conv64 Uconv32 Conv32 Uconv16 Conv16 Uconv8 Conv8 Uconv1"
STAGES = {
    "conv1": "Conv64 Conv1",
    "conv2": "Conv32 Conv32 Conv32 Conv1",
    "mp3": "Conv32 Conv32 Conv32 Conv32 Uconv16 Uconv1",
    "conv4": "Conv128 Conv128 Conv128 Uconv64 Uconv1",
    "conv5": "Conv64 Conv64 Conv64 Uconv32 Uconv1",
    "mp6": "Conv64 Uconv32 Uconv16 Uconv8 Uconv1",
    "fc7": DENSE_GROWTH,
    "fc8": f"FC64 {DENSE_GROWTH}",
}
DETECTOR_SHAPES = [
    (64, 1, 3, 3), (64,), (32, 64, 3, 3), (32,), (128, 32, 3, 3), (128,), (64, 128, 3, 3), (64,),
    (4928, 256), (256,), (256, 64), (64,), (64, 1), (1,),
]  # fmt: skip


def stages_of(layer):
    """Kind and number of units of each stage, and whether it has batch normalisation."""
    words = STAGES[layer].split()
    plan = [(word.rstrip("0123456789"), int(word.lstrip("FCUconv"))) for word in words]
    bare = len(plan) if layer in ("fc7", "fc8") else 0
    return [(kind, units, number != bare) for number, (kind, units) in enumerate(plan, start=1)]


def random_arrays(layer=None, seed=0):
    """The arrays of an inverter's file, or with None of the detector's, in order."""
    rng = np.random.default_rng(seed)
    if layer is None:
        arrays = [rng.normal(0, 0.3, s) if len(s) == 1 else _weights(rng, s) for s in DETECTOR_SHAPES]
        return [array.astype(np.float32) for array in arrays]
    arrays, n_in, dense = [], LAYER_SHAPES[layer][0], len(LAYER_SHAPES[layer]) == 1
    for kind, units, normalised in stages_of(layer):
        if kind == "FC":
            shape = (n_in, units)
        else:
            n_in, dense = (16, False) if dense else (n_in, False)
            shape = (units, n_in, 3, 3) if kind == "Conv" else (n_in, units, 4, 4)
        arrays.append(_weights(rng, shape))
        arrays += _normalisation(rng, units) if normalised else [rng.normal(0, 0.3, units)]
        n_in = units
    return [array.astype(np.float32) for array in arrays]


def _weights(rng, shape):
    inputs = shape[0] if len(shape) == 2 else shape[1] * shape[2] * shape[3]
    return rng.normal(0, inputs**-0.5, shape)


def _normalisation(rng, units):
    beta, gamma, mean = (rng.normal(centre, 0.3, units) for centre in (0, 1, 0))
    inverse_deviation = rng.uniform(0.5, 3, units)
    if units > 1:
        # A channel that never changed in training, and one that hardly did: their deviation is nearly epsilon's.
        inverse_deviation[:2], gamma[:2] = (100, 99.5), 0.01
    return [beta, gamma, mean, inverse_deviation]


def inverter_output(layer, arrays, feature):
    """What an inverter of Lasagne makes of one feature: (1, 115, 80)."""
    rest, x = [array.astype(np.float64) for array in arrays], feature
    for kind, _, normalised in stages_of(layer):
        weights, rest = rest[0], rest[1:]
        if kind == "FC":
            x = x @ weights
        elif kind == "Conv":
            x = oracles.true_convolve(x, weights, padding=1)
        else:
            x = oracles.adjoint_up_convolve(x.reshape(16, 4, 4) if x.ndim == 1 else x, weights)
        if normalised:
            x, rest = oracles.normalise_by_inverse(x, *rest[:4]), rest[4:]
        else:
            x, rest = x + rest[0].reshape((-1,) + (1,) * (x.ndim - 1)), rest[1:]
        x = oracles.elu(x)
    assert not rest
    border = {"conv1": 1, "conv2": 2}.get(layer, 0)
    return np.pad(x, ((0, 0), (border, border), (border, border)))[:, :115, :80]


def detector_outputs(arrays, excerpt):
    """What each layer of Lasagne's detector makes of one excerpt (1, 115, 80), and the logit as "out"."""
    a, found = [array.astype(np.float64) for array in arrays], {}
    found["conv1"] = oracles.leaky(oracles.true_convolve(excerpt, a[0]) + a[1][:, None, None])
    found["conv2"] = oracles.leaky(oracles.true_convolve(found["conv1"], a[2]) + a[3][:, None, None])
    found["mp3"] = oracles.pool(found["conv2"])
    found["conv4"] = oracles.leaky(oracles.true_convolve(found["mp3"], a[4]) + a[5][:, None, None])
    found["conv5"] = oracles.leaky(oracles.true_convolve(found["conv4"], a[6]) + a[7][:, None, None])
    found["mp6"] = oracles.pool(found["conv5"])
    found["fc7"] = oracles.leaky(found["mp6"].reshape(-1) @ a[8] + a[9])
    found["fc8"] = oracles.leaky(found["fc7"] @ a[10] + a[11])
    found["out"] = found["fc8"] @ a[12] + a[13]
    return found


def write(path, arrays, prefix="param"):
    """Write arrays in order, as the authors do; returns the path."""
    np.savez(path, **{f"{prefix}{number}": array for number, array in enumerate(arrays)})
    return path


def write_members(path, members):
    """Write an archive member by member, each a name and an array or raw bytes, whatever nonsense that makes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, content in members:
            with archive.open(name, "w", force_zip64=True) as member:
                if isinstance(content, bytes):
                    member.write(content)
                else:
                    np.lib.format.write_array(member, content)
    return path
