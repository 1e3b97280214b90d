import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { type Clock, InputError, ModelFault, Secret, systemClock, systemRandom } from "../kernel/mod.ts";
import { readRetryAfter } from "./faults.ts";
import { knownProviders, openModel, type ProviderSettings, providerApis } from "./mod.ts";
import { Watchdog } from "./watchdog.ts";

function settings(more: Partial<ProviderSettings>): ProviderSettings {
  return {
    id: "mock",
    api: "openai-completions",
    baseUrl: "http://127.0.0.1:1/v1",
    headers: {},
    firstByteTimeoutMs: 30_000,
    stallTimeoutMs: 30_000,
    connectTimeoutMs: 30_000,
    ...more,
  };
}

async function faultOf(more: Partial<ProviderSettings>, clock: Clock = systemClock): Promise<ModelFault> {
  const model = await openModel(settings(more), { clock, random: systemRandom });
  const thrown = await model.list(new AbortController().signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof ModelFault, String(thrown));
  return thrown;
}

/** A clock whose timers fire only when they are asked to, by their delay. */
function handClock() {
  let timeMs = 0;
  const timers = new Map<object, { at: number; action: () => void }>();
  const clock: Clock = {
    now: () => timeMs,
    monotonic: () => timeMs,
    after(delayMs, action) {
      const key = {};
      timers.set(key, { at: timeMs + delayMs, action });
      return () => timers.delete(key);
    },
  };
  const advance = (ms: number) => {
    timeMs += ms;
    for (const [key, { at, action }] of [...timers]) if (at <= timeMs && timers.delete(key)) action();
  };
  return { clock, advance, timers };
}

test("providers: an address that cannot be used is refused when the provider is opened", async () => {
  for (const baseUrl of ["", "api.example.com", "ftp://example.com/", "https://user:pass@example.com/v1"]) {
    await assert.rejects(
      openModel(settings({ baseUrl }), { clock: systemClock, random: systemRandom }),
      (error) =>
        error instanceof InputError && /mock\.baseUrl/.test(error.message) && !/pass@/.test(error.message),
    );
  }
});

test("providers: a server that is not there is a network fault that names its address", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const fault = await faultOf({ baseUrl: `http://127.0.0.1:${port}/v1` });
  assert.equal(fault.kind, "network");
  assert.match(fault.message, new RegExp(`http://127.0.0.1:${port} `));
});

test("providers (3): a key with a line break is an auth fault, and is not shown", async () => {
  const fault = await faultOf({ apiKey: new Secret("sk-one\nsk-two") });
  assert.equal(fault.kind, "auth");
  assert.doesNotMatch(fault.message, /sk-/);
});

test("providers (6): a TLS handshake that never ends is a timeout of connecting", async () => {
  const { clock, advance } = handClock();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, "connection");
  try {
    const result = faultOf({ baseUrl: `https://127.0.0.1:${port}/v1`, connectTimeoutMs: 500 }, clock);
    const [socket] = await accepted;
    // The client's half of the handshake has come, so its clock is running.
    await once(socket, "data");
    advance(500);
    const fault = await result;
    assert.equal(fault.kind, "timeout");
    assert.match(fault.message, /connection for 500 ms/);
    socket.destroy();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("providers: something that is no HTTP server is a network fault", async () => {
  const server = createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .end("SSH-2.0-x\r\n\r\n"),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    assert.equal((await faultOf({ baseUrl: `http://127.0.0.1:${port}` })).kind, "network");
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("watchdog: a deadline that moves costs one timer, and barks once", () => {
  const { clock, advance, timers } = handClock();
  const barks: string[] = [];
  const dog = new Watchdog(clock, (phase, limitMs) => barks.push(`${phase} ${limitMs}`));
  dog.expect("connect", 100);
  for (let n = 0; n < 50; n++) {
    advance(10);
    dog.expect("stall", 100);
    assert.equal(timers.size, 1);
  }
  assert.deepEqual(barks, []);
  advance(50);
  dog.expect("drain", 10);
  advance(10);
  assert.deepEqual(barks, ["drain 10"]);
  dog.expect("stall", 10);
  dog.stop();
  advance(1000);
  assert.deepEqual(barks, ["drain 10"]);
  assert.equal(timers.size, 0);
});

test("providers: Retry-After is read as RFC 9110 writes it, and nonsense is not", () => {
  const now = Date.UTC(2026, 0, 1);
  const rows: readonly (readonly [Record<string, string>, number | undefined])[] = [
    [{ "retry-after": "2" }, 2000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT" }, 30_000],
    [{ "retry-after": "Thu, 01 Jan 2025 00:00:00 GMT" }, 0],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after-ms": "12", "retry-after": "9" }, 12],
    [{ "retry-after-ms": "-1" }, undefined],
    [{}, undefined],
  ];
  for (const [headers, expected] of rows) assert.equal(readRetryAfter(headers, now), expected);
});

test("providers: the known ones speak a wire that exists, over https unless they are local", () => {
  assert.deepEqual(Object.keys(knownProviders).slice(0, 3), ["anthropic", "openai", "openrouter"]);
  for (const [id, { api, baseUrl, envKeys }] of Object.entries(knownProviders)) {
    assert.ok(providerApis.includes(api), id);
    if (api === "demo") continue;
    const url = new URL(baseUrl);
    const local = url.hostname === "127.0.0.1";
    assert.equal(url.protocol, local ? "http:" : "https:", id);
    assert.equal(envKeys.length === 0, local, id);
  }
});
