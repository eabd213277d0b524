// The official JavaScript SDK against a server, in Node and in a browser: nothing here is of either.

const SECONDS = 10;

/** JSON whose keys are in order. */
const text = (value) =>
  JSON.stringify(value, (_, one) =>
    one?.constructor === Object ? Object.fromEntries(Object.entries(one).sort()) : one,
  );

const assert = {
  ok: (value, what = "not so") => {
    if (!value) throw new Error(what);
  },
  equal: (found, wanted) => assert.ok(Object.is(found, wanted), `${found}, not ${wanted}`),
  deepEqual: (found, wanted) => assert.equal(text(found), text(wanted)),
  async rejects(promise, wanted) {
    const error = await promise.then(() => null, (reason) => reason);
    assert.ok(error && wanted(error), `rejected with ${error?.code}`);
  },
};

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

/** The steps, by what they prove.
 *  `Centrifuge` is the SDK's class, `own` its options; rooms have `where` in their names; `isBinary` of protobuf. */
function conversation({ Centrifuge, own, url, origin, tokens, where, isBinary }) {
  const say = (value) => (isBinary ? new TextEncoder().encode(JSON.stringify(value)) : value);
  const hear = (data) => (isBinary ? JSON.parse(new TextDecoder().decode(data)) : data);

  function client(options = {}) {
    const one = new Centrifuge(url, { ...own, minReconnectDelay: 50, maxReconnectDelay: 200, ...options });
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
      const [room, heard] = enter(ada, `chat:${where}-1`);
      const began = await heard.next("subscribed");
      assert.ok(began.recoverable && began.positioned && !began.wasRecovering);
      await room.publish(say({ n: 1 }));
      const publication = await heard.next("publication");
      assert.deepEqual([hear(publication.data), publication.offset, publication.info.user], [{ n: 1 }, 1, "ada"]);
      const history = await room.history({ limit: 10 });
      assert.deepEqual(history.publications.map((one) => hear(one.data)), [{ n: 1 }]);
      assert.equal(Object.keys((await room.presence()).clients).length, 1);
      assert.deepEqual(await room.presenceStats(), { numClients: 1, numUsers: 1 });
      assert.deepEqual(hear((await ada.rpc("echo", say([1, 2]))).data), [1, 2]);
      await assert.rejects(ada.rpc("refused", say({})), (error) => error.code === 1000);
      await assert.rejects(ada.rpc("unheard-of", say({})), (error) => error.code === 104);
      ada.disconnect();
    },

    async "recover what was missed"() {
      const [ada, told] = client({ token: tokens.ada });
      ada.connect();
      await told.next("connected");
      const [, heard] = enter(ada, `chat:${where}-2`);
      await heard.next("subscribed");
      await publish(`chat:${where}-2`, 0);
      await heard.next("publication");
      await lose(ada, async () => {
        for (let number = 1; number <= 5; number++) await publish(`chat:${where}-2`, number);
      });
      const again = await heard.next("subscribed");
      assert.ok(again.wasRecovering && again.recovered);
      const got = [];
      for (let number = 1; number <= 5; number++) got.push(hear((await heard.next("publication")).data));
      assert.deepEqual(got, [1, 2, 3, 4, 5]);
      ada.disconnect();
    },

    async "recover across what was erased"() {
      const [ada, told] = client({ token: tokens.ada });
      ada.connect();
      await told.next("connected");
      const room = `chat:${where}-erased`;
      const [, heard] = enter(ada, room);
      await heard.next("subscribed");
      await publish(room, 1);
      await heard.next("publication");
      for (const [first, erased, expected] of [[2, [3, 5], [2, 4]], [6, [6, 7, 8, 9], []]]) {
        await lose(ada, async () => {
          for (let number = first; number < first + 4; number++) await publish(room, number);
          for (const offset of erased) await fetch(`${origin}/erase/${room}/${offset}`, { method: "POST" });
        });
        const again = await heard.next("subscribed");
        assert.ok(again.wasRecovering && again.recovered);
        for (const number of expected) {
          const { data, offset } = await heard.next("publication");
          assert.deepEqual([hear(data), offset], [number, number]);
        }
      }
      await publish(room, 10);
      assert.equal((await heard.next("publication")).offset, 10);
      ada.disconnect();
    },

    async "be told of what cannot be recovered"() {
      const [nobody, told] = client();
      nobody.connect();
      await told.next("connected");
      const [, heard] = enter(nobody, `short:${where}`);
      await heard.next("subscribed");
      await lose(nobody, async () => {
        for (let number = 0; number < 4; number++) await publish(`short:${where}`, number);
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
      const [, heard] = enter(nobody, `delta:${where}`, { delta: "fossil" });
      await heard.next("subscribed");
      const all = [...Array(10).keys()].map((n) => ({ text: "always the same ".repeat(20), n }));
      for (const one of all) await publish(`delta:${where}`, one);
      for (const one of all) assert.deepEqual(hear((await heard.next("publication")).data), one);
      nobody.disconnect();
    },

    async "get only what a filter fits"() {
      const room = `tagged:${where}`;
      const [nobody, told] = client();
      nobody.connect();
      await told.next("connected");
      const tagsFilter = { op: "not", nodes: [{ key: "n", cmp: "in", vals: ["1", "3"] }] };
      const [, heard] = enter(nobody, room, { tagsFilter });
      await heard.next("subscribed");
      for (const n of [1, 2, 3, 4]) await publish(`${room}?n=${n}`, n);
      for (const n of [2, 4]) {
        const { data, offset, tags } = await heard.next("publication");
        assert.deepEqual([hear(data), offset, tags.n], [n, n, `${n}`]);
      }
      assert.equal(heard.count("publication"), 0);
      nobody.disconnect();
    },

    async "see who comes and goes"() {
      const [ada, toldAda] = client({ token: tokens.ada });
      const [bob, toldBob] = client({ token: tokens.bob });
      ada.connect();
      bob.connect();
      await Promise.all([toldAda.next("connected"), toldBob.next("connected")]);
      const [, heard] = enter(ada, `chat:${where}-3`);
      await heard.next("subscribed");
      assert.equal((await heard.next("join")).info.user, "ada");
      const [theirs, theyHeard] = enter(bob, `chat:${where}-3`);
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
      assert.deepEqual(hear((await ada.rpc("echo", say(1))).data), 1);
      assert.equal(told.count("disconnected"), 0);
      ada.disconnect();
    },

    async "be in rooms that the server chose"() {
      const [ada, told] = client({ token: tokens.rooms });
      const began = [];
      ada.connect();
      for (let count = 0; count < 2; count++) began.push((await told.next("subscribed")).channel);
      assert.deepEqual(began.sort(), [`news:${where}`, "user:ada"].sort());
      await publish(`news:${where}`, { for: "subscribers" });
      assert.deepEqual(hear((await told.next("publication")).data), { for: "subscribers" });
      ada.disconnect();
    },

    async "send many commands in one frame"() {
      const [nobody, told] = client();
      nobody.connect();
      await told.next("connected");
      nobody.startBatching();
      const entered = [...Array(30).keys()].map((n) => enter(nobody, `open:${where}-${n}`));
      nobody.stopBatching();
      await Promise.all(entered.map(([, heard]) => heard.next("subscribed")));
      await Promise.all(entered.map(([room], n) => room.publish(say(n))));
      for (const [n, [, heard]] of entered.entries()) assert.equal(hear((await heard.next("publication")).data), n);
      nobody.disconnect();
    },
  };

  return steps;
}

/** Takes every step; resolves with their names, or fails with the first that does not go as it should. */
globalThis.converse = async (facts) => {
  const steps = conversation(facts);
  for (const [name, step] of Object.entries(steps)) {
    await step().catch((error) => {
      throw new Error(`${name}: ${error.stack}`);
    });
  }
  return Object.keys(steps);
};
