// How a program in TypeScript uses hubbub.js: it is compiled, strictly, and never run.
import { Hub, ReconnectingWebSocket, Room, type HubError, type Position } from "hubbub.js";

const hub = new Hub("/connection/websocket", { getToken: async () => "token", name: "typed", data: { a: 1 } });
hub.addEventListener("connected", ({ detail }) => detail.client.toUpperCase());
hub.addEventListener("connecting", ({ detail }) => detail.delay + detail.attempt + detail.at);
hub.addEventListener("disconnected", ({ detail }) => detail.code + detail.reason.length);
hub.addEventListener("room", ({ detail }) => detail.room.subscribe());

const room: Room = hub.room("chat:general", { joinLeave: true, recoverable: true, getToken: (name) => name });
room.addEventListener("publication", ({ detail }) => [detail.data.text, detail.offset, detail.info?.user]);
room.addEventListener("subscribed", ({ detail }) => detail.wasRecovering && !detail.recovered);
room.addEventListener("join", ({ detail }) => detail.client.length);
const since: Position = { epoch: "e", offset: 1 };
room.subscribe({ since });

async function ask(): Promise<number> {
  await room.publish({ text: "hello" });
  const { publications, epoch, offset } = await room.history({ since: room.position ?? since, reverse: true });
  const [first] = await room.presence();
  const { clients, users } = await room.presenceStats();
  const sum: number = await hub.rpc("add", [1, 2]);
  return sum + publications.length + offset + clients + users + epoch.length + (first?.user.length ?? 0);
}
ask().catch((error: HubError) => (error.temporary ? hub.retryNow() : hub.close()));

const socket: WebSocket = new ReconnectingWebSocket("/ws", ["chat"], { minDelay: 10, heartbeat: true });
socket.onmessage = (event) => socket.send(event.data);
const own = new ReconnectingWebSocket(new URL("wss://hub.example/ws"));
own.onreconnecting = ({ detail }) => void (detail.delay > own.watchdog && own.retryNow());
own.addEventListener("reconnecting", ({ detail }) => own.drop(detail.attempt));

// @ts-expect-error a room is made by its hub
new Room();
// @ts-expect-error no such option
new Hub("/connection/websocket", { retries: 3 });
// @ts-expect-error no such event
hub.addEventListener("open", () => {});
// @ts-expect-error a position has an epoch
room.subscribe({ since: { offset: 1 } });
// @ts-expect-error it is read only
hub.state = "connected";
