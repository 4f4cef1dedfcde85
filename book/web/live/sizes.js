/**
 * How much is loaded when it is asked for; the numbers are put in when the page's script is made.
 */
/* global SCRIPT_BYTES */

/**
 * The size of some scripts together.
 * @param {string[]} names
 * @returns {string} such as "4.9 MB"
 */
export function megabytes(...names) {
  const bytes = names.reduce((sum, name) => sum + SCRIPT_BYTES[name], 0);
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
