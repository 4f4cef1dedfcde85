/**
 * "Turn the answer": FC8's numbers are moved by a slider, and the inverter paints what they then stand for.
 */
import { make } from "./elements.js";
import { Panels } from "./panels.js";
import { contributions, logitOf, probabilityOf, turned, withOne } from "./steering.js";

/** How far the slider moves the logit, either way. */
const LOGITS = 8;

/** @param {number} value @returns {string} with its sign, which a zero has as "+" */
const signed = (value) => `${Math.round(10 * value) < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;

export class Turn {
  /**
   * @param {{pictures: import("./panels.js").Picture[], feature: Float32Array, recording: Float32Array, typical: number}} inversion
   * @param {import("./steering.js").Out} out
   * @param {{paint: (feature: Float32Array) => Promise<import("./panels.js").Picture>,
   *   soundOf: (logMel: Float32Array) => Promise<Float32Array>, onerror: (error: unknown) => void}} doing
   */
  constructor({ pictures, feature, recording, typical }, out, { paint, soundOf, onerror }) {
    Object.assign(this, { feature, out, paint, onerror });
    const fc8 = pictures.find(({ name }) => name === "fc8");
    this.moved = { ...fc8, name: "moved", title: "FC8, moved" };
    const shown = [pictures[0], { ...fc8, title: "FC8, as it is" }, this.moved];
    this.panels = new Panels({ pictures: shown, recording, typical }, soundOf, onerror);
    this.painting = false;
    this.element = make(
      "section",
      { class: "live-turn", "aria-labelledby": "live-turn-title" },
      make("h2", { id: "live-turn-title" }, "Turn the answer"),
      make(
        "p",
        {},
        "The answer is a weighted sum of FC8’s 64 numbers. Move the numbers, and see and hear what the inverter makes of them.",
      ),
      this.#controls(),
      this.panels.element,
    );
    this.#tell();
  }

  #controls() {
    const choice = (/** @type {string} */ value, /** @type {string} */ text) =>
      make(
        "label",
        {},
        make("input", { type: "radio", name: "live-turn-way", value, onchange: () => this.#choose(), ...(value === "all" ? { checked: "" } : {}) }),
        ` ${text}`,
      );
    this.unit = make(
      "select",
      { "aria-label": "Which number, and what it adds to the logit", onchange: () => this.#choose() },
      ...contributions(this.feature, this.out).map(({ unit, value, adds }) =>
        make("option", { value: unit }, `number ${unit + 1}: ${value.toFixed(2)}, adds ${signed(adds)}`),
      ),
    );
    this.slider = make("input", {
      type: "range",
      oninput: () => this.#move(),
      onchange: () => this.#move(true),
    });
    this.ends = [make("span", {}), make("span", {})];
    this.back = make("button", { type: "button", onclick: () => this.#choose() }, "Back to the original");
    this.status = make("p", { role: "status", class: "live-note" });
    this.way = make("fieldset", {}, make("legend", {}, "What moves"), choice("all", "All 64, straight along the detector’s own direction"), choice("one", "One of them"));
    this.row = make("div", { class: "live-slide" }, this.ends[0], this.slider, this.ends[1]);
    const controls = make("div", {}, this.way, this.unit, this.row, make("div", { class: "live-buttons" }, this.back), this.status);
    this.#arrange();
    return controls;
  }

  get #alone() {
    return this.way.querySelector("input:checked").value === "one";
  }

  /** Show what belongs to the way that is chosen, with the slider in its middle. */
  #arrange() {
    // In tenths, so that both ends are whole steps from each other.
    const reach = this.#alone ? Math.ceil(20 * Math.max(...this.feature.map(Math.abs))) / 10 : LOGITS;
    this.unit.hidden = !this.#alone;
    Object.assign(this.slider, { min: -reach, max: reach, step: this.#alone ? Number((reach / 40).toFixed(4)) : 0.5 });
    this.slider.value = 0;
    this.slider.setAttribute("aria-label", this.#alone ? "The number, less or more" : "Less voice, more voice");
    const [low, high] = this.#alone ? ["less", "more"] : ["less voice", "more voice"];
    this.ends[0].textContent = low;
    this.ends[1].textContent = high;
  }

  #choose() {
    this.#arrange();
    this.#move(true);
  }

  /** The feature that the slider asks for. */
  get wanted() {
    const change = Number(this.slider.value);
    return this.#alone ? withOne(this.feature, Number(this.unit.value), change) : turned(this.feature, this.out, change);
  }

  /** @param {boolean} [released] whether the slider rests: then the sound is heard again, if it was before */
  async #move(released = false) {
    this.released = released;
    this.#tell();
    this.again = true;
    if (this.painting) return;
    this.painting = true;
    try {
      while (this.again && !this.panels.closed) {
        this.again = false;
        const picture = await this.paint(this.wanted);
        if (this.panels.closed) return;
        this.moved = { ...picture, name: "moved", title: "FC8, moved" };
        await this.panels.swap(this.moved, this.released && !this.again);
        if (!this.again) this.#tell(true);
      }
    } catch (error) {
      this.onerror(error);
    } finally {
      this.painting = false;
    }
  }

  /** @param {boolean} [painted] whether the picture is that of the slider's place */
  #tell(painted = false) {
    const [before, after] = [this.feature, this.wanted].map((each) => logitOf(each, this.out));
    const change = after - before;
    const answer = `Logit ${signed(before)} ${signed(change).replace(/^./, (sign) => `${sign} `)} = ${signed(after)}`;
    const probabilities = `probability of singing ${probabilityOf(before).toFixed(2)} → ${probabilityOf(after).toFixed(2)}`;
    this.slider.setAttribute("aria-valuetext", `logit ${signed(change)}`);
    const picture = painted ? ` To the new picture itself the detector answers ${this.moved.probability.toFixed(2)}.` : "";
    this.status.textContent = `${answer}, ${probabilities}.${picture}`;
    Object.assign(this.element ?? {}, { turn: { before, after, moved: this.moved } });
  }

  /** Stop the sound and forget all of them. */
  close() {
    this.panels.close();
  }
}
