// The official JavaScript SDK against a server: `node conversation.mjs URL PUBLISH_URL KIND`.
// Tokens come on standard input as JSON, so that they are in no process list. Fails with the first step that
// does not go as it should.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

const [, , url, origin] = process.argv;
const tokens = JSON.parse(readFileSync(0, "utf8"));
const SECONDS = 10;

function soon(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${SECONDS} s: ${what}`)), SECONDS * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Collects events of the given names; `next(name)` waits for the next one of a name. */
function events(emitter, ...names) {
  const come = Object.fromEntries(names.map((name) => [name, []]));
  const waiting = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) {
    emitter.on(name, (context) => {
      const resolve = waiting[name].shift();
      if (resolve) resolve(context);
      else come[name].push(context);
    });
  }
  return {
    next: (name) =>
      come[name].length
        ? Promise.resolve(come[name].shift())
        : soon(name, new Promise((resolve) => waiting[name].push(resolve))),
    count: (name) => come[name].length,
  };
}

function client(options = {}) {
  const one = new Centrifuge(url, { websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 200, ...options });
  return [one, events(one, "connected", "disconnected", "subscribed", "publication", "message", "error")];
}

function enter(one, room, options = {}) {
  const subscription = one.newSubscription(room, options);
  const told = events(subscription, "subscribed", "unsubscribed", "publication", "join", "leave", "error");
  subscription.subscribe();
  return [subscription, told];
}

async function publish(room, data) {
  const answer = await fetch(`${origin}/publish/${room}`, { method: "POST", body: JSON.stringify(data) });
  assert.equal(answer.status, 200);
}

/** The link breaks without a close frame; `whileAway` runs before the client is there again. */
async function lose(one, whileAway) {
  one.disconnect();
  await whileAway();
  one.connect();
}

const steps = {
  async "connect, subscribe, publish, history, presence, rpc"() {
    const [ada, told] = client({ token: tokens.ada });
    ada.connect();
    await told.next("connected");
    const [room, heard] = enter(ada, "chat:node-1");
    const began = await heard.next("subscribed");
    assert.ok(began.recoverable && began.positioned && !began.wasRecovering);
    await room.publish({ n: 1 });
    const publication = await heard.next("publication");
    assert.deepEqual([publication.data, publication.offset, publication.info.user], [{ n: 1 }, 1, "ada"]);
    const history = await room.history({ limit: 10 });
    assert.deepEqual(history.publications.map((one) => one.data), [{ n: 1 }]);
    assert.equal(Object.keys((await room.presence()).clients).length, 1);
    assert.deepEqual(await room.presenceStats(), { numClients: 1, numUsers: 1 });
    assert.deepEqual((await ada.rpc("echo", [1, 2])).data, [1, 2]);
    await assert.rejects(ada.rpc("refused", {}), (error) => error.code === 1000);
    await assert.rejects(ada.rpc("unheard-of", {}), (error) => error.code === 104);
    ada.disconnect();
  },

  async "recover what was missed"() {
    const [ada, told] = client({ token: tokens.ada });
    ada.connect();
    await told.next("connected");
    const [, heard] = enter(ada, "chat:node-2");
    await heard.next("subscribed");
    await publish("chat:node-2", 0);
    await heard.next("publication");
    await lose(ada, async () => {
      for (let number = 1; number <= 5; number++) await publish("chat:node-2", number);
    });
    const again = await heard.next("subscribed");
    assert.ok(again.wasRecovering && again.recovered);
    const got = [];
    for (let number = 1; number <= 5; number++) got.push((await heard.next("publication")).data);
    assert.deepEqual(got, [1, 2, 3, 4, 5]);
    ada.disconnect();
  },

  async "be told of what cannot be recovered"() {
    const [nobody, told] = client();
    nobody.connect();
    await told.next("connected");
    const [, heard] = enter(nobody, "short:node");
    await heard.next("subscribed");
    await lose(nobody, async () => {
      for (let number = 0; number < 4; number++) await publish("short:node", number);
    });
    const again = await heard.next("subscribed");
    assert.ok(again.wasRecovering && !again.recovered);
    assert.equal(heard.count("publication"), 0);
    nobody.disconnect();
  },

  async "understand deltas"() {
    const [nobody, told] = client();
    nobody.connect();
    await told.next("connected");
    const [, heard] = enter(nobody, "delta:node", { delta: "fossil" });
    await heard.next("subscribed");
    const all = [...Array(10).keys()].map((n) => ({ text: "always the same ".repeat(20), n }));
    for (const one of all) await publish("delta:node", one);
    for (const one of all) assert.deepEqual((await heard.next("publication")).data, one);
    nobody.disconnect();
  },

  async "see who comes and goes"() {
    const [ada, toldAda] = client({ token: tokens.ada });
    const [bob, toldBob] = client({ token: tokens.bob });
    ada.connect();
    bob.connect();
    await Promise.all([toldAda.next("connected"), toldBob.next("connected")]);
    const [, heard] = enter(ada, "chat:node-3");
    await heard.next("subscribed");
    assert.equal((await heard.next("join")).info.user, "ada");
    const [theirs, theyHeard] = enter(bob, "chat:node-3");
    await theyHeard.next("subscribed");
    assert.equal((await heard.next("join")).info.user, "bob");
    theirs.unsubscribe();
    assert.equal((await heard.next("leave")).info.user, "bob");
    ada.disconnect();
    bob.disconnect();
  },

  async "be refused with a forged token, and fetch a new one for an old one"() {
    const [forged, told] = client({ token: `${tokens.ada}x` });
    forged.connect();
    assert.equal((await told.next("disconnected")).code, 3500);
    let fetched = 0;
    const [late, toldLate] = client({ getToken: async () => (fetched++ ? tokens.ada : tokens.old) });
    late.connect();
    await toldLate.next("connected");
    assert.equal(fetched, 2);
    late.disconnect();
  },

  async "refresh a token on the open connection"() {
    let fetched = 0;
    const [ada, told] = client({ getToken: async () => (fetched++ ? tokens.ada : tokens.short) });
    ada.connect();
    await told.next("connected");
    await soon("the refresh", (async () => {
      while (fetched < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    })());
    assert.deepEqual((await ada.rpc("echo", 1)).data, 1);
    assert.equal(told.count("disconnected"), 0);
    ada.disconnect();
  },

  async "be in rooms that the server chose"() {
    const [ada, told] = client({ token: tokens.rooms });
    const began = [];
    ada.connect();
    for (let count = 0; count < 2; count++) began.push((await told.next("subscribed")).channel);
    assert.deepEqual(began.sort(), ["news:node", "user:ada"]);
    await publish("news:node", { for: "subscribers" });
    assert.deepEqual((await told.next("publication")).data, { for: "subscribers" });
    ada.disconnect();
  },

  async "send many commands in one frame"() {
    const [nobody, told] = client();
    nobody.connect();
    await told.next("connected");
    nobody.startBatching();
    const entered = [...Array(30).keys()].map((n) => enter(nobody, `open:node-${n}`));
    nobody.stopBatching();
    await Promise.all(entered.map(([, heard]) => heard.next("subscribed")));
    await Promise.all(entered.map(([room], n) => room.publish(n)));
    for (const [n, [, heard]] of entered.entries()) assert.equal((await heard.next("publication")).data, n);
    nobody.disconnect();
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok: ${name}`);
  } catch (error) {
    console.log(`failed: ${name}: ${error.stack}`);
    process.exit(1);
  }
}
process.exit(0);
