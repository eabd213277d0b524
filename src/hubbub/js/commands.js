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

/** In as few frames as they fit. @param {Command[]} commands @param {(frame: string) => void} write */
function writeTogether(commands, write) {
  let frame = "";
  commands.forEach(({ text }, index) => {
    const fits = index % MOST_TOGETHER && frame.length + text.length < MOST_CHARACTERS;
    if (frame && !fits) write(frame);
    frame = fits ? `${frame}\n${text}` : text;
  });
  if (frame) write(frame);
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

  /** It is sent at the end of this turn.
   *  @param {string} method @param {object} request @param {Command["resolve"]} [resolve]
   *  @param {Command["reject"]} [reject] @param {Command["room"]} [room] @returns {Command} */
  const make = (method, request, resolve, reject, room) => {
    const id = method === "send" ? undefined : ++number;
    commands.flush();
    return { id, text: JSON.stringify({ id, [method]: request }), resolve, reject, room };
  };
  const send = () => {
    const going = urgent.splice(0);
    queue.drain((command) => commands.isOpen && !command.room?.isHeld && going.push(command));
    for (const command of going) command.id ? sent.set(command.id, command) : command.resolve?.({});
    writeTogether(going, write);
  };
  /** @type {Commands} */
  const commands = {
    isOpen: false,
    ask: (method, request, room) => new Promise((resolve, reject) => {
      if (end) throw end;
      const command = make(method, request, resolve, reject, room);
      queue.push(command, sizeOf(command.text));
    }),
    first: (...what) => void urgent.push(make(...what)),
    flush: () => queueMicrotask(send),
    answer({ id, error, ...results }) {
      const command = sent.get(id);
      sent.delete(id);
      if (error) command?.reject?.(failure(error));
      else command?.resolve?.(Object.values(results)[0]);
    },
    lost(why) {
      end = why;
      urgent = [];
      commands.isOpen = false;
      for (const { reject } of sent.values()) reject?.(failure({ code: 0, message: "connection lost" }));
      sent.clear();
      if (why) queue.drain(({ reject }) => (reject?.(why), true));
    },
  };
  return commands;
}
