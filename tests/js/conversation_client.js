/** Puts `say(command)` into a page: has the hub say what a conversation's client says. */
() => {
  const rooms = new Set();
  const entered = (name, options) => {
    const isNew = !rooms.has(name);
    rooms.add(name);
    return isNew ? openRoom(name, options) : hub.room(name);
  };
  /** The token that is said next, once: of the connection "", of a room its name. */
  const next = (of) => {
    const token = tokens[of];
    delete tokens[of];
    if (token) return token;
    throw new Error("no other token");
  };
  const METHODS = {
    connect: ({ token, data, name }) => {
      const waits = { minDelay: 600_000, maxDelay: 600_000, connectTimeout: 600_000 };
      const getToken = tokens[""] && (() => next(""));
      openHub("/connection/websocket", { token, getToken, data, name, ...waits });
      hub.addEventListener("room", ({ detail }) => entered(detail.room.name));
    },
    subscribe: ({ channel, token, join_leave: joinLeave, recover, epoch = "", offset = 0, ...others }) => {
      const getToken = token && next;
      const room = entered(channel, { joinLeave, getToken, ...others });
      room.subscribe(recover ? { since: { epoch, offset } } : {});
    },
    unsubscribe: ({ channel }) => entered(channel).unsubscribe(),
    publish: ({ channel = "", data }) => entered(channel).publish(data),
    history: ({ channel, limit = 0, since, reverse }) => entered(channel).history({ limit, since, reverse }),
    presence: ({ channel }) => entered(channel).presence(),
    presence_stats: ({ channel }) => entered(channel).presenceStats(),
    rpc: ({ method, data }) => hub.rpc(method, data),
    send: ({ data }) => hub.send(data),
    refresh: () => {}, // it says these by itself
    sub_refresh: () => {},
  };
  Object.assign(window, {
    outcomes: {},
    tokens: {},
    say({ id, ...command }) {
      const [method] = Object.keys(command);
      const said = method && METHODS[method](command[method]); // a pong it says by itself
      if (said) outcomes[id] = outcome(said);
    },
    /** Ends what is left, and waits until that is heard. */
    async forget() {
      const open = hubs.filter(({ state }) => state !== "disconnected");
      const ends = open.map((hub) => new Promise((done) => hub.addEventListener("disconnected", done)));
      for (const hub of open) hub.close();
      await Promise.all(ends);
      hubs.length = events.length = 0;
      rooms.clear();
      tokens = {};
    },
  });
}
