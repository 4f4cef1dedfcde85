/**
 * From samples to the detector's log-mel spectrogram, as `svdlib.LogMel` computes it.
 *
 * A spectrogram is a Float32Array of frames times 80 values, one frame after the other.
 */
import { Fourier } from "./fourier.js";

export const SAMPLE_RATE = 22050;
export const FRAME_LENGTH = 1024;
export const HOP_LENGTH = 315;
export const FRAME_RATE = SAMPLE_RATE / HOP_LENGTH;
export const N_BANDS = 80;
export const EXCERPT_FRAMES = 115;
export const CENTRE_FRAME = 57;
export const EXCERPT_SAMPLES = (EXCERPT_FRAMES - 1) * HOP_LENGTH + FRAME_LENGTH;
export const SMALLEST_MAGNITUDE = 1e-7;
export const N_BINS = FRAME_LENGTH / 2 + 1;
const LOWEST_HZ = 27.5;
const HIGHEST_HZ = 8000;

export const fourier = new Fourier(FRAME_LENGTH);

/** The symmetric Hann window, as `numpy.hanning`. */
export const WINDOW = Float64Array.from(
  { length: FRAME_LENGTH },
  (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / (FRAME_LENGTH - 1)),
);

/** @param {number} hertz @returns {number} */
const mel = (hertz) => 1127 * Math.log1p(hertz / 700);
const BAND_MELS = (mel(HIGHEST_HZ) - mel(LOWEST_HZ)) / (N_BANDS + 1);

/** Frequency in hertz at which each of the 80 filters peaks. */
export const BAND_HZ = Float64Array.from(
  { length: N_BANDS },
  (_, band) => 700 * Math.expm1((mel(LOWEST_HZ) + BAND_MELS * (band + 1)) / 1127),
);

/**
 * Position of a frequency on the axis of mel bands; band 0 peaks at position 0.
 * @param {number} hertz
 */
export const bandOfFrequency = (hertz) => (mel(hertz) - mel(LOWEST_HZ)) / BAND_MELS - 1;

/**
 * The triangular filters: for each band, the first bin and the weights from there on. See `svdlib.audio.mel_axis`.
 * @type {{first: number, weights: Float64Array}[]}
 */
export const FILTERS = makeFilters();

function makeFilters() {
  const points = Array.from({ length: N_BANDS + 2 }, (_, k) => 700 * Math.expm1((mel(LOWEST_HZ) + BAND_MELS * k) / 1127));
  const binHz = SAMPLE_RATE / FRAME_LENGTH;
  const edges = points.map((hertz) => Math.ceil(hertz / binHz));
  return Array.from({ length: N_BANDS }, (_, band) => {
    const [left, top, right] = edges.slice(band, band + 3);
    const weights = new Float64Array(right - left);
    for (let bin = left; bin < right; bin++) {
      // Divided by bins, not by hertz, as in the code of Schlüter & Grill.
      weights[bin - left] =
        bin < top
          ? (bin * binHz - points[band]) / (top - left)
          : (points[band + 2] - bin * binHz) / (right - top);
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first: left, weights: weights.map((weight) => weight / sum) };
  });
}

/**
 * Apply the filters to the magnitudes of one frame.
 * @param {Float64Array} magnitude (513)
 * @param {number} offset where the frame begins in it
 * @param {(band: number, value: number) => void} put takes each band's mel magnitude
 */
export function applyFilters(magnitude, offset, put) {
  for (let band = 0; band < N_BANDS; band++) {
    const { first, weights } = FILTERS[band];
    let sum = 0;
    for (let k = 0; k < weights.length; k++) sum += weights[k] * magnitude[offset + first + k];
    put(band, sum);
  }
}

/** @param {number} samples how many @returns {number} how many frames they make, without padding */
export const framesIn = (samples) => Math.floor((samples - FRAME_LENGTH) / HOP_LENGTH) + 1;

/**
 * Compute part of a log-mel spectrogram.
 * @param {Float32Array} samples 22050 Hz, mono
 * @param {Float32Array} logMel where it goes, frames times 80: natural logarithms of mel magnitudes, at least ln(1e-7)
 * @param {number} from first frame
 * @param {number} to frame after the last
 */
export function fillLogMel(samples, logMel, from, to) {
  const real = new Float64Array(FRAME_LENGTH);
  const imaginary = new Float64Array(FRAME_LENGTH);
  const magnitudes = [new Float64Array(N_BINS), new Float64Array(N_BINS)];
  for (let frame = from; frame < to; frame += 2) {
    const pair = frame + 1 < to;
    for (let k = 0; k < FRAME_LENGTH; k++) {
      real[k] = samples[frame * HOP_LENGTH + k] * WINDOW[k];
      imaginary[k] = pair ? samples[(frame + 1) * HOP_LENGTH + k] * WINDOW[k] : 0;
    }
    fourier.transform(real, imaginary);
    for (let bin = 0; bin < N_BINS; bin++) {
      const [re0, im0, re1, im1] = fourier.apart(real, imaginary, bin);
      magnitudes[0][bin] = Math.sqrt(re0 * re0 + im0 * im0);
      magnitudes[1][bin] = Math.sqrt(re1 * re1 + im1 * im1);
    }
    for (let k = 0; k < (pair ? 2 : 1); k++) {
      applyFilters(magnitudes[k], 0, (band, value) => {
        logMel[(frame + k) * N_BANDS + band] = Math.log(Math.max(value, SMALLEST_MAGNITUDE));
      });
    }
  }
}

/**
 * The whole log-mel spectrogram of some samples.
 * @param {Float32Array} samples at least 1024
 */
export function logMelOf(samples) {
  const logMel = new Float32Array(framesIn(samples.length) * N_BANDS);
  fillLogMel(samples, logMel, 0, logMel.length / N_BANDS);
  return logMel;
}

/**
 * The detector's scale: zero mean and unit deviation of each band over its training songs.
 */
export class Standardiser {
  /** @param {number[]} mean (80) @param {number[]} std (80) */
  constructor(mean, std) {
    this.mean = Float32Array.from(mean);
    this.std = Float32Array.from(std);
  }

  /** @param {Float32Array} logMel */
  forward(logMel) {
    return logMel.map((value, k) => (value - this.mean[k % N_BANDS]) / this.std[k % N_BANDS]);
  }

  /** @param {Float32Array} standardised */
  inverse(standardised) {
    return standardised.map((value, k) => value * this.std[k % N_BANDS] + this.mean[k % N_BANDS]);
  }

  /**
   * Continue a song with digital silence on both sides, half an excerpt long, as the detector was published.
   * @param {Float32Array} standardised the song
   * @returns {Float32Array} 114 frames more
   */
  surround(standardised) {
    const silence = this.forward(new Float32Array(CENTRE_FRAME * N_BANDS).fill(Math.log(SMALLEST_MAGNITUDE)));
    const surrounded = new Float32Array(standardised.length + 2 * silence.length);
    surrounded.set(silence);
    surrounded.set(standardised, silence.length);
    surrounded.set(silence, silence.length + standardised.length);
    return surrounded;
  }
}
