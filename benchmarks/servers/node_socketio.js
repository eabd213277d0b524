// Socket.IO on node: `pub` from a client goes to all clients. WebSocket transport only. Usage: node ... PORT
'use strict';

const { createServer } = require('http');
const { Server } = require('socket.io');

const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false });
io.on('connection', (socket) => socket.on('pub', (text) => io.emit('pub', text)));
http.listen(Number(process.argv[2]), '127.0.0.1');
