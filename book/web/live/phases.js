/**
 * From a log-mel spectrogram back to sound, as `svdlib.sonify` does: non-negative magnitudes that fit the mel bands, and
 * phases by the algorithm of Griffin & Lim (1984) with the momentum of Perraudin, Balazs & Søndergaard (2013).
 */
import {
  applyFilters,
  FILTERS,
  fourier,
  FRAME_LENGTH,
  HOP_LENGTH,
  N_BANDS,
  N_BINS,
  SMALLEST_MAGNITUDE,
  WINDOW,
} from "./front_end.js";

const ITERATIONS = 32;
const INVERSION_STEPS = 30;
const MOMENTUM = 0.99;
const MARGIN = Math.floor(FRAME_LENGTH / HOP_LENGTH) + 1;
const FADE_SAMPLES = 64;

/**
 * Make a log-mel spectrogram audible.
 * @param {Float32Array} logMel natural logarithms, frames times 80
 * @returns {Float32Array} samples, (frames - 1) * 315 + 1024 of them
 */
export function soundOf(logMel) {
  const frames = logMel.length / N_BANDS;
  // The outermost samples lie under few windows and come out as clicks: make extra frames to cut off.
  const grown = frames + 2 * MARGIN;
  const mel = new Float64Array(grown * N_BANDS);
  for (let frame = 0; frame < grown; frame++) {
    const source = Math.min(Math.max(frame - MARGIN, 0), frames - 1);
    for (let band = 0; band < N_BANDS; band++) mel[frame * N_BANDS + band] = Math.exp(logMel[source * N_BANDS + band]);
  }
  const samples = samplesFor(magnitudesFor(mel));
  const cut = samples.slice(MARGIN * HOP_LENGTH, samples.length - MARGIN * HOP_LENGTH);
  for (let k = 0; k < FADE_SAMPLES; k++) {
    cut[k] *= k / (FADE_SAMPLES - 1);
    cut[cut.length - 1 - k] *= k / (FADE_SAMPLES - 1);
  }
  return Float32Array.from(cut);
}

/**
 * Scale samples to the root mean square of a reference, or to full scale where they would clip.
 * @param {Float32Array} samples
 * @param {Float32Array} reference
 */
export function matchLevel(samples, reference) {
  const level = (/** @type {Float32Array} */ sound) =>
    Math.sqrt(sound.reduce((sum, value) => sum + value * value, 0) / sound.length);
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const gain = Math.min(level(reference) / Math.max(level(samples), 1e-9), 1 / Math.max(peak, 1e-9));
  return samples.map((value) => value * gain);
}

/**
 * Magnitudes of at least zero whose mel magnitudes come close to those wanted: the pseudo-inverse of the filters without
 * its negative values, improved by multiplicative updates (Lee & Seung 2001).
 * @param {Float64Array} mel frames times 80
 * @returns {Float64Array} frames times 513
 */
export function magnitudesFor(mel) {
  const frames = mel.length / N_BANDS;
  const magnitude = new Float64Array(frames * N_BINS);
  const wanted = new Float64Array(N_BINS);
  const found = new Float64Array(N_BINS);
  const bands = new Float64Array(N_BANDS);
  const weights = new Float64Array(N_BANDS);
  for (let frame = 0; frame < frames; frame++) {
    const start = frame * N_BINS;
    const target = mel.subarray(frame * N_BANDS, (frame + 1) * N_BANDS);
    weights.set(target);
    GRAM.solve(weights);
    spread(weights, wanted);
    for (let bin = 0; bin < N_BINS; bin++) magnitude[start + bin] = Math.max(wanted[bin], SMALLEST_MAGNITUDE / 10);
    spread(target, wanted);
    for (let step = 0; step < INVERSION_STEPS; step++) {
      applyFilters(magnitude, start, (band, value) => {
        bands[band] = value;
      });
      spread(bands, found);
      for (let bin = 0; bin < N_BINS; bin++) magnitude[start + bin] *= wanted[bin] / (found[bin] + 1e-12);
    }
  }
  return magnitude;
}

/**
 * Multiply 80 bands by the filters: what each bin gets from them.
 * @param {Float64Array} bands (80) @param {Float64Array} bins (513), overwritten
 */
function spread(bands, bins) {
  bins.fill(0);
  for (let band = 0; band < N_BANDS; band++) {
    const { first, weights } = FILTERS[band];
    for (let k = 0; k < weights.length; k++) bins[first + k] += weights[k] * bands[band];
  }
}

/** The matrix of the filters' products with each other, factored (Cholesky), to solve equations with. */
class Gram {
  constructor() {
    const factor = Array.from({ length: N_BANDS }, () => new Float64Array(N_BANDS));
    for (let row = 0; row < N_BANDS; row++) {
      for (let column = 0; column <= row; column++) {
        let sum = overlap(row, column);
        for (let k = 0; k < column; k++) sum -= factor[row][k] * factor[column][k];
        factor[row][column] = row === column ? Math.sqrt(sum) : sum / factor[column][column];
      }
    }
    this.factor = factor;
  }

  /** @param {Float64Array} values the right side (80), overwritten by the solution */
  solve(values) {
    const { factor } = this;
    for (let row = 0; row < N_BANDS; row++) {
      for (let k = 0; k < row; k++) values[row] -= factor[row][k] * values[k];
      values[row] /= factor[row][row];
    }
    for (let row = N_BANDS - 1; row >= 0; row--) {
      for (let k = row + 1; k < N_BANDS; k++) values[row] -= factor[k][row] * values[k];
      values[row] /= factor[row][row];
    }
  }
}

/** @param {number} one @param {number} other bands @returns {number} the product of their filters */
function overlap(one, other) {
  const [a, b] = [FILTERS[one], FILTERS[other]];
  let sum = 0;
  for (let k = 0; k < a.weights.length; k++) sum += a.weights[k] * (b.weights[a.first + k - b.first] ?? 0);
  return sum;
}

const GRAM = new Gram();

/**
 * Find samples whose frames have given magnitudes.
 * @param {Float64Array} magnitude frames times 513
 * @returns {Float64Array}
 */
function samplesFor(magnitude) {
  const random = randomNumbers();
  // `toward` has the phases that are tried next, `before` the spectrum that the last ones led to; real parts, then
  // imaginary ones.
  const size = magnitude.length;
  const toward = [new Float64Array(size), new Float64Array(size)];
  let before = [new Float64Array(size), new Float64Array(size)];
  let now = [new Float64Array(size), new Float64Array(size)];
  for (let k = 0; k < size; k++) {
    const phase = 2 * Math.PI * random();
    toward[0][k] = magnitude[k] * Math.cos(phase);
    toward[1][k] = magnitude[k] * Math.sin(phase);
  }
  const share = MOMENTUM / (1 + MOMENTUM);
  for (let round = 0; round < ITERATIONS; round++) {
    analyse(synthesise(toward), now);
    for (let k = 0; k < size; k++) {
      const re = now[0][k] - share * before[0][k];
      const im = now[1][k] - share * before[1][k];
      const gain = magnitude[k] / (Math.sqrt(re * re + im * im) + 1e-300);
      toward[0][k] = re * gain;
      toward[1][k] = im * gain;
    }
    [before, now] = [now, before];
  }
  return synthesise(toward);
}

/**
 * Samples whose frames come closest to given spectra: windowed overlap-add.
 * @param {Float64Array[]} spectra real and imaginary parts, frames times 513 each
 */
function synthesise(spectra) {
  const frames = spectra[0].length / N_BINS;
  const samples = new Float64Array((frames - 1) * HOP_LENGTH + FRAME_LENGTH);
  const weights = new Float64Array(samples.length);
  const real = new Float64Array(FRAME_LENGTH);
  const imaginary = new Float64Array(FRAME_LENGTH);
  for (let frame = 0; frame < frames; frame += 2) {
    const pair = frame + 1 < frames;
    for (let bin = 0; bin < N_BINS; bin++) {
      const edge = bin === 0 || bin === N_BINS - 1;
      const one = frame * N_BINS + bin;
      const other = one + N_BINS;
      const [re0, im0] = [spectra[0][one], edge ? 0 : spectra[1][one]];
      const [re1, im1] = pair ? [spectra[0][other], edge ? 0 : spectra[1][other]] : [0, 0];
      // The conjugate, so that the forward transform goes backward.
      real[bin] = re0 - im1;
      imaginary[bin] = -(im0 + re1);
      if (!edge) {
        real[FRAME_LENGTH - bin] = re0 + im1;
        imaginary[FRAME_LENGTH - bin] = -(re1 - im0);
      }
    }
    fourier.transform(real, imaginary);
    for (let k = 0; k < FRAME_LENGTH; k++) {
      const place = frame * HOP_LENGTH + k;
      samples[place] += (real[k] / FRAME_LENGTH) * WINDOW[k];
      weights[place] += WINDOW[k] * WINDOW[k];
      if (pair) {
        samples[place + HOP_LENGTH] += (-imaginary[k] / FRAME_LENGTH) * WINDOW[k];
        weights[place + HOP_LENGTH] += WINDOW[k] * WINDOW[k];
      }
    }
  }
  return samples.map((value, k) => (weights[k] > 1e-8 ? value / weights[k] : value));
}

/**
 * The spectra of all frames.
 * @param {Float64Array} samples @param {Float64Array[]} spectra overwritten
 */
function analyse(samples, spectra) {
  const frames = spectra[0].length / N_BINS;
  const real = new Float64Array(FRAME_LENGTH);
  const imaginary = new Float64Array(FRAME_LENGTH);
  for (let frame = 0; frame < frames; frame += 2) {
    const pair = frame + 1 < frames;
    for (let k = 0; k < FRAME_LENGTH; k++) {
      real[k] = samples[frame * HOP_LENGTH + k] * WINDOW[k];
      imaginary[k] = pair ? samples[(frame + 1) * HOP_LENGTH + k] * WINDOW[k] : 0;
    }
    fourier.transform(real, imaginary);
    for (let bin = 0; bin < N_BINS; bin++) {
      const [re0, im0, re1, im1] = fourier.apart(real, imaginary, bin);
      const one = frame * N_BINS + bin;
      spectra[0][one] = re0;
      spectra[1][one] = im0;
      if (pair) {
        spectra[0][one + N_BINS] = re1;
        spectra[1][one + N_BINS] = im1;
      }
    }
  }
}

/** Numbers from 0 to 1 that are the same every time: a linear congruential generator modulo 2^32. */
function randomNumbers() {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
