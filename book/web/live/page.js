/**
 * "Your own sound": the part of the page that moves. It fills the element #svdlib-live.
 */
import { Curve, describeCurve } from "./curve.js";
import { clock, layerTitle, make } from "./elements.js";
import { EXCERPT_FRAMES, FRAME_RATE } from "./front_end.js";
import { unpack } from "./files.js";
import { Helper, loaded } from "./helper.js";
import { colourBar, forget, Panels } from "./panels.js";
import { megabytes } from "./sizes.js";
import { decode, LONGEST_RECORDING, Recording, wavOf } from "./sound.js";
import { Cancelled, sentence, SENTENCES, Trouble } from "./trouble.js";
import { Turn } from "./turn.js";

/** What the first sound loads. */
const NETWORKS = ["engine.js", "detector.js", "constants.js", "inverters.js"];

class Page {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.helper = new Helper();
    /** @type {AbortController | null} what is being worked on */
    this.work = null;
    /** @type {Recording | null} */
    this.recording = null;
    this.#build(root);
  }

  #build(root) {
    this.file = make("input", {
      type: "file",
      id: "live-file",
      class: "live-file",
      accept: "audio/*,video/mp4,video/webm,.mp3,.wav,.flac,.ogg,.opus,.m4a,.aac",
      onchange: () => this.file.files[0] && this.take(this.file.files[0], this.file.files[0].name),
    });
    this.record = make("button", { type: "button", onclick: () => this.toggleRecording() }, "Record");
    this.recorded = make("span", { class: "live-recorded", role: "timer", hidden: "" });
    const example = make("button", { type: "button", class: "live-example", onclick: () => this.takeExample() }, "Try an example");
    const drop = make(
      "div",
      { class: "live-drop" },
      make("p", {}, "Drop a sound file here, or"),
      make(
        "div",
        { class: "live-buttons" },
        this.file,
        make("label", { for: "live-file" }, "Choose a file"),
        this.record,
        this.recorded,
        example,
      ),
      make(
        "p",
        { class: "live-note" },
        `The first sound also loads the engine and the networks, ${megabytes(...NETWORKS)}. The example is a song made by a program.`,
      ),
    );
    this.#takeDrops(drop);
    this.status = make("p", { role: "status", class: "live-status" });
    this.alert = make("p", { role: "alert", class: "live-alert" });
    this.progress = make("progress", { max: "1", value: "0", "aria-label": "Progress" });
    this.cancel = make("button", { type: "button", onclick: () => this.#cancel() }, "Cancel");
    this.busy = make("div", { class: "live-busy", hidden: "" }, this.progress, this.cancel);
    this.song = make("section", { class: "live-song", "aria-label": "The song" });
    this.inversions = make("section", { class: "live-inversions", "aria-label": "Inversions" });
    root.classList.add("live");
    root.replaceChildren(drop, this.status, this.busy, this.alert, this.song, this.inversions);
  }

  #takeDrops(place) {
    const mark = (/** @type {boolean} */ on) => place.classList.toggle("live-over", on);
    place.ondragover = (event) => {
      event.preventDefault();
      mark(true);
    };
    place.ondragleave = () => mark(false);
    place.ondrop = (event) => {
      event.preventDefault();
      mark(false);
      const file = event.dataTransfer.files[0];
      if (file) this.take(file, file.name);
      else this.#complain(new Trouble(SENTENCES.noFile));
    };
  }

  /** Record from the microphone until the button is pressed again. */
  async toggleRecording() {
    if (this.recording) {
      this.#endRecording();
      return;
    }
    this.#tidy();
    try {
      this.record.disabled = true;
      this.recording = await Recording.start();
      this.record.replaceChildren("Stop and listen in");
      this.recorded.hidden = false;
      const begun = performance.now();
      this.#say("Recording. Press the button to stop.");
      this.timer = setInterval(() => {
        const seconds = (performance.now() - begun) / 1000;
        this.recorded.replaceChildren(clock(seconds));
        if (seconds > LONGEST_RECORDING) this.#endRecording();
      }, 100);
    } catch (error) {
      this.#complain(error);
    } finally {
      this.record.disabled = false;
    }
  }

  async #endRecording() {
    const blob = await this.#stopRecording();
    await this.take(blob, "Your recording");
  }

  /** Let go of the microphone. @returns {Promise<Blob>} what it heard */
  #stopRecording() {
    const { recording } = this;
    clearInterval(this.timer);
    this.recording = null;
    this.recorded.hidden = true;
    this.record.replaceChildren("Record");
    return recording.stop();
  }

  /**
   * Take in a sound: show its curve, and the inversions of its surest moment.
   * @param {Blob} blob
   * @param {string} name
   */
  take(blob, name) {
    return this.#work((signal, show) => this.#takeIn(blob, name, signal, show));
  }

  /** Take in the song that comes with the page. */
  takeExample() {
    return this.#work(async (signal, show) => {
      show(`Loading the example, ${megabytes("example.js")}`, 0);
      const { "example.mp3": packed } = await loaded("example.js");
      const blob = new Blob([await unpack(packed)], { type: "audio/mpeg" });
      giveUpIf(signal.aborted);
      await this.#takeIn(blob, "The example", signal, show);
    });
  }

  async #takeIn(blob, name, signal, show) {
    if (this.recording) this.#stopRecording();
    this.#tidy();
    show("Decoding the sound", 0);
    const samples = await decode(blob);
    giveUpIf(signal.aborted);
    const { threshold, out } = await this.helper.openDetector(show);
    this.out = out;
    const wav = wavOf(samples);
    const analysed = this.helper.ask("analyse", { samples }, { show, signal, transfer: [samples.buffer] });
    // They load while the detector listens; whatever fails here is told when they are asked for.
    this.helper.openInverters().catch(() => {});
    const { curve, probabilities, surest } = await analysed;
    giveUpIf(signal.aborted);
    this.#showSong({ wav, curve, probabilities, surest, threshold });
    await this.#invertAt(this.curve.frame, signal, show, `${name}: inverted at its surest moment,`);
    this.inversions.scrollIntoView({ block: "start" });
  }

  #showSong({ wav, curve, probabilities, surest, threshold }) {
    this.curve = new Curve(curve, threshold, surest, (frame) => this.invert(frame));
    this.player = make("audio", { controls: "", src: URL.createObjectURL(wav), "aria-label": "The song, as it is heard" });
    const follow = () => {
      this.curve.play(this.player.currentTime > 0 ? this.player.currentTime : null);
      if (!this.player.paused) requestAnimationFrame(follow);
    };
    this.player.onplay = this.player.onseeked = follow;
    const invert = make("button", { type: "button", onclick: () => this.invert(this.curve.frame) }, "Invert here");
    this.song.replaceChildren(
      make("h2", {}, "Where the detector hears singing"),
      this.curve.element,
      make(
        "p",
        { id: "live-keys", class: "live-note" },
        "Click on the curve to invert there. With the keyboard: arrows move the marker (with Shift by single frames), " +
          "Page Up and Page Down by five seconds, Enter inverts.",
      ),
      make("div", { class: "live-buttons" }, invert, this.player),
      make("p", {}, describeCurve(curve, threshold)),
    );
    // What tests compare with Python.
    Object.assign(this.song, { probabilities, curve });
  }

  /**
   * Invert the excerpt around a frame and show what came out.
   * @param {number} frame
   */
  invert(frame) {
    return this.#work(async (signal, show) => {
      await this.#invertAt(frame, signal, show, "Inverted at");
      this.inversions.querySelector(".live-panel").scrollIntoView({ block: "nearest" });
    });
  }

  /** @param {string} done how to say that it is done, before the time */
  async #invertAt(frame, signal, show, done) {
    const seconds = frame / FRAME_RATE;
    if (this.player.paused) this.player.currentTime = Math.max(0, seconds - EXCERPT_FRAMES / FRAME_RATE / 2);
    show(`Inverting at ${clock(seconds)}`, 0);
    await this.helper.openInverters();
    giveUpIf(signal.aborted);
    const named = (text, share) => show(text.replace(/Inverting (\w+)/, (_, layer) => `Inverting ${layerTitle(layer)}`), share);
    const inversion = await this.helper.ask("invert", { centre: frame }, { show: named, signal });
    giveUpIf(signal.aborted);
    this.#showInversions(inversion, seconds);
    this.#say(`${done} ${clock(seconds)}. ${judgement(inversion.pictures)}`);
    this.panels.prepare();
  }

  #showInversions(inversion, seconds) {
    this.panels?.close();
    this.turn?.close();
    const soundOf = async (logMel) => (await this.helper.ask("listen", { logMel, recording: inversion.recording })).samples;
    const onerror = (/** @type {unknown} */ error) => this.#complain(error);
    this.panels = new Panels(inversion, soundOf, onerror);
    const paint = (/** @type {Float32Array} */ feature) => this.helper.ask("paint", { feature });
    this.turn = new Turn(inversion, this.out, { paint, soundOf, onerror });
    const typical = Number.isFinite(inversion.typical)
      ? " “Off by” is the distance to the original in percent of the mean distance between two excerpts of this sound: " +
        "0 % is perfect, near 100 % no better than another excerpt."
      : "";
    this.inversions.replaceChildren(
      make("h2", {}, `What the layers keep at ${clock(seconds)}`),
      this.panels.element,
      colourBar(),
      make(
        "p",
        { class: "live-note" },
        "Each picture lasts 1.6 s. “Singing” is the probability that the detector gives to the picture itself, for its " +
          `middle.${typical} All sounds but “as recorded” get their phases from an estimate and sound a little metallic.`,
      ),
      this.turn.element,
    );
    Object.assign(this.inversions, { inversion });
  }

  /** Do one thing at a time, with its progress shown; a new one cancels the last. */
  async #work(act) {
    this.work?.abort();
    const work = new AbortController();
    this.work = work;
    this.alert.replaceChildren();
    this.busy.hidden = false;
    const show = (text, share) => {
      if (this.work !== work) return;
      this.#say(`${text} …`);
      this.progress.value = share;
    };
    try {
      await act(work.signal, show);
    } catch (error) {
      if (this.work === work) this.#complain(error);
    } finally {
      if (this.work === work) this.#rest();
    }
  }

  /** Give up what is being worked on; the worker stops at its next step. */
  #cancel() {
    this.work?.abort();
    this.#rest();
    this.#say("Cancelled.");
  }

  #rest() {
    const focused = document.activeElement === this.cancel;
    this.work = null;
    this.busy.hidden = true;
    // The keyboard would be lost with the button that it was on.
    if (focused) (this.curve?.slider.isConnected ? this.curve.slider : this.file).focus();
  }

  /** Take the last sound away. */
  #tidy() {
    this.panels?.close();
    this.turn?.close();
    if (this.player) forget(this.player);
    this.panels = this.turn = this.player = undefined;
    this.file.value = "";
    this.alert.replaceChildren();
    this.song.replaceChildren();
    this.inversions.replaceChildren();
  }

  /** @param {string} text */
  #say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  /** @param {unknown} error */
  #complain(error) {
    this.#say("");
    this.alert.textContent = sentence(error);
  }
}

/** @param {boolean} aborted whether the reader has cancelled what is being worked on */
function giveUpIf(aborted) {
  if (aborted) throw new Cancelled();
}

/** Which layers still hold what the detector decides by. */
function judgement(pictures) {
  const [original, ...inversions] = pictures;
  const list = inversions.map(({ name, probability }) => `${layerTitle(name)} ${probability.toFixed(2)}`).join(", ");
  return `Probability of singing: original ${original.probability.toFixed(2)}, ${list}.`;
}

const root = document.getElementById("svdlib-live");
if (root) new Page(root);
