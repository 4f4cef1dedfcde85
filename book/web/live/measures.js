/**
 * What is measured on curves and spectrograms.
 */
import { BAND_HZ, EXCERPT_FRAMES, FRAME_RATE, N_BANDS } from "./front_end.js";

const MEDIAN_FRAMES = 56;
const COMPARED_EXCERPTS = 64;

/**
 * Median-filter a curve over 56 frames, edges repeated, as `svdlib.detector.scores.smooth`.
 * @param {Float32Array} curve
 * @returns {Float32Array}
 */
export function smooth(curve) {
  const back = MEDIAN_FRAMES / 2;
  const at = (/** @type {number} */ k) => curve[Math.min(Math.max(k, 0), curve.length - 1)];
  const place = (/** @type {number[]} */ sorted, /** @type {number} */ value) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const sorted = Array.from({ length: MEDIAN_FRAMES }, (_, k) => at(k - back)).sort((a, b) => a - b);
  return curve.map((_, frame) => {
    if (frame > 0) {
      sorted.splice(place(sorted, at(frame - 1 - back)), 1);
      const next = at(frame + back - 1);
      sorted.splice(place(sorted, next), 0, next);
    }
    return sorted[back];
  });
}

/**
 * The Euclidean distance of two spectrograms.
 * @param {Float32Array} one @param {Float32Array} other
 */
export function distance(one, other) {
  let sum = 0;
  for (let k = 0; k < one.length; k++) sum += (one[k] - other[k]) ** 2;
  return Math.sqrt(sum);
}

/**
 * The mean distance between two excerpts of a song, over 64 evenly spaced ones: the scale for an inversion's distance.
 * @param {Float32Array} standardised the song, frames times 80
 * @returns {number} NaN where there is only one excerpt
 */
export function typicalDistance(standardised) {
  const last = standardised.length / N_BANDS - EXCERPT_FRAMES;
  const evenly = Array.from({ length: COMPARED_EXCERPTS }, (_, k) => Math.round((k * last) / (COMPARED_EXCERPTS - 1)));
  const starts = [...new Set(evenly)];
  const excerpts = starts.map((start) => standardised.subarray(start * N_BANDS, (start + EXCERPT_FRAMES) * N_BANDS));
  let sum = 0;
  let pairs = 0;
  for (let one = 0; one < excerpts.length; one++) {
    for (let other = 0; other < one; other++, pairs++) sum += distance(excerpts[one], excerpts[other]);
  }
  return sum / pairs;
}

/**
 * Put a spectrogram into words, for those who cannot see it, as `svdlib.lab.analysis.measures.describe`.
 * @param {Float32Array} logMel natural logarithms, frames times 80
 */
export function describe(logMel) {
  const frames = logMel.length / N_BANDS;
  const bands = new Float64Array(N_BANDS);
  const loudness = new Float64Array(frames);
  for (let k = 0; k < logMel.length; k++) {
    const magnitude = Math.exp(logMel[k]);
    bands[k % N_BANDS] += magnitude;
    loudness[Math.floor(k / N_BANDS)] += magnitude / N_BANDS;
  }
  const total = bands.reduce((sum, value) => sum + value, 0);
  let below = 0;
  const median = bands.findIndex((value) => (below += value) >= total / 2);
  const decibels = loudness.map((value) => 20 * Math.log10(value));
  const loudest = decibels.indexOf(Math.max(...decibels)) / FRAME_RATE;
  const sorted = decibels.slice().sort();
  const spread = quantile(sorted, 0.95) - quantile(sorted, 0.05);
  return (
    `half of the magnitude lies below ${readable(BAND_HZ[median])}; ` +
    `loudest ${loudest.toFixed(1)} s after the start; loudness varies by ${spread.toFixed(0)} dB over time`
  );
}

/** @param {Float64Array} sorted @param {number} share 0 to 1 */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** @param {number} hertz */
const readable = (hertz) => (hertz >= 1000 ? `${(hertz / 1000).toFixed(1)} kHz` : `${Math.round(hertz / 10) * 10} Hz`);

/**
 * The first frame of the excerpt around the highest probability, near-silent ones left aside, as `svdlib invert` does.
 * @param {Float32Array} samples the song, 22050 Hz
 * @param {Float32Array} curve smoothed probabilities, one a frame
 * @param {{hop: number, length: number, centre: number}} excerpt in samples and frames
 */
export function surestSinging(samples, curve, { hop, length, centre }) {
  const energy = new Float64Array(samples.length + 1);
  for (let k = 0; k < samples.length; k++) energy[k + 1] = energy[k] + samples[k] ** 2;
  const enough = (0.01 * energy[samples.length]) / samples.length;
  let best = 0;
  let most = -1;
  for (let start = 0; start + EXCERPT_FRAMES <= curve.length; start++) {
    const power = (energy[start * hop + length] - energy[start * hop]) / length;
    if (power >= enough && curve[start + centre] > most) {
      most = curve[start + centre];
      best = start;
    }
  }
  return best;
}
