/** Commands of the Centrifuge protocol: numbered, sent together, and matched with their answers. */

import { sendQueue, sizeOf } from "./queue.js";

/** @import { Command, CommandError, Commands, HubError, SendQueue } from "./types.d.ts" */

/** Commands, and characters, of one frame: the server takes 128 of them and 64 KiB. */
const MOST_TOGETHER = 100;
const MOST_CHARACTERS = 16_000;

/** What a failed call rejects with. @param {CommandError} error @returns {HubError} */
export function failure({ code, message, temporary = false }) {
  return Object.assign(new Error(message), { name: /** @type {const} */ ("HubError"), code, temporary });
}

/** Tells the listeners.
 *  @param {Pick<EventTarget, "dispatchEvent">} target @param {string} type @param {object} detail */
export function emit(target, type, detail) {
  target.dispatchEvent(new CustomEvent(type, { detail }));
}

/** Texts that share a frame. @param {string[]} texts @returns {string[][]} */
function frames(texts) {
  let size = 0;
  return texts.reduce((/** @type {string[][]} */ all, text) => {
    const last = all.at(-1);
    size += text.length;
    if (last && last.length < MOST_TOGETHER && size < MOST_CHARACTERS) return last.push(text), all;
    size = text.length;
    return [...all, [text]];
  }, []);
}

/** What a client asks of the server. While there is no connection it waits, within bounds.
 *  @param {(frame: string) => void} write @param {number} bytes @param {number} count what may wait at most
 *  @returns {Commands} */
export function makeCommands(write, bytes, count) {
  /** @type {HubError | undefined} Why nothing can be asked any more. */
  let end;
  /** @type {Command[]} What goes ahead of the queue. */
  let urgent = [];
  let number = 0;
  /** @type {SendQueue<Command>} */
  const queue = sendQueue(bytes, count);
  /** @type {Map<number | undefined, Command>} What waits for its answer. */
  const sent = new Map();

  /** @type {(method: string, request: object, to: Omit<Command, "id" | "text">) => Command} */
  const make = (method, request, to) => {
    const id = method === "send" ? undefined : ++number;
    return { id, text: JSON.stringify({ id, [method]: request }), ...to };
  };
  const send = () => {
    const going = urgent.splice(0);
    queue.drain((command) => commands.isOpen && !command.room?.isHeld && going.push(command));
    for (const command of going) command.id ? sent.set(command.id, command) : command.resolve({});
    for (const frame of frames(going.map(({ text }) => text))) write(frame.join("\n"));
  };
  /** @type {Commands} */
  const commands = {
    isOpen: false,
    ask: (method, request, room) => new Promise((resolve, reject) => {
      if (end) throw end;
      const command = make(method, request, { resolve, reject, room });
      queue.push(command, sizeOf(command.text));
      commands.flush();
    }),
    askFirst(method, request, resolve = () => {}, reject = () => {}) {
      urgent.push(make(method, request, { resolve, reject }));
      commands.flush();
    },
    flush: () => queueMicrotask(send),
    answer({ id, error, ...results }) {
      const command = sent.get(id);
      sent.delete(id);
      if (error) command?.reject(failure(error));
      else command?.resolve(Object.values(results)[0]);
    },
    lost(why) {
      const lost = [...sent.values()];
      end = why;
      urgent = [];
      sent.clear();
      commands.isOpen = false;
      for (const { reject } of lost) reject(failure({ code: 0, message: "lost before the answer came" }));
      if (why) queue.drain(({ reject }) => (reject(why), true));
    },
  };
  return commands;
}
