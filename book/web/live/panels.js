/**
 * An excerpt and its inversions, as pictures on one scale, each to listen to.
 */
import { layerTitle, make } from "./elements.js";
import { bandOfFrequency, EXCERPT_FRAMES, FRAME_RATE, N_BANDS } from "./front_end.js";
import { describe } from "./measures.js";
import { wavOf } from "./sound.js";

/** The colours "magma" of matplotlib, from the darkest to the brightest, seventeen of them. */
export const COLOURS = [
  "000004", "0a0822", "1d1147", "36106b", "51127c", "6a1c81", "832681", "9c2e7f", "b73779",
  "d0416f", "e75263", "f56b5c", "fc8961", "fea772", "fec488", "fde2a3", "fcfdbf",
]; // prettier-ignore
/** The values of the darkest and the brightest colour, as in the book's other pictures. */
const LIMITS = [-2.5, 2.5];
const LABELLED = [
  [250, "250 Hz"],
  [1000, "1 kHz"],
  [4000, "4 kHz"],
];

/**
 * The colour of a standardised value.
 * @param {number} value
 * @returns {[number, number, number]}
 */
export function colourOf(value) {
  const share = Math.min(Math.max((value - LIMITS[0]) / (LIMITS[1] - LIMITS[0]), 0), 1);
  const place = share * (COLOURS.length - 1);
  const below = Math.min(Math.floor(place), COLOURS.length - 2);
  const part = (/** @type {string} */ colour, /** @type {number} */ k) => parseInt(colour.slice(2 * k, 2 * k + 2), 16);
  const mixed = [0, 1, 2].map((k) => {
    const [low, high] = [part(COLOURS[below], k), part(COLOURS[below + 1], k)];
    return low + (place - below) * (high - low);
  });
  return /** @type {[number, number, number]} */ (mixed);
}

/**
 * @typedef {object} Picture
 * @property {string} name "original", a layer, or another name
 * @property {string} [title] where the name does not say it
 * @property {Float32Array} standardised 115 times 80
 * @property {Float32Array} logMel the same, not standardised
 * @property {number} probability of singing, as the detector judges this picture
 * @property {number} distance from the original
 */

/**
 * Free the sound of a player.
 * @param {HTMLAudioElement} player
 */
export function forget(player) {
  const { src } = player;
  player.removeAttribute("src");
  player.load(); // or it would look for its sound once more
  URL.revokeObjectURL(src);
}

/** All pictures of an excerpt; only one sound plays at a time, and another one goes on from the same place. */
export class Panels {
  /**
   * @param {{pictures: Picture[], recording: Float32Array, typical: number}} inversion from the worker
   * @param {(logMel: Float32Array) => Promise<Float32Array>} soundOf makes a picture audible
   * @param {(error: unknown) => void} onerror
   */
  constructor(inversion, soundOf, onerror) {
    Object.assign(this, { ...inversion, soundOf, onerror });
    /** @type {Map<string, Promise<HTMLAudioElement>>} */
    this.players = new Map();
    /** @type {HTMLAudioElement | null} */
    this.playing = null;
    this.heads = this.pictures.map(() => make("span", { class: "live-playhead", hidden: "" }));
    this.element = make("div", { class: "live-panels" }, ...this.pictures.map((picture, k) => this.#panel(picture, k)));
  }

  /** Make all sounds beforehand, one after the other, until stopped. */
  async prepare() {
    for (const picture of this.pictures) {
      if (this.closed) return;
      await this.#player(picture.name, picture.logMel).catch(() => {});
    }
  }

  /** Stop the sound and forget all of them. */
  close() {
    this.closed = true;
    this.playing?.pause();
    for (const player of this.players.values()) player.then(forget).catch(() => {});
  }

  /**
   * Put another picture in the place of the one with its name.
   * @param {Picture} picture
   * @param {boolean} heard whether its sound is played at once, if that of the one before has been listened to
   */
  async swap(picture, heard) {
    const k = this.pictures.findIndex(({ name }) => name === picture.name);
    const before = this.players.get(picture.name);
    this.players.delete(picture.name);
    const player = await before?.catch(() => undefined);
    const listened = player !== undefined;
    if (this.playing === player) this.playing = null;
    if (listened) {
      player.pause();
      forget(player);
    }
    this.listened ||= listened;
    this.pictures[k] = picture;
    const figure = this.#panel(picture, k);
    this.element.children[k].replaceWith(figure);
    if (heard && this.listened && !this.closed) figure.querySelector("button").click();
  }

  #panel(picture, k) {
    const original = picture.name === "original";
    const title = picture.title ?? (original ? "Original" : layerTitle(picture.name));
    const off = Number.isFinite(this.typical) ? `, off by ${Math.round((100 * picture.distance) / this.typical)}\u00a0%` : "";
    const numbers = `singing ${picture.probability.toFixed(2)}${original ? "" : off}`;
    const alternative = `${title}, as a spectrogram: ${describe(picture.logMel)}.`;
    return make(
      "figure",
      { class: "live-panel", "data-name": picture.name, "data-probability": picture.probability },
      make("figcaption", {}, make("strong", {}, title), ` ${numbers}`),
      make("div", { class: "live-picture" }, this.#canvas(picture, alternative), ...this.#axis(), this.heads[k]),
      make(
        "div",
        { class: "live-buttons" },
        this.#button(title, "Listen", () => this.#player(picture.name, picture.logMel)),
        ...(original ? [this.#button(title, "As recorded", () => this.#player("recording", null))] : []),
      ),
    );
  }

  #canvas({ standardised }, alternative) {
    const canvas = make("canvas", {
      width: EXCERPT_FRAMES,
      height: N_BANDS,
      role: "img",
      "aria-label": alternative,
    });
    const image = new ImageData(EXCERPT_FRAMES, N_BANDS);
    for (let frame = 0; frame < EXCERPT_FRAMES; frame++) {
      for (let band = 0; band < N_BANDS; band++) {
        const place = 4 * ((N_BANDS - 1 - band) * EXCERPT_FRAMES + frame);
        image.data.set([...colourOf(standardised[frame * N_BANDS + band]), 255], place);
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  #axis() {
    return LABELLED.map(([hertz, text]) => {
      const bottom = (100 * (bandOfFrequency(Number(hertz)) + 0.5)) / N_BANDS;
      return make("span", { class: "live-hertz", style: `bottom: ${bottom}%`, "aria-hidden": "true" }, text);
    });
  }

  #button(title, text, player) {
    const button = make("button", { type: "button", class: "live-listen" });
    const show = (/** @type {"still" | "waiting" | "playing"} */ state) => {
      const [sign, words] = { still: ["▶", text], waiting: ["…", "One moment"], playing: ["⏸", "Pause"] }[state];
      button.replaceChildren(`${sign} ${words}`);
      button.setAttribute("aria-label", `${words}, ${title}`);
      button.dataset.state = state;
    };
    show("still");
    button.onclick = async () => {
      show("waiting");
      try {
        const audio = await player();
        audio.onplay = () => show("playing");
        audio.onpause = () => show("still");
        await this.#play(audio);
      } catch (error) {
        show("still");
        this.onerror(error);
      }
    };
    return button;
  }

  #player(name, logMel) {
    if (!this.players.has(name)) {
      const samples = logMel ? this.soundOf(logMel) : Promise.resolve(this.recording);
      const player = samples.then((values) => make("audio", { preload: "none", src: URL.createObjectURL(wavOf(values)) }));
      player.catch(() => this.players.delete(name));
      this.players.set(name, player);
    }
    return this.players.get(name);
  }

  async #play(audio) {
    const before = this.playing;
    if (before === audio && !audio.paused) {
      audio.pause();
      return;
    }
    const going = before && !before.paused;
    before?.pause();
    if (before && before !== audio) audio.currentTime = going ? before.currentTime : 0;
    this.playing = audio;
    await audio.play();
    this.#follow(audio);
  }

  /** Move the line over the pictures while a sound plays. */
  #follow(audio) {
    const over = audio !== this.playing || audio.paused;
    const share = Math.min(1, (audio.currentTime * FRAME_RATE) / EXCERPT_FRAMES);
    for (const head of this.heads) {
      head.hidden = audio.paused;
      head.style.left = `${100 * share}%`;
    }
    if (!over) requestAnimationFrame(() => this.#follow(audio));
  }
}

/** What the colours mean, as a bar. */
export function colourBar() {
  const stops = COLOURS.map((colour, k) => `#${colour} ${(100 * k) / (COLOURS.length - 1)}%`).join(", ");
  return make(
    "p",
    { class: "live-bar" },
    "2.5 deviations below the band’s mean ",
    make("span", { style: `background: linear-gradient(to right, ${stops})`, "aria-hidden": "true" }),
    " 2.5 above",
  );
}
