// One completion, straight from the model server: what a turn costs when nothing is between.

import { Agent, request } from "node:http";

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const body = Buffer.from(
  JSON.stringify({ model: "mock-1", stream: true, messages: [{ role: "user", content: "hello" }] }),
);

export function callModel(port: number): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const options = { port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", agent, headers };
    const sent = request(options, (response) => {
      response.resume();
      response.once("end", () => resolve(performance.now() - startedAt));
      response.once("error", reject);
    });
    sent.once("error", reject);
    sent.end(body);
  });
}
