"""The detector's front end, for figures and players: 70 frames of 80 mel bands a second."""

import numpy as np
from torch import Tensor

from svdlib.audio.mel_axis import FRAME_RATE, SAMPLE_RATE, band_frequencies
from svdlib.audio.sonify import sonify
from svdlib.detector.architecture import Detector
from svdlib.inversion.front_end import FrontEnd

FRONT_END = FrontEnd(FRAME_RATE, band_frequencies())
"""How its spectrograms are drawn; silent, since their scale of loudness belongs to each trained detector."""


def front_end_of(detector: Detector) -> FrontEnd:
    """The front end of a trained detector, which makes its standardised excerpts (1, frames, 80) audible."""

    def to_sound(x: Tensor) -> tuple[np.ndarray, int]:
        standardizer = detector.standardizer
        return sonify(standardizer.inverse(x[0].to(standardizer.mean.device))), SAMPLE_RATE

    return FrontEnd(FRAME_RATE, FRONT_END.band_hz, to_sound)
