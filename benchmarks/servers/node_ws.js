// node's `ws`: the loop over the clients that its documentation shows. Usage: node node_ws.js PORT
'use strict';

const { WebSocket, WebSocketServer } = require('ws');

const everyone = new Set();
const rooms = new Map();

function sendAll(members, text) {
  for (const member of members) {
    if (member.readyState === WebSocket.OPEN) member.send(text, { binary: false });
  }
}

function fanOut(socket) {
  everyone.add(socket);
  socket.on('close', () => everyone.delete(socket));
  socket.on('message', (data) => sendAll(everyone, data));
}

function fanOutJson(socket) {
  everyone.add(socket);
  socket.on('close', () => everyone.delete(socket));
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    sendAll(everyone, JSON.stringify({ from: message.from, text: message.text }));
  });
}

function inRooms(socket) {
  let joined = [];
  socket.on('close', () => joined.forEach((room) => rooms.get(room).delete(socket)));
  socket.on('message', (data) => {
    const words = data.toString().split(' ');
    if (words[0] === 'pub') {
      sendAll(rooms.get(words[1]), words.slice(2).join(' '));
      return;
    }
    joined = words.slice(1);
    for (const room of joined) {
      if (!rooms.has(room)) rooms.set(room, new Set());
      rooms.get(room).add(socket);
    }
    socket.send('joined');
  });
}

function echo(socket) {
  socket.on('message', (data) => socket.send(data, { binary: false }));
}

const routes = { '/ws': fanOut, '/json': fanOutJson, '/rooms': inRooms, '/echo': echo };
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: false });
server.on('connection', (socket, request) => routes[request.url](socket));
