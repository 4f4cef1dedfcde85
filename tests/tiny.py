"""The smallest songs, banks and detector that training can run on, the same in every process."""

import functools

import numpy as np
import torch

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.songs.loading import Songs, load_songs


def songs(seed=0, count=1, frames=300, level=0.0):
    """Songs of noise whose loudness wanders; each is sung in its second half."""
    rng = np.random.default_rng(seed)
    log_mels = [
        (level + rng.normal(0, 1, (frames, 80)) + np.sin(np.arange(frames) / 20)[:, None]).astype(np.float32)
        for _ in range(count)
    ]
    labels = [np.arange(frames) >= frames // 2 for _ in range(count)]
    return Songs(log_mels, labels, [f"song {seed}-{index}" for index in range(count)])


def bank(seed=0, **options):
    """The excerpts of one song: 19 of them where it has 300 frames."""
    return ExcerptBank(songs(seed, **options), standardizer=Standardizer())


@functools.cache
def detector():
    """An untrained detector in eval mode; not to be changed.

    Its weights come from NumPy: the last bits of an orthogonal initialisation depend on the number of threads.
    """
    rng, network = np.random.default_rng(7), SVDNet().eval()
    with torch.no_grad():
        for weights in network.parameters():
            deviation = weights[0].numel() ** -0.5 if weights.ndim > 1 else 0.1
            weights.copy_(torch.from_numpy(rng.normal(0, deviation, tuple(weights.shape))))
    return network


def same_weights(one, other):
    """Whether two networks hold the same values, bit for bit, running averages included."""
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def log_mels(tracks, **settings):
    """The log-mels of tracks; `settings` are those of `load_songs`."""
    return load_songs(tracks, **settings).log_mels
