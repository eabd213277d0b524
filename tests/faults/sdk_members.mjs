// Clients of the official JavaScript SDK, all in one process: `node sdk_members.mjs MAX_PING_DELAY`.
// Commands come as lines of JSON on standard input, {"client", "do", …}; what the SDK tells goes to standard
// output, one line of JSON for each event, with the time of the clock that Python's time.monotonic() reads.
import { createInterface } from "node:readline";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

const clients = new Map();
const options = {
  websocket: WebSocket,
  minReconnectDelay: 50,
  maxReconnectDelay: 1000,
  maxServerPingDelay: Number(process.argv[2]),
};

function tell(client, event, more) {
  const time = Number(process.hrtime.bigint()) / 1e9;
  process.stdout.write(`${JSON.stringify({ client, event, time, ...more })}\n`);
}

function make(client, { url, room, token }) {
  const sdk = new Centrifuge(url, { token, ...options });
  sdk.on("connected", ({ data }) => tell(client, "connected", { pid: data.pid }));
  sdk.on("error", () => {}); // it comes back by itself
  const subscription = sdk.newSubscription(room, { minResubscribeDelay: 50, maxResubscribeDelay: 1000 });
  subscription.on("subscribing", ({ code }) => tell(client, "subscribing", { code }));
  subscription.on("unsubscribed", ({ code }) => tell(client, "unsubscribed", { code }));
  subscription.on("subscribed", ({ streamPosition, wasRecovering, recovered }) =>
    tell(client, "subscribed", { ...streamPosition, recovered: wasRecovering ? recovered : null }));
  subscription.on("publication", ({ offset, data }) => tell(client, "publication", { offset, data }));
  subscription.on("error", () => {});
  subscription.subscribe();
  clients.set(client, sdk);
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  const { client } = command;
  if (command.do === "come") {
    if (!clients.has(client)) make(client, command);
    clients.get(client).connect();
  } else {
    clients.get(client)?.disconnect();
    if (command.do === "forget") clients.delete(client);
    tell(client, "gone", {});
  }
}).on("close", () => process.exit(0));
