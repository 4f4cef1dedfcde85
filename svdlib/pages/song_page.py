"""One excerpt of a song as a page to explore: `svdlib explore SONG --out page.html`."""

import os
from collections.abc import Sequence

from svdlib.audio.files import Recording, read_song
from svdlib.compute.devices import choose_device
from svdlib.detector.model import LAYERS
from svdlib.detector.moments import excerpt_at, measured, surest_singing
from svdlib.detector.prediction import predict
from svdlib.detector.scores import smooth
from svdlib.pages.explorer import Explorer
from svdlib.pages.widget import Session
from svdlib.zoo.checkpoints import family_in, open_detector, open_inverters


def explore_song(
    song: str | os.PathLike[str],
    *,
    at: float | None = None,
    device: str = "auto",
    detector: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    variant: str | None = None,
    layers: str | Sequence[str] | None = None,
) -> Explorer:
    """Explore one excerpt of a song without a kernel; arguments and choices are those of `svdlib.invert_song`.

    Args:
        song: a sound file; it is read block by block.
        at: time of the excerpt's centre in seconds; None takes the one that most surely holds singing.
        device: where to compute.
        detector: weights of the detector; None takes the packaged one.
        weights: a folder with the weights of its inverters; None takes the packaged ones.
        variant: which family of inverters.
        layers: which layers; None takes all that there are inverters for.

    Raises:
        LayerError: there is no such family or layer.
        AudioError: the song cannot be used, has a single excerpt, or none has its centre at `at`.
        DeviceError: the device is not there.
        WeightsError: weights are missing or damaged, or the inverters were trained for another detector.
    """
    chosen, recording = choose_device(device), Recording(song)
    log_mel, levels = read_song(recording, measured)
    start = None if at is None else excerpt_at(recording.path, len(log_mel), at)
    network = open_detector(detector).to(chosen)
    wanted = None if layers is None else network.check_layers(layers)
    inverters = open_inverters(weights, network, wanted, variant or family_in(weights, wanted or LAYERS))
    if start is None:
        start = surest_singing(levels, smooth(predict(network, log_mel.numpy())))
    session = Session(network, inverters)
    session.show(recording.path.name, log_mel, [start])
    return session.explorer
