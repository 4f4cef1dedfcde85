/**
 * The detector and the inverters, run by ONNX Runtime Web.
 */
import { unpack, unpackText } from "./files.js";
import { EXCERPT_FRAMES, N_BANDS } from "./front_end.js";

/** @typedef {import("./files.js").Packed} Packed */

export const LAYERS = ["conv1", "conv2", "mp3", "conv4", "conv5", "mp6", "fc7", "fc8"];

/** Excerpts that are scored in one go: enough to waste little on the overlap, few enough to be cancelled soon. */
export const PIECE = 1024;
const EXCERPT_VALUES = EXCERPT_FRAMES * N_BANDS;

/** @param {number} logit */
const probability = (logit) => 1 / (1 + Math.exp(-logit));

/**
 * Give the engine its parts, which it would otherwise fetch.
 * @param {typeof import("onnxruntime-web")} ort the engine
 * @param {Packed} packed `engine.wasm` and `engine.mjs`
 */
export async function prepareEngine(ort, packed) {
  ort.env.wasm.numThreads = 1; // more would need a page with special headers, which no disk sends
  ort.env.wasm.wasmBinary = (await unpack(packed["engine.wasm"])).buffer;
  const loader = new Blob([await unpackText(packed["engine.mjs"])], { type: "text/javascript" });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(loader) };
}

/** The detector: on excerpts with all features, and on pieces of a song. */
export class Detector {
  /**
   * @param {typeof import("onnxruntime-web")} ort
   * @param {Packed} packed the files of `detector.js`
   */
  static async open(ort, packed) {
    const weights = [{ path: "detector.weights", data: await unpack(packed["detector.weights"]) }];
    const open = async (/** @type {string} */ name) =>
      ort.InferenceSession.create(await unpack(packed[name]), { externalData: weights });
    return new Detector(ort, await open("excerpt.onnx"), await open("piece.onnx"));
  }

  /**
   * @param {typeof import("onnxruntime-web")} ort
   * @param {import("onnxruntime-web").InferenceSession} onExcerpt
   * @param {import("onnxruntime-web").InferenceSession} onPiece
   */
  constructor(ort, onExcerpt, onPiece) {
    Object.assign(this, { ort, onExcerpt, onPiece });
  }

  /**
   * Score a piece of a song, every frame.
   * @param {Float32Array} frames standardised, (n + 114) times 80
   * @returns {Promise<Float32Array>} n probabilities
   */
  async scorePiece(frames) {
    const input = new this.ort.Tensor("float32", frames, [frames.length / N_BANDS, N_BANDS]);
    const { logit } = await this.onPiece.run({ frames: input });
    return logit.data.map(probability);
  }

  /**
   * Score one excerpt and keep what each layer makes of it.
   * @param {Float32Array} excerpt standardised, 115 times 80
   * @returns {Promise<{probability: number, features: Record<string, import("onnxruntime-web").Tensor>}>}
   */
  async look(excerpt) {
    const input = new this.ort.Tensor("float32", excerpt, [1, 1, EXCERPT_FRAMES, N_BANDS]);
    const { logit, ...features } = await this.onExcerpt.run({ excerpt: input });
    return { probability: probability(logit.data[0]), features };
  }

  /**
   * Score excerpts, one at a time: a batch is no faster on one thread, and takes more memory.
   * @param {Float32Array} excerpt
   * @returns {Promise<number>} probability
   */
  async score(excerpt) {
    const input = new this.ort.Tensor("float32", excerpt, [1, 1, EXCERPT_FRAMES, N_BANDS]);
    const { logit } = await this.onExcerpt.run({ excerpt: input }, ["logit"]);
    return probability(logit.data[0]);
  }
}

/** The eight inverters. */
export class Inverters {
  /**
   * @param {typeof import("onnxruntime-web")} ort
   * @param {Packed} packed the files of `inverters.js`
   */
  static async open(ort, packed) {
    const sessions = {};
    for (const layer of LAYERS) sessions[layer] = await ort.InferenceSession.create(await unpack(packed[`${layer}.onnx`]));
    return new Inverters(sessions);
  }

  /** @param {Record<string, import("onnxruntime-web").InferenceSession>} sessions by layer */
  constructor(sessions) {
    this.sessions = sessions;
  }

  /**
   * Invert the feature of a layer.
   * @param {string} layer
   * @param {import("onnxruntime-web").Tensor} feature
   * @returns {Promise<Float32Array>} a standardised excerpt, 115 times 80
   */
  async invert(layer, feature) {
    const { excerpt } = await this.sessions[layer].run({ feature });
    return excerpt.data.slice(0, EXCERPT_VALUES);
  }
}
