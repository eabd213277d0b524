// The conversation in Node: `node in_node.mjs URL ORIGIN WHERE`. Tokens come on standard input as JSON, so that they
// are in no process list.
import { readFileSync } from "node:fs";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import "./conversation.mjs";

const [, , url, origin, where] = process.argv;
const tokens = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await converse({ Centrifuge, own: { websocket: WebSocket }, url, origin, tokens, where })));
process.exit(0);
