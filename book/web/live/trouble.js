/**
 * What can go wrong, in sentences that say what to do.
 */

/** An error whose message is meant for the reader of the page. */
export class Trouble extends Error {}

/** Thrown where work was given up because the reader asked for it. */
export class Cancelled extends Error {}

export const SENTENCES = {
  noFile: "What you dropped is not a file. Save the sound as a file first, or choose one with the button.",
  empty: "The file is empty. Save the recording again, or choose another one.",
  unreadable: "The file could not be read. Was it moved or deleted? Choose it again.",
  notAudio: "This is not a sound that your browser can read. Choose an MP3, WAV, FLAC or Ogg file.",
  tooShort: (/** @type {number} */ seconds) =>
    `The sound is too short: ${seconds.toFixed(1)} s, and one excerpt takes 1.7 s. Choose a longer one.`,
  tooLong: (/** @type {number} */ minutes) =>
    `The sound is too long for a page: ${minutes.toFixed(0)} minutes. Cut out 20 minutes or less.`,
  tooBig: "The file is too big for a page: more than 300 MB. Save the song as MP3, or cut out a part.",
  silent: "The sound is digital silence from beginning to end. Choose another one, or check the microphone.",
  notFinite: "The sound holds values that are no numbers. Export it again.",
  insecure:
    "Your browser allows no microphone on this page, because it came over http. Open the book from your disk or over https.",
  noMicrophone: "No microphone was found. Plug one in and try again, or choose a file.",
  notAllowed: "The page may not use the microphone. Allow it in the browser's settings for this page, or choose a file.",
  microphoneBusy: "The microphone could not be opened. Does another program use it? Close that one and try again.",
  noRecorder: "Your browser cannot record. Record with another program and choose its file.",
  noMemory: "There is not enough memory. Close other tabs or programs, or choose a shorter sound.",
  stopped: "The networks have stopped. Choose the sound once more.",
  noFiles: "A part of the book is missing: the networks could not be loaded. Copy the whole book, or reload the page.",
  engine: (/** @type {string} */ why) =>
    `The networks could not be run in this browser (${why}). Update the browser, or try Firefox, Chrome, Edge or Safari.`,
};

/**
 * The sentence for an error.
 * @param {unknown} error
 * @returns {string}
 */
export function sentence(error) {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof Trouble) return text;
  if (/memory|bad_alloc|allocation|Array length|Out of bounds/i.test(text)) return SENTENCES.noMemory;
  return SENTENCES.engine(text.replace(/\s+/g, " ").slice(0, 160));
}

/**
 * The sentence for an error of the microphone.
 * @param {DOMException} error from getUserMedia
 */
export function microphoneSentence({ name }) {
  if (["NotAllowedError", "SecurityError"].includes(name)) return SENTENCES.notAllowed;
  if (["NotFoundError", "OverconstrainedError"].includes(name)) return SENTENCES.noMicrophone;
  return SENTENCES.microphoneBusy;
}
