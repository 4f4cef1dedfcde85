/**
 * The vocal curve of a song, on which a place is chosen by pointer or keyboard.
 */
import { clock, draw, make } from "./elements.js";
import { CENTRE_FRAME, EXCERPT_FRAMES, FRAME_RATE } from "./front_end.js";

const STEPS = {
  ArrowLeft: -7,
  ArrowRight: 7,
  ArrowDown: -7,
  ArrowUp: 7,
  PageDown: -350,
  PageUp: 350,
  Home: -Infinity,
  End: Infinity,
};
const MOST_COLUMNS = 3000;
const LONGEST_TICK = 300;

/** The curve as an element; `onchoose(frame)` is called where the reader asks for an inversion. */
export class Curve {
  /**
   * @param {Float32Array} curve smoothed probabilities, one a frame
   * @param {number} threshold
   * @param {number} frame where the cursor stands at first
   * @param {(frame: number) => void} onchoose
   */
  constructor(curve, threshold, frame, onchoose) {
    Object.assign(this, { curve, threshold, onchoose });
    this.playhead = make("span", { class: "live-playhead", hidden: "" });
    this.cursor = make("span", { class: "live-cursor" });
    this.slider = make(
      "div",
      {
        class: "live-plot",
        role: "slider",
        tabindex: "0",
        "aria-label": "Place in the song",
        "aria-describedby": "live-keys",
        "aria-valuemin": (CENTRE_FRAME / FRAME_RATE).toFixed(1),
        "aria-valuemax": (this.#last / FRAME_RATE).toFixed(1),
        onkeydown: (event) => this.#key(event),
        onclick: (event) => this.#click(event),
      },
      this.#drawing(),
      this.cursor,
      this.playhead,
    );
    this.element = make(
      "div",
      { class: "live-curve" },
      make("div", { class: "live-scale", "aria-hidden": "true" }, ...this.#scale()),
      this.slider,
      make("div", { class: "live-times", "aria-hidden": "true" }, ...this.#times()),
    );
    this.place(frame);
  }

  get #last() {
    return this.curve.length - EXCERPT_FRAMES + CENTRE_FRAME;
  }

  /** Put the cursor on the frame nearest to one asked for that has a whole excerpt around it. */
  place(frame) {
    this.frame = Math.min(Math.max(Math.round(frame), CENTRE_FRAME), this.#last);
    const width = EXCERPT_FRAMES / this.curve.length;
    this.cursor.style.left = `${(100 * (this.frame - CENTRE_FRAME)) / this.curve.length}%`;
    this.cursor.style.width = `${100 * width}%`;
    const seconds = this.frame / FRAME_RATE;
    this.slider.setAttribute("aria-valuenow", seconds.toFixed(1));
    this.slider.setAttribute(
      "aria-valuetext",
      `${clock(seconds)}, probability of singing ${this.curve[this.frame].toFixed(2)}`,
    );
  }

  /** Show where the song is played, in seconds; null where it is not. */
  play(seconds) {
    this.playhead.hidden = seconds === null;
    this.playhead.style.left = `${(100 * (seconds ?? 0) * FRAME_RATE) / this.curve.length}%`;
  }

  #key(event) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.onchoose(this.frame);
    } else if (event.key in STEPS) {
      event.preventDefault();
      this.place(this.frame + STEPS[event.key] / (event.shiftKey ? 7 : 1));
    }
  }

  #click(event) {
    const box = this.slider.getBoundingClientRect();
    this.place(((event.clientX - box.left) / box.width) * this.curve.length);
    this.onchoose(this.frame);
  }

  /** The curve, shaded where it counts as sung; as wide as there is room. */
  #drawing() {
    const { curve, threshold } = this;
    const columns = Math.min(MOST_COLUMNS, curve.length);
    const points = [];
    for (let column = 0; column < columns; column++) {
      const part = curve.subarray(
        Math.floor((column * curve.length) / columns),
        Math.floor(((column + 1) * curve.length) / columns),
      );
      // Both ends of what a column holds, so that short peaks are seen.
      points.push([column, Math.min(...part)], [column, Math.max(...part)]);
    }
    const path = (values) => values.map(([x, y]) => `${x} ${(1 - y).toFixed(4)}`).join("L");
    const shaded = points.map(([x, y]) => [x, Math.max(y, threshold)]);
    return draw(
      "svg",
      { viewBox: `0 -0.03 ${columns} 1.06`, preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("path", {
        class: "live-sung",
        d: `M0 ${1 - threshold}L${path(shaded)}L${columns - 1} ${1 - threshold}Z`,
      }),
      draw("path", { class: "live-line", d: `M${path(points)}` }),
      draw("path", { class: "live-threshold", d: `M0 ${1 - threshold}H${columns}` }),
    );
  }

  #scale() {
    return [
      [1, "1"],
      [this.threshold, `threshold ${this.threshold.toFixed(2)}`],
      [0, "0"],
    ].map(([value, text]) => make("span", { style: `bottom: ${(100 * (Number(value) + 0.03)) / 1.06}%` }, text));
  }

  #times() {
    const seconds = this.curve.length / FRAME_RATE;
    const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((value) => seconds / value <= 6) ?? LONGEST_TICK;
    const marks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, k) => k * step);
    return marks.map((mark) =>
      make("span", { style: `left: ${(100 * mark) / seconds}%` }, step < 1 ? clock(mark) : clock(mark).slice(0, -2)),
    );
  }
}

/**
 * Say what a curve shows.
 * @param {Float32Array} curve smoothed probabilities @param {number} threshold
 */
export function describeCurve(curve, threshold) {
  const sung = curve.reduce((count, value) => count + (value > threshold ? 1 : 0), 0);
  let parts = 0;
  curve.forEach((value, k) => {
    if (value > threshold && !(k > 0 && curve[k - 1] > threshold)) parts++;
  });
  const length = `The sound lasts ${clock(curve.length / FRAME_RATE)}.`;
  if (!sung) return `${length} The curve never rises above the threshold: the detector hears no singing.`;
  const share = Math.round((100 * sung) / curve.length);
  return `${length} The detector hears singing in ${share} % of it, in ${parts} ${parts > 1 ? "stretches" : "stretch"}.`;
}
