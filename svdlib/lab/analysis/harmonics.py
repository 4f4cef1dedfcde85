"""Fine lines across frequency: how harmonic a spectrogram is, and whether its inversion has the same harmonics.

Our own measures, after the paper's observation (section 4) that some layers keep "harmonic structures".
"""

from functools import cache
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from svdlib.audio.mel_axis import N_BANDS, band_frequencies
from svdlib.lab.analysis.pictures import as_pictures, correlation

SMOOTHING_BANDS = 9
"""Harmonics are what remains of a spectrum after averaging over so many bands is taken away."""

STEADY_FRAMES = 5
"""A comb is looked for in averages of so many frames, 70 ms: harmonics stay that long, noise does not."""

PITCHES = torch.logspace(1.9, 2.9, 81, dtype=torch.float64)
"""Fundamental frequencies in hertz that a comb is tried for, about 80 to 800, a half of a semitone apart."""

BANDS_PER_HARMONIC = 2.5
"""Where harmonics lie closer than so many bands, the mel scale does not show them one by one."""

MOST_HARMONICS = 12

BLURS_PER_BAND = 100


def fine_lines(standardised: Tensor) -> Tensor:
    """Each frame (..., frames, 80) minus its moving average over 9 bands: lines without the broad shape."""
    pictures = as_pictures(standardised)
    frames = pictures.reshape(-1, 1, N_BANDS)
    margin = SMOOTHING_BANDS // 2
    smooth = F.avg_pool1d(F.pad(frames, (margin, margin), mode="replicate"), SMOOTHING_BANDS, stride=1)
    return (frames - smooth).reshape(pictures.shape)


def harmonic_match(x: Tensor, x_hat: Tensor) -> Tensor:
    """Whether an excerpt and its inversion have their fine lines across frequency at the same places.

    What is compared is each frame minus its moving average over 9 bands: single harmonics, as far as mel bands resolve
    them, without the broad shape of the spectrum.

    Args:
        x: standardised excerpts (..., frames, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        Correlation over all frames and bands (...,); 0 where one of them has no fine lines.
    """
    return correlation(fine_lines(x).flatten(-2), fine_lines(x_hat).flatten(-2))


def harmonic_fit(standardised: Tensor) -> Tensor:
    """How well the fine lines of a spectrogram fit the comb of one pitch, however faint they are.

    The comb of a pitch f is cos(2 pi frequency / f) in the bands that resolve its harmonics: high at each multiple of
    f, low half-way between. Every frame, an average over 70 ms, takes the pitch that correlates best with its lines.

    Args:
        standardised: (..., frames, 80).

    Returns:
        Mean over the frames of the best correlation (...,). A steady harmonic sound reaches 0.7 to 0.95. Noise is not
        at 0, since the best of many combs always fits a little, and a blur lowers it: see `blurred_to`.
    """
    lines, combs, used = _steady_lines(standardised), *_combs()
    norms = (lines.square() @ used.T).sqrt() * combs.norm(dim=1)
    fits = torch.where(norms > 1e-9, lines @ combs.T / norms.clamp(min=1e-9), 0.0)
    return fits.amax(dim=-1).mean(dim=-1)


def harmonic_height(standardised: Tensor) -> Tensor:
    """How far the harmonics of the best pitch stand out of a spectrogram.

    Args:
        standardised: (..., frames, 80).

    Returns:
        Deviations (...,): the mean over the frames, averages over 70 ms, of the amplitude of the comb of
        `harmonic_fit` that stands out most. A flat picture has 0.
    """
    lines, (combs, _) = _steady_lines(standardised), _combs()
    return (lines @ combs.T / combs.square().sum(dim=1)).amax(dim=-1).mean(dim=-1)


def blurred_to(standardised: Tensor, height: float) -> Tensor:
    """Spectrograms blurred across their bands until their harmonics stand out no more than so far.

    A picture that is merely faint and blurred fits its combs less well, too. So this is what the fit of an inversion
    with faint lines is to be compared with.

    Args:
        standardised: (n, frames, 80).
        height: mean `harmonic_height` of the result, in deviations; where it is above that of the pictures
            themselves, they stay as they are.

    Returns:
        Of the same shape, blurred by one Gaussian, the narrowest of steps of 0.01 bands that suffices.
    """
    from scipy.ndimage import gaussian_filter1d

    pictures = standardised.detach().cpu().double().numpy()

    def blurred(step: int) -> Tensor:
        return torch.from_numpy(gaussian_filter1d(pictures, step / BLURS_PER_BAND, axis=-1) if step else pictures)

    low, high = 0, N_BANDS * BLURS_PER_BAND
    while low < high:  # the wider the blur, the less stands out
        middle = (low + high) // 2
        if float(harmonic_height(blurred(middle)).mean()) <= height:
            high = middle
        else:
            low = middle + 1
    return blurred(low)


def _steady_lines(standardised: Tensor) -> Tensor:
    return fine_lines(standardised).unfold(-2, STEADY_FRAMES, 1).mean(dim=-1)


@cache
def _combs() -> tuple[Tensor, Tensor]:
    """The comb of each pitch, zero in the bands that do not show it, and which bands do (pitches, 80)."""
    frequencies = band_frequencies()
    (spacing,) = torch.gradient(frequencies)
    pitches = PITCHES[:, None]
    inside = (frequencies > 0.5 * pitches) & (frequencies < (MOST_HARMONICS + 0.5) * pitches)
    used = (inside & (BANDS_PER_HARMONIC * spacing < pitches)).double()
    combs = torch.cos(2 * pi * frequencies / pitches) * used
    return combs - used * combs.sum(dim=1, keepdim=True) / used.sum(dim=1, keepdim=True), used
