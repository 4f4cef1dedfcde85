"""The layer explorer with a kernel behind it: it inverts the reader's own sounds, by a model of the reader's own.

    svdlib.explore("song.mp3")
    svdlib.explore("song.mp3", detector=my_detector, inverters=my_inverters)
    svdlib.explore(x, enc, inverters, front).save("page.html")

The front end is that of `svdlib.pages.explorer`. A sound that is chosen in it travels to the kernel, panels come back.
The last form is for any network (`svdlib.pages.own_listener`); it needs no kernel.
"""

import functools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import nn

from svdlib.audio.files import load_song
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, FRAME_RATE
from svdlib.compute.devices import choose_device
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.model import SVDNet
from svdlib.detector.moments import HeardSong, measured
from svdlib.errors import AudioError, InputError, PackageError, SvdlibError
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.front_end import FrontEnd
from svdlib.inversion.inverters import Inverters, check_belongs, inverters_of
from svdlib.inversion.listener import Listener
from svdlib.lab.figures.gallery import Panel, inversion_panels
from svdlib.lab.figures.style import layer_title
from svdlib.pages.explorer import Explorer, compare, explorer_data, front_end
from svdlib.pages.own_listener import explore_listener
from svdlib.songs.corpora import open_corpus
from svdlib.zoo.checkpoints import pretrained, pretrained_inverters

if TYPE_CHECKING:
    from anywidget import AnyWidget

COMPARED_EXCERPTS = 16
"""Excerpts, evenly spread over the song, over which the NRE is taken: enough for a look, and soon done."""

ABOUT = (
    "Choose a layer. What you see and hear is what an inverter, which was given nothing but the layer's feature, has "
    "learned to paint. An error (NRE) of 0 is the excerpt itself; the dashed line is what painting one and the same "
    "picture would cost. All sounds are made from spectrograms, the original's too."
)


@overload
def explore(
    song: str | os.PathLike[str] | np.ndarray | None = None,
    *,
    at: float | Sequence[float] = (),
    detector: SVDNet | None = None,
    inverters: Mapping[str, nn.Module] | None = None,
    variant: str = "aligned",
    device: str = "auto",
) -> "AnyWidget": ...


@overload
def explore(
    song: torch.Tensor | np.ndarray | TensorBank,
    encoder: Listener,
    inverters: Inverters,
    front: FrontEnd | None = None,
    *,
    names: Sequence[str] = (),
) -> Explorer: ...


def explore(
    song: str | os.PathLike[str] | np.ndarray | torch.Tensor | TensorBank | None = None,
    encoder: Listener | None = None,
    inverters: Inverters | None = None,
    front: FrontEnd | None = None,
    *,
    names: Sequence[str] = (),
    at: float | Sequence[float] = (),
    detector: SVDNet | None = None,
    variant: str = "aligned",
    device: str = "auto",
) -> "AnyWidget | Explorer":
    """Explore what each layer keeps: of excerpts of a song, or of inputs of any network.

    With a song, a widget opens in a notebook, with a button for further sound files and a field for other moments of
    the song. With an `encoder`, inputs of that network are explored, without a kernel. Either can be saved as a page
    that stands alone: `.save("page.html")`.

    Args:
        song: a sound file, or its samples (samples,) at 22050 Hz; None takes a synthetic song. With an encoder, two or
            more inputs `(inputs, *input_shape)`, as it takes them, or a bank of them: up to eight, evenly spread, are
            shown, and the NRE is taken over all.
        encoder: the network whose inputs are given, such as an `svdlib.Encoder`.
        inverters: an inverter per layer of that network or detector, shallow to deep, or the run that made them; None
            takes the packaged ones.
        front: how inputs of the network are drawn and heard; None takes the detector's, for the detector.
        names: what each input is called.
        at: a time in seconds or several, one excerpt is taken around each; none given takes the moment that most
            surely is sung and the one that most surely is not.
        detector: a trained detector in eval mode; None takes the packaged one.
        variant: the family of the packaged inverters.
        device: where to compute.

    Raises:
        AudioError: the song cannot be used, or no excerpt has its centre at one of the times.
        DeviceError: the device is not there.
        InputError: the inputs or the front end do not fit the network, or are missing.
        LayerError: there is no such family.
        PackageError: `anywidget` is not installed.
        WeightsError: the inverters were trained for another detector.
    """
    if encoder is not None or isinstance(song, torch.Tensor | TensorBank):
        return _explore_inputs(song, encoder, inverters, front, names)
    place = choose_device(device)
    network = (detector or pretrained("detector")).to(place).eval()
    taken = inverters_of(inverters or pretrained_inverters(variant))
    chosen = {layer: inverter.to(place).eval() for layer, inverter in taken.items()}
    session = Session(network, chosen)
    session.open(*_samples_of(song), at=[at] if isinstance(at, int | float | str | np.number) else at)
    return _widget_class()(session)


def _explore_inputs(
    x: Any,
    encoder: Listener | None,
    inverters: Inverters | None,
    front: FrontEnd | None,
    names: Sequence[str],
) -> Explorer:
    if encoder is None or not isinstance(x, torch.Tensor | np.ndarray | TensorBank):
        raise InputError(
            "Inputs go with the network that hears them, and a network with a tensor of its inputs: "
            "svdlib.explore(x, enc, inverters, front). A song goes alone: svdlib.explore('song.mp3')."
        )
    return explore_listener(x, encoder, inverters or {}, front, names=names)


class Session:
    """A song, a model, and the excerpts that are explored: what the widget shows, apart from showing it.

    Attributes:
        explorer: what is shown, as it would be without a kernel.
        data: what the front end shows, see `svdlib.pages.explorer.explorer_data`.
    """

    explorer: Explorer

    def __init__(self, detector: SVDNet, inverters: Mapping[str, nn.Module]) -> None:
        """Take a detector and its inverters, both in eval mode on one device.

        Raises:
            WeightsError: if an inverter was trained for another detector.
        """
        for layer, inverter in inverters.items():
            check_belongs(layer, inverter, detector)
        self.detector, self.inverters = detector, dict(inverters)
        self.data: dict[str, Any] = {}

    def open(self, name: str, samples: np.ndarray, at: Sequence[float] = ()) -> None:
        """Invert excerpts of a song; if that fails, what was explored before stays.

        Args:
            name: of the song.
            samples: (samples,), 22050 Hz.
            at: times in seconds of the excerpts' centres; none given takes two telling moments.

        Raises:
            AudioError: the samples are not a song of one excerpt or longer, or no excerpt has its centre at a time.
        """
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim != 1 or len(samples) < EXCERPT_SAMPLES or not np.isfinite(samples).all():
            raise AudioError(
                f"{name}: samples of shape {samples.shape}; one excerpt takes {EXCERPT_SAMPLES} finite ones, in one row"
            )
        heard = HeardSong(name, self.detector, *measured([samples]))
        starts = [heard.excerpt(seconds) for seconds in at] or heard.telling_excerpts()
        self.show(name, heard.log_mel, starts)
        self.name, self.samples = name, samples

    def show(self, name: str, log_mel: torch.Tensor, starts: Sequence[int]) -> None:
        """Invert excerpts of a song.

        Args:
            name: of the song.
            log_mel: of the song (frames, 80).
            starts: the first frame of each excerpt.

        Raises:
            AudioError: the song has a single excerpt.
        """
        excerpts = {_excerpt_name(start): self._cut(log_mel, [start]) for start in starts}
        self.explorer = self._invert(name, excerpts, self._spread(log_mel))
        self.data = self.explorer.data

    def go_to(self, seconds: float) -> None:
        """Invert the excerpt around a time of the song.

        Raises:
            AudioError: no excerpt has its centre there.
        """
        self.open(self.name, self.samples, [seconds])

    def _cut(self, log_mel: torch.Tensor, starts: Sequence[int]) -> torch.Tensor:
        """Excerpts (n, 1, 115, 80), standardised, where the detector is; of a long song no second copy is made."""
        excerpts = torch.stack([log_mel[None, start : start + EXCERPT_FRAMES] for start in starts])
        standardised: torch.Tensor = self.detector.standardizer(excerpts.to(self.detector.standardizer.mean.device))
        return standardised

    def _spread(self, log_mel: torch.Tensor) -> torch.Tensor:
        last = len(log_mel) - EXCERPT_FRAMES
        starts = np.unique(np.linspace(0, last, COMPARED_EXCERPTS).round().astype(int))
        if len(starts) < 2:
            raise AudioError("This sound has a single excerpt, and the NRE compares several; take 2 s or more.")
        return self._cut(log_mel, starts.tolist())

    @torch.no_grad()
    def _invert(self, song: str, excerpts: Mapping[str, torch.Tensor], larger_set: torch.Tensor) -> Explorer:
        comparison = compare(self.detector, self.inverters, torch.cat(list(excerpts.values())), larger_set)
        panels = {name: self._panels(name, x) for name, x in excerpts.items()}
        steps = ["original", *(layer_title(layer) for layer in self.inverters)]
        data = explorer_data(panels, steps, comparison=comparison)
        return Explorer(panels, data, title=f"What each layer of the singing detector keeps of {song}", about=ABOUT)

    def _panels(self, name: str, x: torch.Tensor) -> list[Panel]:
        features = self.detector.features(x, self.inverters)
        kept = {layer: inverter(features[layer])[0, 0] for layer, inverter in self.inverters.items()}
        return inversion_panels(self.detector.standardizer, x[0, 0], kept, name)


def load_upload(name: str, content: bytes) -> np.ndarray:
    """Decode a sound file that came as bytes.

    Args:
        name: of the file; stands in errors.
        content: what is in it.

    Raises:
        AudioError: as for `svdlib.audio.files.load_song`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        path.write_bytes(content)
        try:
            return load_song(path)
        except AudioError as error:
            # Readers know their file, not where it lay for a moment.
            raise AudioError(str(error).replace(str(path), name)) from error


def _samples_of(song: str | os.PathLike[str] | np.ndarray | None) -> tuple[str, np.ndarray]:
    if song is None:
        track = open_corpus("synthetic").split("test")[0]
        return track.name, track.load()
    if isinstance(song, np.ndarray):
        return "your samples", song
    samples = load_song(song)  # first, for it says so when the song is named by no path
    return Path(song).name, samples


def _excerpt_name(start: int) -> str:
    return f"around {(start + CENTRE_FRAME) / FRAME_RATE:.1f} s"


@functools.cache
def _widget_class() -> Callable[[Session], "AnyWidget"]:
    try:
        import anywidget
    except ImportError:
        raise PackageError("The explorer in a notebook needs the package anywidget: pip install anywidget") from None
    import traitlets

    class ExplorerWidget(anywidget.AnyWidget):
        """Carries a session's data to the front end, and its requests back."""

        _esm = front_end() + front_end("explorer_widget.js")
        data = traitlets.Dict().tag(sync=True)
        message = traitlets.Unicode("").tag(sync=True)
        wrong = traitlets.Bool(False).tag(sync=True)

        def __init__(self, session: Session) -> None:
            super().__init__(data=session.data)
            self.session, self.received = session, bytearray()
            self.on_msg(lambda _, content, buffers: self.answer(content, buffers))

        def save(self, path: str | os.PathLike[str]) -> Path:
            """Write what is shown as a page that stands alone, see `svdlib.pages.explorer.Explorer.save`."""
            return self.session.explorer.save(path)

        def answer(self, content: dict[str, Any], buffers: Sequence[bytes]) -> None:
            """Do what the front end asks for; an error becomes a sentence in the widget."""
            try:
                if content["kind"] == "at":
                    self._open(lambda: self.session.go_to(float(content["seconds"])))
                elif content["kind"] == "sound":
                    self._receive(content, buffers)
            except SvdlibError as error:
                self.wrong = True
                self.message = str(error)

        def _receive(self, content: dict[str, Any], buffers: Sequence[bytes]) -> None:
            """Collect a file, which comes in pieces that a connection lets through, and open it with the last one."""
            if content["part"] == 0:
                self.received = bytearray()
            self.received += bytes(buffers[0])
            if content["part"] == content["parts"] - 1:
                name, whole = str(content["name"]), bytes(self.received)
                self._open(lambda: self.session.open(name, load_upload(name, whole)))

        def _open(self, work: Callable[[], None]) -> None:
            self.wrong = False
            self.message = "Inverting: this takes some seconds."
            work()
            self.data = self.session.data
            self.message = f"Shown: {self.session.name}."

    return ExplorerWidget
