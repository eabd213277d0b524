/** Elements of the page. Texts are set as text, never as HTML. */

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** A copy of a template's element. @param {string} id @returns {any} */
export function fromTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/** Fills in the first letter of a name, and a colour that is always the same for it.
 *  @param {HTMLElement} element @param {string} name */
export function paintAvatar(element, name) {
  const [first = "?"] = name;
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 8;
  element.textContent = first.toUpperCase();
  element.classList.add(`hue-${sum}`);
}

/** A text whose http and https addresses are links; those of any other scheme stay text.
 *  @param {string} text @returns {(string | HTMLAnchorElement)[]} */
export function withLinks(text) {
  return text.split(/(\bhttps?:\/\/[^\s<>"]+)/i).flatMap((part, index) => {
    if (index % 2 === 0) return part;
    const [, address, after] = /^(.*?)([.,;:!?'")\]]*)$/.exec(part);
    return [asLink(address), after];
  });
}

/** @param {string} address */
function asLink(address) {
  if (!URL.canParse(address)) return address;
  const link = document.createElement("a");
  link.href = address;
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
  link.textContent = address;
  return link;
}
