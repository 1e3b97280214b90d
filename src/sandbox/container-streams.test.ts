import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair, type Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { splitStreams } from "./container-streams.ts";

async function textOf(stream: Readable): Promise<string> {
  let text = "";
  for await (const piece of stream) text += piece;
  return text;
}

function frame(kind: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

test("sandbox (6): outputs are told apart wherever the engine cuts its frames", async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string({ maxLength: 20 })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(30), { maxLength: 30 }), async (parts, cuts) => {
      const [ours, engine] = duplexPair() as [Duplex, Duplex];
      const { stdout, stderr } = splitStreams(ours);
      const all = Buffer.concat(parts.map(([kind, text]) => frame(kind, text)));
      let at = 0;
      for (const cut of cuts) {
        engine.write(all.subarray(at, at + cut));
        at += cut;
      }
      engine.end(all.subarray(at));
      const of = (kind: number) =>
        parts
          .filter(([name]) => name === kind)
          .map(([, text]) => text)
          .join("");
      // The engine closes both ways when a command has ended.
      ours.once("end", () => ours.destroy());
      assert.deepEqual(await Promise.all([textOf(stdout), textOf(stderr)]), [of(1), of(2)]);
    }),
  );
});

test("sandbox (6): whoever does not read holds up the command, and input that nobody takes is an error of the input alone", async () => {
  const [ours, engine] = duplexPair() as [Duplex, Duplex];
  const { stdin, stdout, stderr } = splitStreams(ours);
  const large = "x".repeat(100_000);
  engine.write(frame(1, large));
  engine.write(frame(2, "after"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ours.isPaused(), true);
  stdin.write("typed");
  const [typed] = await once(engine, "data");
  assert.equal(String(typed), "typed");
  engine.end();
  ours.once("end", () => ours.destroy());
  assert.deepEqual(await Promise.all([textOf(stdout), textOf(stderr)]), [large, "after"]);
  const failed = once(stdin, "error");
  stdin.write("too late");
  assert.match(String((await failed)[0]), /closed/);
});

test("sandbox (6): whoever closes both outputs lets go of the command's stream", async () => {
  const [ours] = duplexPair() as [Duplex, Duplex];
  const { stdout, stderr } = splitStreams(ours);
  stdout.destroy();
  stderr.destroy();
  await once(ours, "close");
});
