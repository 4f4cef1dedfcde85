/**
 * The page's end of the worker: it is started when it is first needed, and gets the networks when they are.
 */
import { filesOf, unpackText } from "./files.js";
import { megabytes } from "./sizes.js";
import { Cancelled, SENTENCES, Trouble } from "./trouble.js";

/** @typedef {(text: string, share: number) => void} Show */

export class Helper {
  constructor() {
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {Map<number, {resolve: Function, reject: Function, show: Show}>} */
    this.waiting = new Map();
    this.count = 0;
    /** @type {Promise<{threshold: number, out: import("./steering.js").Out}> | null} */
    this.detector = null;
    /** @type {Promise<void> | null} */
    this.inverters = null;
  }

  /**
   * Give the worker a task.
   * @param {string} task
   * @param {object} details
   * @param {{show?: Show, signal?: AbortSignal, transfer?: Transferable[]}} [options]
   * @returns {Promise<any>} its result; rejected with Cancelled or Trouble
   */
  ask(task, details, { show = () => {}, signal, transfer = [] } = {}) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(new Cancelled());
        return;
      }
      if (!this.worker) {
        reject(new Trouble(SENTENCES.stopped));
        return;
      }
      this.waiting.set(id, { resolve, reject, show });
      signal?.addEventListener("abort", () => this.worker?.postMessage({ id, task: "cancel" }));
      this.worker.postMessage({ id, task, ...details }, transfer);
    });
  }

  /**
   * Load engine and detector, once.
   * @param {Show} show
   * @returns {Promise<{threshold: number, out: import("./steering.js").Out}>}
   */
  openDetector(show) {
    this.detector ??= this.#openDetector(show).catch((error) => {
      this.#stop();
      throw error;
    });
    return this.detector;
  }

  /** Load the inverters, once; after the detector. */
  openInverters() {
    this.inverters ??= loaded("inverters.js")
      .then((inverters) => this.ask("openInverters", { inverters }))
      .catch((error) => {
        this.inverters = null;
        throw error;
      });
    return this.inverters;
  }

  /** @param {Show} show */
  async #openDetector(show) {
    // All at once, so that the line is never idle while something is unpacked.
    const coming = ["engine.js", "detector.js", "constants.js"].map(loaded);
    for (const each of coming) each.catch(() => {}); // told where it is waited for
    show(`Loading the engine, ${megabytes("engine.js")}`, 0);
    const { "engine.js": engineCode, "worker.js": workerCode, ...engine } = await coming[0];
    show(`Loading the detector, ${megabytes("detector.js", "constants.js")}`, 0);
    const code = [await unpackText(engineCode), "\n", await unpackText(workerCode)];
    this.worker = new Worker(URL.createObjectURL(new Blob(code, { type: "text/javascript" })));
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.worker.onerror = (event) => {
      const failed = new Trouble(SENTENCES.engine(event.message || "the worker did not start"));
      for (const { reject } of this.waiting.values()) reject(failed);
      this.#stop();
    };
    const [, detector, constants] = await Promise.all(coming);
    return this.ask("openDetector", { engine, detector, constants }, { show });
  }

  #hear({ id, progress, result, error }) {
    const task = this.waiting.get(id);
    if (progress) {
      task?.show(progress.text, progress.share);
      return;
    }
    this.waiting.delete(id);
    if (result) task?.resolve(result);
    else task?.reject(error === null ? new Cancelled() : new Trouble(error));
  }

  #stop() {
    this.worker?.terminate();
    this.waiting.clear();
    this.worker = this.detector = this.inverters = null;
  }
}

/**
 * The packed files of a script; a sentence where it is missing.
 * @param {string} name of the script
 */
export async function loaded(name) {
  try {
    return await filesOf(name);
  } catch {
    throw new Trouble(SENTENCES.noFiles);
  }
}
