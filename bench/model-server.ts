// A model that answers at once: the OpenAI chat completions wire on loopback, in a process of its own, so
// that its work is never counted as the work of the gateway under measurement or of the client.
//
// Prints its port as the only line on stdout. GET /stats tells how many completions were served, so a row
// can show that a turn really went to the model.

import { createServer, type ServerResponse } from "node:http";

const deltas = ["Answered", " at", " once", "."];
const usage = { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 };
const model = "mock-1";

function chunk(delta: object, finish: string | null, extra: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  const body = { id: "bench", object: "chat.completion.chunk", created: 0, model, choices, ...extra };
  return `data: ${JSON.stringify(body)}\n\n`;
}

const streamed = Buffer.from(
  chunk({ role: "assistant", content: "" }, null) +
    deltas.map((content) => chunk({ content }, null)).join("") +
    chunk({}, "stop") +
    `data: ${JSON.stringify({ id: "bench", object: "chat.completion.chunk", created: 0, model, choices: [], usage })}\n\n` +
    "data: [DONE]\n\n",
);
const whole = Buffer.from(
  JSON.stringify({
    id: "bench",
    object: "chat.completion",
    created: 0,
    model,
    choices: [{ index: 0, message: { role: "assistant", content: deltas.join("") }, finish_reason: "stop" }],
    usage,
  }),
);
const models = Buffer.from(JSON.stringify({ object: "list", data: [{ id: model, object: "model" }] }));

let completions = 0;

function answer(response: ServerResponse, type: string, body: Buffer): void {
  response.writeHead(200, { "content-type": type });
  response.end(body);
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.method !== "POST") {
    const isStats = request.url === "/stats";
    answer(response, "application/json", isStats ? Buffer.from(JSON.stringify({ completions })) : models);
    return;
  }
  const received: Buffer[] = [];
  request.on("data", (bytes: Buffer) => received.push(bytes));
  request.on("end", () => {
    completions += 1;
    // A search instead of a parse: the model's own cost should stay as near to nothing as it can.
    const isStream = /"stream"\s*:\s*true/.test(Buffer.concat(received).toString("latin1"));
    if (isStream) answer(response, "text/event-stream", streamed);
    else answer(response, "application/json", whole);
  });
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the model server got no port");
  process.stdout.write(`${address.port}\n`);
});
process.on("SIGTERM", () => process.exit(0));
