/**
 * Sounds that come in, from a file or a microphone, and sounds that go out to players.
 */
import { EXCERPT_SAMPLES, SAMPLE_RATE } from "./front_end.js";
import { microphoneSentence, SENTENCES, Trouble } from "./trouble.js";

const SILENCE_LEVEL = 1e-5;
const MOST_BYTES = 300e6;
const MOST_MINUTES = 20;
export const LONGEST_RECORDING = 300;

/**
 * Decode a file as the detector hears it: 22050 Hz, channels averaged.
 * @param {Blob} file
 * @returns {Promise<Float32Array>}
 */
export async function decode(file) {
  if (!file.size) throw new Trouble(SENTENCES.empty);
  if (file.size > MOST_BYTES) throw new Trouble(SENTENCES.tooBig);
  const data = await file.arrayBuffer().catch(() => {
    throw new Trouble(SENTENCES.unreadable);
  });
  // A context of this rate resamples while it decodes.
  const buffer = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(data).catch(() => {
    throw new Trouble(SENTENCES.notAudio);
  });
  const samples = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; channel++) {
    const other = buffer.getChannelData(channel);
    for (let k = 0; k < samples.length; k++) samples[k] += other[k];
  }
  for (let k = 0; k < samples.length; k++) samples[k] /= buffer.numberOfChannels;
  check(samples);
  return samples;
}

/** @param {Float32Array} samples */
function check(samples) {
  const seconds = samples.length / SAMPLE_RATE;
  if (samples.length < EXCERPT_SAMPLES) throw new Trouble(SENTENCES.tooShort(seconds));
  if (seconds > MOST_MINUTES * 60) throw new Trouble(SENTENCES.tooLong(seconds / 60));
  let peak = 0;
  for (const value of samples) {
    if (!Number.isFinite(value)) throw new Trouble(SENTENCES.notFinite);
    peak = Math.max(peak, Math.abs(value));
  }
  if (peak < SILENCE_LEVEL) throw new Trouble(SENTENCES.silent);
}

/** A recording from the microphone that goes on until it is stopped. */
export class Recording {
  /** Ask for the microphone and begin. */
  static async start() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Trouble(SENTENCES.insecure);
    if (!globalThis.MediaRecorder) throw new Trouble(SENTENCES.noRecorder);
    // Made for speech on the telephone, these would take the music away.
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: plain }).catch((error) => {
      throw new Trouble(microphoneSentence(error));
    });
    return new Recording(stream);
  }

  /** @param {MediaStream} stream */
  constructor(stream) {
    /** @type {Blob[]} */
    this.parts = [];
    this.stream = stream;
    this.recorder = new MediaRecorder(stream, { audioBitsPerSecond: 192000 });
    this.recorder.ondataavailable = ({ data }) => this.parts.push(data);
    this.recorder.start();
  }

  /** End it and let go of the microphone. @returns {Promise<Blob>} */
  async stop() {
    if (this.recorder.state !== "inactive") {
      await new Promise((resolve) => {
        this.recorder.onstop = resolve;
        this.recorder.stop();
      });
    }
    for (const track of this.stream.getTracks()) track.stop();
    return new Blob(this.parts, { type: this.recorder.mimeType });
  }
}

/**
 * Samples as a WAV file of 16 bits, which every player takes.
 * @param {Float32Array} samples 22050 Hz, mono
 * @returns {Blob}
 */
export function wavOf(samples) {
  const header = new DataView(new ArrayBuffer(44));
  const write = (/** @type {number} */ at, /** @type {string} */ text) =>
    [...text].forEach((letter, k) => header.setUint8(at + k, letter.charCodeAt(0)));
  write(0, "RIFF");
  header.setUint32(4, 36 + 2 * samples.length, true);
  write(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, SAMPLE_RATE, true);
  header.setUint32(28, 2 * SAMPLE_RATE, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  write(36, "data");
  header.setUint32(40, 2 * samples.length, true);
  const values = Int16Array.from(samples, (value) => Math.round(Math.max(-1, Math.min(1, value)) * 32767));
  return new Blob([header, values], { type: "audio/wav" });
}
