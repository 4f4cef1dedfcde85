/**
 * The Fourier transform of frames, in double precision.
 */

/** A transform of a fixed length, a power of two: two real frames at once, as the two parts of one complex frame. */
export class Fourier {
  /** @param {number} length samples in a frame */
  constructor(length) {
    this.length = length;
    this.bins = length / 2 + 1;
    this.cosines = Float64Array.from({ length: length / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / length));
    this.sines = Float64Array.from({ length: length / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / length));
    const bits = Math.log2(length);
    this.order = Uint16Array.from({ length }, (_, k) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((k >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  /**
   * Transform a complex frame in place, without a factor (Cooley & Tukey 1965).
   * @param {Float64Array} real (length)
   * @param {Float64Array} imaginary (length)
   */
  transform(real, imaginary) {
    const { length, order, cosines, sines } = this;
    for (let k = 0; k < length; k++) {
      const other = order[k];
      if (other > k) {
        [real[k], real[other]] = [real[other], real[k]];
        [imaginary[k], imaginary[other]] = [imaginary[other], imaginary[k]];
      }
    }
    for (let half = 1; half < length; half *= 2) {
      const step = length / (2 * half);
      for (let start = 0; start < length; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const low = start + k;
          const high = low + half;
          const c = cosines[k * step];
          const s = sines[k * step];
          const re = real[high] * c + imaginary[high] * s;
          const im = imaginary[high] * c - real[high] * s;
          real[high] = real[low] - re;
          imaginary[high] = imaginary[low] - im;
          real[low] += re;
          imaginary[low] += im;
        }
      }
    }
  }

  /**
   * Take the spectra of the two real frames that were transformed as one complex frame apart.
   * @param {Float64Array} real what `transform` left, (length)
   * @param {Float64Array} imaginary
   * @param {number} bin 0 to length / 2
   * @returns {[number, number, number, number]} real and imaginary part of the first frame's bin, then the second's
   */
  apart(real, imaginary, bin) {
    const mirrored = (this.length - bin) % this.length;
    return [
      (real[bin] + real[mirrored]) / 2,
      (imaginary[bin] - imaginary[mirrored]) / 2,
      (imaginary[bin] + imaginary[mirrored]) / 2,
      (real[mirrored] - real[bin]) / 2,
    ];
  }
}
