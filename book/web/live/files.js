/**
 * Files that come as scripts: a page opened from a disk may load scripts but not fetch files.
 *
 * Each script puts files, gzipped and in base64, into the global object `svdlibFiles`; see `svdlib.pages.export_web`.
 */

/** @typedef {Record<string, string>} Packed the files of some scripts by name, gzipped and in base64 */

/** The folder of the script that this code is in; asked for while it is loaded. */
const HERE = globalThis.document ? /** @type {HTMLScriptElement} */ (document.currentScript)?.src ?? "" : "";

/**
 * Load a script from beside this one and take the files that it brings.
 * @param {string} name
 * @returns {Promise<Packed>}
 */
export async function filesOf(name) {
  const holder = /** @type {{svdlibFiles?: Packed}} */ (globalThis);
  const script = document.createElement("script");
  script.src = new URL(name, HERE).href;
  return new Promise((resolve, reject) => {
    // Taken at once: several scripts may be on their way, and the next one that runs brings its own.
    script.onload = () => {
      const files = holder.svdlibFiles ?? {};
      delete holder.svdlibFiles;
      resolve(files);
    };
    script.onerror = () => reject(new Error(`The file ${name} could not be loaded.`));
    document.head.append(script);
  }).finally(() => script.remove()); // megabytes of text
}

/**
 * Unpack one file.
 * @param {string} packed gzipped and in base64
 * @returns {Promise<Uint8Array>}
 */
export async function unpack(packed) {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} packed gzipped and in base64 */
export const unpackText = async (packed) => new TextDecoder().decode(await unpack(packed));
