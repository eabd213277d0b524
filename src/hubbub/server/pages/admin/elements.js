/** Elements of the admin page. What comes from a server or a client becomes a text node, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with that id. */
export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes and children; `on…` are listeners, null and false leave an attribute out.
 * @param {string} name @param {Record<string, any>} attributes @param {...(Node | string)} children
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same of SVG. */
export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** A button that asks nothing. */
export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", class: "quiet", onclick, ...attributes }, text);
}

let fading;

/** Tells how something ended, for some seconds. @param {string} text */
export function notify(text) {
  byId("notice").textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => (byId("notice").textContent = ""), 6000);
}
