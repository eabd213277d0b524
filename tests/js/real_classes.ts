// The classes as the modules make them are what hubbub.d.ts declares: compiled with the modules, never run.
import * as declared from "hubbub.js";
import { Hub } from "./modules/hub.js";
import { ReconnectingWebSocket } from "./modules/reconnecting.js";

export const hub: declared.Hub = new Hub("/connection/websocket", {} as declared.HubOptions);
export const room: declared.Room = new Hub("/").room("name", {} as declared.RoomOptions);
export const socket: declared.ReconnectingWebSocket = new ReconnectingWebSocket("/ws", [], {});
export const states: number[] = [ReconnectingWebSocket.CLOSED, declared.ReconnectingWebSocket.CLOSED];
