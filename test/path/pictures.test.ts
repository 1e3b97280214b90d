/** Pictures that the tool read finds, on the whole way: from a file to what each wire's provider is sent, and no further. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer, type Wire, wires } from "../support/model-servers/mod.ts";

const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
const base64 = png.toString("base64");
const dataUrl = `data:image/png;base64,${base64}`;

/** A gateway whose model reads `path` whenever somebody says "read"; a request that holds "refuse" is refused. */
async function house(t: TestContext, wire: Wire, path: string, model: object = {}, refuses?: string) {
  const server = await startModelServer({
    wire,
    script: (body, n) => {
      const sent = JSON.stringify(body.messages ?? body.input);
      if (refuses !== undefined && sent.includes(refuses))
        return [{ status: 400, body: { error: { message: "no pictures here" } } }];
      if (sent.lastIndexOf("please read") > sent.lastIndexOf("PNG image"))
        return [{ call: { name: "read", arguments: JSON.stringify({ path }), id: `call_${n}` } }];
      return [{ text: "seen" }];
    },
  });
  t.after(() => server.close());
  const config = modelConfig(server.url, wire) as {
    models: { providers: { mock: { models: object[] } } };
  };
  config.models.providers.mock.models = [{ id: "m", ...model }];
  const gateway = await GatewayProcess.start(t, { config: { ...config } });
  const workspace = join(gateway.stateFolder, "workspace");
  mkdirSync(workspace, { recursive: true });
  const client = await gateway.connect();
  const bodies = () => server.requests.map(({ body }) => JSON.stringify(body));
  return { gateway, client, workspace, server, bodies };
}

/** Everything under the state folder, and the rows of the database, as text. */
function written({ stateFolder, databaseFile }: GatewayProcess): string {
  const files = readdirSync(stateFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("workspace"))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1"));
  const database = new DatabaseSync(databaseFile, { readOnly: true });
  try {
    return [...files, JSON.stringify(database.prepare("SELECT event FROM ledger").all())].join("\n");
  } finally {
    database.close();
  }
}

/** The part of a request in which the wire's documentation wants a picture that a tool gave. */
// biome-ignore lint/suspicious/noExplicitAny: a request body, looked into at will
const placeOf: Readonly<Record<Wire, (body: any) => unknown>> = {
  "openai-completions": ({ messages }) => messages.slice(-2),
  "openai-responses": ({ input }) => input.at(-1),
  "anthropic-messages": ({ messages }) => messages.at(-1).content[0].content,
};

const inPlace: Readonly<Record<Wire, (text: string, body: unknown) => void>> = {
  "openai-completions": (text, body) => {
    const [result, shown] = body as [
      { role: string; content: string },
      { role: string; content: { type: string }[] },
    ];
    assert.equal(result.role, "tool");
    assert.ok(result.content.includes(text), result.content);
    assert.equal(shown.role, "user");
    assert.deepEqual(shown.content.slice(1), [{ type: "image_url", image_url: { url: dataUrl } }]);
  },
  "openai-responses": (text, body) => {
    const { type, output } = body as { type: string; output: { text?: string }[] };
    assert.equal(type, "function_call_output");
    assert.ok(output[0]?.text?.includes(text));
    assert.deepEqual(output.slice(1), [{ type: "input_image", image_url: dataUrl, detail: "auto" }]);
  },
  "anthropic-messages": (text, body) => {
    const blocks = body as { type: string; text?: string }[];
    assert.ok(blocks[0]?.text?.includes(text));
    assert.deepEqual(blocks.slice(1), [
      { type: "image", source: { type: "base64", media_type: "image/png", data: base64 } },
    ]);
  },
};

for (const wire of wires) {
  test(`pictures: over ${wire} a picture that read finds is shown once, where the wire wants it, and kept nowhere`, async (t) => {
    const { gateway, client, workspace, server, bodies } = await house(t, wire, "shot.png");
    writeFileSync(join(workspace, "shot.png"), png);
    assert.equal((await client.say("please read")).state, "final");
    assert.equal(server.requests.length, 2);
    const text = '"shot.png" is a PNG image: 1 x 1 pixels, 70 bytes.';
    inPlace[wire](text, placeOf[wire](server.requests[1]?.body));
    assert.equal(bodies()[1]?.split(base64).length, 2);
    // A later turn is told what was there, and is not shown it again.
    assert.equal((await client.say("and now?")).state, "final");
    assert.equal(server.requests.length, 3);
    assert.ok(!bodies()[2]?.includes(base64));
    assert.match(bodies()[2] ?? "", /1 x 1 pixels, 70 bytes.*in this turn only/);
    assert.ok(!JSON.stringify(client.frames).includes(base64));
    await gateway.stop();
    assert.ok(!written(gateway).includes(base64));
  });

  test(`pictures: over ${wire} a model that is configured without image input gets one sentence instead`, async (t) => {
    const { client, workspace, bodies } = await house(t, wire, "shot.png", { input: ["text"] });
    writeFileSync(join(workspace, "shot.png"), png);
    assert.equal((await client.say("please read")).state, "final");
    const [, told = ""] = bodies();
    assert.ok(!told.includes(base64));
    assert.match(
      told,
      /shot\.png.{1,5} is a PNG image: 1 x 1 pixels, 70 bytes\..*configured to read no pictures/,
    );
  });
}

test("pictures: a file that only begins like one is an error that names it, and nothing of it is sent", async (t) => {
  const { client, workspace, bodies } = await house(t, "openai-responses", "page.png");
  const page = `<!doctype html><p>${"pixels ".repeat(50)}`;
  writeFileSync(join(workspace, "page.png"), Buffer.concat([png.subarray(0, 33), Buffer.from(page)]));
  assert.equal((await client.say("please read")).state, "final");
  const [, told = ""] = bodies();
  assert.match(told, /page\.png.{1,5} is not a PNG image that can be shown/);
  assert.doesNotMatch(told, /doctype|base64/);
});

test("pictures: where a provider refuses the request for its picture, the turn goes on without", async (t) => {
  const { client, workspace, server, bodies } = await house(t, "openai-completions", "shot.png", {}, base64);
  writeFileSync(join(workspace, "shot.png"), png);
  const end = await client.say("please read");
  assert.equal(end.state, "final", JSON.stringify(end));
  assert.equal(server.requests.length, 3);
  assert.match(bodies()[2] ?? "", /1 x 1 pixels.*This model took no picture/);
});

test("pictures: what people send is shown within the same bounds, and what only begins like one is not", async (t) => {
  const { client, server } = await house(t, "openai-completions", "none");
  const chunk = Buffer.alloc(12 + 3_900_000);
  chunk.writeUInt32BE(3_900_000, 0);
  chunk.write("teXt", 4);
  const large = Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
  const bomb = Buffer.from(png);
  bomb.writeUInt32BE(60_000, 16);
  const sent = [png.subarray(0, 40), bomb, large, large, large];
  await client.rpc("chat.send", {
    sessionKey: "main",
    message: "look",
    idempotencyKey: "pictures-1",
    attachments: sent.map((bytes) => ({ mimeType: "image/png", content: bytes.toString("base64") })),
  });
  assert.equal((await client.chatEnd("pictures-1")).state, "final");
  const [request] = server.requests;
  const images = request?.body.messages
    .at(-1)
    .content.filter((part: { type: string }) => part.type === "image_url");
  assert.equal(images.length, 2);
  const whole = `data:image/png;base64,${large.toString("base64")}`;
  assert.ok(images.every((part: { image_url: { url: string } }) => part.image_url.url === whole));
});
