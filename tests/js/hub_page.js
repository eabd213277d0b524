/** Puts `openHub` and `openRoom` into a page: what they make is written down in `events`, in order. */
async ([module]) => {
  const { Hub } = await import(module);
  const HUB = ["connected", "connecting", "disconnected", "message", "room", "error"];
  const ROOM = ["publication", "join", "leave", "subscribed", "unsubscribed", "error"];
  const brief = (detail) => {
    if (detail.room) return { room: detail.room.name };
    if (detail.error) return { error: { ...described(detail.error) } };
    return structuredClone(detail);
  };
  const described = ({ name, code, message, temporary }) => ({ name, code, message, temporary });
  const note = (where, target, types) => {
    for (const type of types) {
      target.addEventListener(type, ({ detail }) => events.push({ where, type, ...brief(detail) }));
    }
    return target;
  };
  Object.assign(window, {
    Hub,
    events: [],
    hubs: [],
    openHub(url, options, where = "hub") {
      window.hub = note(where, new Hub(url, options), HUB);
      window.hubs.push(window.hub);
      return window.hub;
    },
    openRoom(name, options, hub = window.hub, where = name) {
      return note(where, hub.room(name, options), ROOM);
    },
    /** What became of a promise, as plain data. */
    outcome: (promise) =>
      promise.then(
        (value) => ({ value: value ?? null }),
        (error) => ({ failed: described(error) }),
      ),
  });
}
