/**
 * The worker: everything that takes long, so that the page never freezes. One task at a time, in the order they came.
 *
 * Tasks and answers are plain messages: {id, task, ...} in; {id, progress}, {id, result} or {id, error} out.
 */
import {
  CENTRE_FRAME,
  EXCERPT_FRAMES,
  EXCERPT_SAMPLES,
  fillLogMel,
  framesIn,
  HOP_LENGTH,
  N_BANDS,
  Standardiser,
} from "./front_end.js";
import { unpackText } from "./files.js";
import { distance, smooth, surestSinging, typicalDistance } from "./measures.js";
import { Detector, Inverters, LAYERS, PIECE, prepareEngine } from "./networks.js";
import { matchLevel, soundOf } from "./phases.js";
import { Cancelled, sentence } from "./trouble.js";

/** @typedef {(text: string, share: number) => Promise<void>} Report says how far a task is; throws where it is cancelled */

const LOG_MEL_FRAMES = 2048;
const cancelled = new Set();
const networks = {};
const song = {};

const tasks = {
  /** Open the detector: {engine, detector, constants}, each the packed files of a script. */
  async openDetector({ engine, detector, constants }, /** @type {Report} */ report) {
    const { threshold, mean, std, out } = JSON.parse(await unpackText(constants["constants.json"]));
    await report("Starting the engine", 0);
    await prepareEngine(self.ort, engine);
    networks.detector = await Detector.open(self.ort, detector);
    networks.standardiser = new Standardiser(mean, std);
    return { threshold, out };
  },

  /** Open the inverters: {inverters}. */
  async openInverters({ inverters }) {
    networks.inverters = await Inverters.open(self.ort, inverters);
    return {};
  },

  /** Analyse a song: {samples}; gives its smoothed curve and where singing is surest. */
  async analyse({ samples }, /** @type {Report} */ report) {
    const frames = framesIn(samples.length);
    const logMel = new Float32Array(frames * N_BANDS);
    for (let frame = 0; frame < frames; frame += LOG_MEL_FRAMES) {
      await report("Computing the spectrogram", (0.05 * frame) / frames);
      fillLogMel(samples, logMel, frame, Math.min(frame + LOG_MEL_FRAMES, frames));
    }
    const standardised = networks.standardiser.forward(logMel);
    const surrounded = networks.standardiser.surround(standardised);
    const probabilities = new Float32Array(frames);
    for (let start = 0; start < frames; start += PIECE) {
      await report("The detector listens", 0.05 + (0.95 * start) / frames);
      const end = Math.min(start + PIECE, frames) + EXCERPT_FRAMES - 1;
      const piece = surrounded.slice(start * N_BANDS, end * N_BANDS);
      probabilities.set(await networks.detector.scorePiece(piece), start);
    }
    const curve = smooth(probabilities);
    Object.assign(song, { samples, logMel, standardised, typical: typicalDistance(standardised) });
    const excerpt = { hop: HOP_LENGTH, length: EXCERPT_SAMPLES, centre: CENTRE_FRAME };
    return { curve, probabilities, surest: surestSinging(samples, curve, excerpt) + CENTRE_FRAME };
  },

  /** Invert the excerpt around a frame: {centre}; gives the original and the inversions as pictures, shallow to deep. */
  async invert({ centre }, /** @type {Report} */ report) {
    const start = centre - CENTRE_FRAME;
    const excerpt = song.standardised.slice(start * N_BANDS, (start + EXCERPT_FRAMES) * N_BANDS);
    await report("The detector looks at the excerpt", 0);
    const { probability, features } = await networks.detector.look(excerpt);
    const pictures = [{ name: "original", standardised: excerpt, probability, distance: 0 }];
    for (const layer of LAYERS) {
      await report(`Inverting ${layer}`, pictures.length / (LAYERS.length + 1));
      const standardised = await networks.inverters.invert(layer, features[layer]);
      const seen = await networks.detector.score(standardised);
      pictures.push({ name: layer, standardised, probability: seen, distance: distance(excerpt, standardised) });
    }
    for (const picture of pictures) picture.logMel = networks.standardiser.inverse(picture.standardised);
    const recording = song.samples.slice(start * HOP_LENGTH, start * HOP_LENGTH + EXCERPT_SAMPLES);
    song.excerpt = excerpt;
    return { pictures, recording, typical: song.typical, feature: features.fc8.data.slice() };
  },

  /** Paint a feature of FC8, whichever: {feature}; gives a picture. */
  async paint({ feature }) {
    const standardised = await networks.inverters.invert("fc8", new self.ort.Tensor("float32", feature, [1, feature.length]));
    const probability = await networks.detector.score(standardised);
    const logMel = networks.standardiser.inverse(standardised);
    return { standardised, logMel, probability, distance: distance(song.excerpt, standardised) };
  },

  /** Make a picture audible: {logMel, recording}; gives samples as loud as the recording. */
  async listen({ logMel, recording }, /** @type {Report} */ report) {
    await report("Finding phases", 0);
    return { samples: matchLevel(soundOf(logMel), recording) };
  },
};

/** Let messages in, such as one that cancels. */
const breathe = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port2.close();
      resolve(undefined);
    };
    port1.postMessage(0);
  });

let queue = Promise.resolve();

self.onmessage = ({ data: { id, task, ...details } }) => {
  if (task === "cancel") {
    cancelled.add(id);
    return;
  }
  queue = queue.then(async () => {
    const report = async (/** @type {string} */ text, /** @type {number} */ share) => {
      self.postMessage({ id, progress: { text, share } });
      await breathe();
      if (cancelled.has(id)) throw new Cancelled();
    };
    try {
      await breathe();
      if (cancelled.has(id)) throw new Cancelled();
      self.postMessage({ id, result: await tasks[task](details, report) });
    } catch (error) {
      self.postMessage({ id, error: error instanceof Cancelled ? null : sentence(error) });
    }
    cancelled.delete(id);
  });
};
