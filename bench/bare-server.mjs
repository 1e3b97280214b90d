// The bare limit: what Node, node:http and ws cost before a gateway does anything at all.
//
// Plain JavaScript on purpose: stripping types at start would be counted into the limit. It answers the
// handshake and `health` with constants, checks nothing and stores nothing, so no gateway can beat it.

import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2]);

const hello = JSON.stringify({
  type: "hello-ok",
  protocol: 4,
  server: { version: "0", connId: "bare" },
  features: { methods: ["health"], events: [] },
  snapshot: { presence: [], health: {}, stateVersion: { presence: 0, health: 0 }, uptimeMs: 0 },
  auth: { role: "operator", scopes: [] },
  policy: { maxPayload: 26_214_400, maxBufferedBytes: 52_428_800, tickIntervalMs: 30_000 },
});
const challenge = JSON.stringify({
  type: "event",
  event: "connect.challenge",
  payload: { nonce: "bare", ts: 0 },
});

const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"ok":true,"status":"live"}');
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (socket) => {
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data));
    const payload = frame.method === "connect" ? hello : '{"ok":true}';
    socket.send(`{"type":"res","id":${JSON.stringify(frame.id)},"ok":true,"payload":${payload}}`);
  });
  socket.send(challenge);
});
server.listen(port, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
