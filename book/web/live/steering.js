/**
 * Moving FC8's 64 numbers: along the detector's own direction, or one of them.
 *
 * The detector's logit is a weighted sum of these numbers, plus a bias. So its gradient with respect to them is the row of
 * weights, the same for every sound, and what a move does to the logit is known without running anything.
 */

/** @typedef {{weight: number[], bias: number}} Out the last dense layer */

/**
 * The logit of a feature.
 * @param {ArrayLike<number>} feature of FC8
 * @param {Out} out
 */
export const logitOf = (feature, { weight, bias }) => weight.reduce((sum, each, k) => sum + each * feature[k], bias);

/** @param {number} logit */
export const probabilityOf = (logit) => 1 / (1 + Math.exp(-logit));

/**
 * The nearest feature whose logit is higher by `change`.
 * @param {ArrayLike<number>} feature
 * @param {Out} out
 * @param {number} change in logits; negative for less voice
 * @returns {Float32Array}
 */
export function turned(feature, { weight }, change) {
  const squares = weight.reduce((sum, each) => sum + each * each, 0);
  return Float32Array.from(feature, (value, k) => value + (change / squares) * weight[k]);
}

/**
 * The feature with one number changed.
 * @param {ArrayLike<number>} feature
 * @param {number} unit which one, from 0
 * @param {number} change
 * @returns {Float32Array}
 */
export const withOne = (feature, unit, change) =>
  Float32Array.from(feature, (value, k) => (k === unit ? value + change : value));

/**
 * The numbers of a feature with what each adds to the logit, the weightiest first.
 * @param {ArrayLike<number>} feature
 * @param {Out} out
 * @returns {{unit: number, value: number, adds: number}[]}
 */
export const contributions = (feature, { weight }) =>
  weight
    .map((each, unit) => ({ unit, value: feature[unit], adds: each * feature[unit] }))
    .sort((one, other) => Math.abs(other.adds) - Math.abs(one.adds));
