/** Puts `say(command)` into a page: has the hub say what a conversation's client says. */
() => {
  const rooms = new Set();
  const tokens = {};
  const entered = (name, options) => {
    const isNew = !rooms.has(name);
    rooms.add(name);
    return isNew ? openRoom(name, options) : hub.room(name);
  };
  const METHODS = {
    connect: ({ token, data, name }) => {
      rooms.clear();
      openHub("/connection/websocket", { token, data, name, minDelay: 600_000, maxDelay: 600_000 });
      hub.addEventListener("room", ({ detail }) => entered(detail.room.name));
    },
    subscribe: ({ channel, token, data, recoverable, join_leave: joinLeave, ...since }) => {
      const { recover, epoch = "", offset = 0 } = since;
      tokens[channel] = token;
      const getToken = token && ((name) => tokens[name]);
      const room = entered(channel, { data, recoverable, joinLeave, getToken });
      room.subscribe(recover ? { since: { epoch, offset } } : {});
    },
    unsubscribe: ({ channel }) => entered(channel).unsubscribe(),
    publish: ({ channel, data }) => entered(channel).publish(data),
    history: ({ channel, limit = 0, since, reverse }) => entered(channel).history({ limit, since, reverse }),
    presence: ({ channel }) => entered(channel).presence(),
    presence_stats: ({ channel }) => entered(channel).presenceStats(),
    rpc: ({ method, data }) => hub.rpc(method, data),
    send: ({ data }) => hub.send(data),
  };
  Object.assign(window, {
    outcomes: {},
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
    },
  });
}
