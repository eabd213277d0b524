/** What was said in a room, as edits and deletions have left it. It knows nothing of the page or the server. */

/**
 * @typedef {object} Message
 * @property {string} id of the author and the message; empty for one that cannot be edited
 * @property {string} author who alone can edit it; empty where nobody knows
 * @property {string} from the author's name
 * @property {string} text
 * @property {number | undefined} time in milliseconds since the Unix epoch
 * @property {number} offset its place in the room's history, also when it was edited; 0 for a notice
 * @property {boolean} isNotice somebody came or went
 * @property {boolean} isEdited
 * @property {boolean} isDeleted
 */

/** Most messages; the room itself remembers no more. */
const MOST = 500;

const EMPTY = Object.freeze({
  id: "",
  author: "",
  from: "",
  text: "",
  time: undefined,
  offset: 0,
  isNotice: false,
  isEdited: false,
  isDeleted: false,
});

export class Transcript {
  /** @type {Message[]} The oldest first. */
  messages = [];
  /** Whether the room may remember something older. */
  hasOlder;
  /** The oldest place that was read. */
  oldest;
  /** @type {Message[]} Edited ones whose place is before all that is here. */
  #aside = [];
  /** @type {Map<string, Partial<Message>>} Newest edit or deletion by the message's id. */
  #changes = new Map();

  /** @param {number} [oldest] where it begins */
  constructor(oldest = 1) {
    this.oldest = oldest;
    this.hasOlder = oldest > 1;
  }

  /** Adds what is new.
   *  @param {import("/hubbub.js").Publication} publication
   *  @returns {{ message: Message | undefined, isNew: boolean }} the message that is new or has changed, if any */
  add(publication) {
    const { edit, delete: deleted } = publication.tags ?? {};
    const changed = (edit || deleted) && this.#change(edit ?? deleted, publication);
    if (deleted || changed) return { message: changed, isNew: false };
    const message = this.#read(publication);
    const isKnown = message.id && (message.isDeleted || this.#find(message.id)); // said twice, or a late edit
    if (isKnown) return { message: undefined, isNew: false };
    if (edit) return { message: this.#insert(message), isNew: false };
    this.messages.push(message);
    if (this.messages.length > MOST) {
      this.#setAside(this.messages.shift());
      this.hasOlder = true;
      this.oldest = this.messages.find(({ offset }) => offset)?.offset ?? this.oldest;
    }
    return { message, isNew: true };
  }

  /** Adds a page of what was said before, the newest first.
   *  @param {import("/hubbub.js").Publication[]} publications @param {boolean} hasOlder
   *  @returns {Message[]} those that are shown now, the oldest first */
  addOlder(publications, hasOlder) {
    const found = this.#aside.filter(({ id }) => !this.#changes.get(id)?.isDeleted);
    for (const publication of publications) { // a newer edit comes first, and counts
      const { edit, delete: deleted } = publication.tags ?? {};
      if (edit || deleted) this.#note(edit ?? deleted, publication);
      const message = this.#read(publication);
      const isShown = message.id && (this.#find(message.id) || found.some(({ id }) => id === message.id));
      if (!deleted && !isShown && !(edit && message.isDeleted)) found.push(message);
    }
    this.hasOlder = hasOlder;
    this.oldest = publications.at(-1)?.offset ?? this.oldest;
    const isHere = ({ offset }) => !hasOlder || offset >= this.oldest;
    this.#aside = found.filter((message) => !isHere(message));
    const older = found.filter(isHere).sort((one, other) => one.offset - other.offset);
    this.messages.unshift(...older);
    return older;
  }

  /** Somebody came or went. @param {string} text @returns {Message} */
  notice(text) {
    const time = Date.now();
    const message = { ...EMPTY, text, time, isNotice: true };
    this.messages.push(message);
    return message;
  }

  /** An edit of what is not here is shown in its place, once that is here. @param {Message} message */
  #insert(message) {
    if (this.hasOlder && message.offset < this.oldest) return void this.#setAside(message);
    const next = this.messages.findIndex(({ offset }) => offset > message.offset);
    this.messages.splice(next < 0 ? this.messages.length : next, 0, message);
    return message;
  }

  /** What is said of it stays known; its old place in the history is empty. @param {Message} message */
  #setAside(message) {
    this.#aside = this.#aside.filter(({ id }) => id !== message.id);
    if (message.isEdited) this.#aside.push(message);
    if (this.#aside.length > MOST) this.#aside.shift();
  }

  /** @param {string} id */
  #find(id) {
    return this.messages.findLast((message) => message.id === id);
  }

  /** @returns {Message} */
  #read({ data, tags, time, offset = 0 }) {
    const id = tags?.id ?? tags?.edit ?? "";
    const [from, text] = [data?.from, data?.text].map((value) => String(value ?? ""));
    const [said, place] = [Number(tags?.said ?? time), Number(tags?.place ?? offset)];
    const message = { ...EMPTY, id, author: id.split(".")[0], from, text, time: said, offset: place };
    return Object.assign(message, this.#changes.get(id));
  }

  /** What a publication does to a message that may be here. @param {string} id */
  #change(id, publication) {
    if (!this.#changes.get(id)?.isDeleted) this.#changes.delete(id);
    const change = this.#note(id, publication);
    const message = this.#find(id);
    return message && Object.assign(message, change);
  }

  /** Keeps what a publication says of a message; what is known already is newer. A deletion is for good. */
  #note(id, { data, tags }) {
    const isKnown = this.#changes.has(id);
    if (tags.delete) this.#changes.set(id, { text: "", isDeleted: true });
    else if (!isKnown) this.#changes.set(id, { text: String(data?.text ?? ""), isEdited: true });
    if (this.#changes.size > 2 * MOST) this.#changes.delete(this.#changes.keys().next().value);
    return this.#changes.get(id);
  }
}
