/**
 * Elements of the page, made in one expression.
 */

/**
 * @param {string} tag such as "button"
 * @param {Record<string, any>} [properties] attributes; functions are listeners, such as onclick; null leaves one out
 * @param {...(Node | string)} children
 * @returns {any} the element
 */
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** As `make`, for elements of drawings. @returns {any} */
export function draw(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element[name] = value;
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** @param {number} seconds @returns {string} such as 1:07.3 */
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const rest = tenths % 600;
  return `${Math.floor(tenths / 600)}:${rest < 100 ? "0" : ""}${(rest / 10).toFixed(1)}`;
}

/** @param {string} layer @returns {string} as the paper writes it: Conv1, MP3, FC8 */
export const layerTitle = (layer) =>
  layer.startsWith("conv") ? layer[0].toUpperCase() + layer.slice(1) : layer.toUpperCase();
