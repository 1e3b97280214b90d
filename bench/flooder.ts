// A process of strangers: connections that never say who they are, some opened anew when they are closed, and
// wrong passwords at a steady pace. Runs until SIGTERM. Prints "flooding" once all of its connections were tried, and at
// its end a FloodReport line: what it really reached.

import { Agent, request } from "node:http";
import { connect } from "node:net";
import { constants, setPriority } from "node:os";

export interface FloodReport {
  readonly guessesPerSecond: number;
  readonly replacedPerSecond: number;
}

const port = Number(process.env.BENCH_PORT);
const sockets = Number(process.env.BENCH_COUNT);
const guessesPerSecond = Number(process.env.BENCH_GUESSES);

const upgrade =
  `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const openings = ["", "GET / HTTP/1.1\r\nHost: 127", upgrade];

// Strangers have machines of their own: this process must not take the processor from the caller who is measured.
setPriority(constants.priority.PRIORITY_LOW);

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let tried = 0;
let open = 0;
let answered = 0;
let floodingSince = 0;

function one(): void {
  tried += 1;
  open += 1;
  if (tried === sockets) {
    process.stdout.write("flooding\n");
    floodingSince = performance.now();
    answered = 0;
  }
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  socket.once("connect", () => socket.write(openings[tried % openings.length] ?? ""));
  socket.once("close", () => {
    open -= 1;
  });
}

function guess(): void {
  const body = JSON.stringify({ token: `wrong-${Math.random()}` });
  const headers = { "content-type": "application/json" };
  const asked = request({
    port,
    host: "127.0.0.1",
    method: "POST",
    path: "/auth/sign-in",
    headers,
    agent,
  });
  asked.on("error", () => {});
  asked.on("response", (response) => {
    answered += 1;
    response.resume();
  });
  asked.end(body);
}

// As steady as strangers who know nothing of each other. In bursts of twenty every 20 ms, from a process on the same two
// cores, a caller would mostly measure the burst: a server that does nothing at all then answers 6 times slower.
const tickMs = 2;
// All of them within two seconds or so; then those that were closed are replaced, 500 a second.
setInterval(() => {
  const most = tried < sockets ? 10 : 1;
  for (let index = 0; index < most && open < sockets; index += 1) one();
  for (let index = 0; index < (guessesPerSecond * tickMs) / 1000; index += 1) guess();
}, tickMs);
process.on("SIGTERM", () => {
  const seconds = (performance.now() - floodingSince) / 1_000;
  const report: FloodReport = {
    guessesPerSecond: answered / seconds,
    replacedPerSecond: (tried - sockets) / seconds,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
});
