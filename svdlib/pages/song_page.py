"""One excerpt of a song as a page to explore: `svdlib explore SONG --out page.html`."""

import os
from collections.abc import Sequence

from svdlib.audio.files import Recording, read_song
from svdlib.compute.devices import choose_device
from svdlib.detector.moments import HeardSong, measured
from svdlib.pages.explorer import Explorer
from svdlib.pages.widget import Session
from svdlib.zoo.checkpoints import open_networks


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
    place, recording = choose_device(device), Recording(song)
    network, inverters = open_networks(detector, weights, layers, variant, place)
    heard = HeardSong(recording.path, network, *read_song(recording, measured))
    session = Session(network, inverters)
    session.show(recording.path.name, heard.log_mel, [heard.excerpt(at)])
    return session.explorer
