import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { format, inspect } from "node:util";
import fc from "fast-check";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import {
  admit,
  admitted,
  canonicalJson,
  code,
  InputError,
  type Json,
  joinSources,
  keepAlive,
  ModelFault,
  proofs,
  reasons,
  reasonText,
  refuse,
  Secret,
  type Source,
  sensitivities,
  silentLog,
  sleep,
  systemClock,
  systemRandom,
  token,
  trusts,
  unknownSource,
  uuid,
  type Verdict,
} from "./mod.ts";
import { pooled } from "./random.ts";

test("kernel (1): a Verdict that is not literally an Admission is a refusal", () => {
  assert.equal(admitted(admit(undefined)), true);
  assert.equal(admitted(refuse("access.dm_disabled")), false);
  const others: unknown[] = [
    undefined,
    null,
    {},
    [],
    true,
    "ok",
    { ok: 1 },
    { ok: "true" },
    { value: 1 },
    () => {},
  ];
  for (const other of others) assert.equal(admitted(other as Verdict<unknown>), false);
  assert.deepEqual(refuse("access.dm_disabled"), { ok: false, reason: "access.dm_disabled", detail: "" });
});

test("every reason says what happened and what to do next, under a name of its own stage", () => {
  for (const [name, [meaning, next]] of Object.entries(reasons)) {
    assert.match(name, /^[a-z]+\.[a-z_]+$/);
    assert.match(meaning, /^\S.*\.$/, name);
    assert.ok(next.length > 10, name);
  }
  assert.equal(reasonText("delivery.draining"), "The gateway is stopping. Send it again in a moment.");
});

test("kernel (2): a Secret never prints", () => {
  const secret = new Secret("hunter2-hunter2");
  const shown = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: { secret } }, { showHidden: true, depth: 9 }),
    format("%s %o %j", secret, secret, secret),
    Object.values(secret).join(),
    `${Object.assign({}, secret)}`,
  ].join("\n");
  assert.doesNotMatch(shown, /hunter2/);
  assert.equal(secret.reveal(), "hunter2-hunter2");
  assert.equal(secret.length, 15);
});

test("a secret equals only itself, and an empty one nothing", () => {
  assert.equal(new Secret("abc").equals("abc"), true);
  for (const other of ["", "ab", "abcd", "ABC", "abc "]) assert.equal(new Secret("abc").equals(other), false);
  assert.equal(new Secret("").equals(""), false);
});

const json = fc.jsonValue({ depthSize: "medium" }) as fc.Arbitrary<Json>;

function shuffled(value: Json): Json {
  if (Array.isArray(value)) return value.map(shuffled);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, shuffled(member as Json)]),
  );
}

test("kernel (3): canonical JSON has one spelling for each value, and says the same as JSON", () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonicalJson(value);
      assert.equal(canonicalJson(shuffled(value)), text);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(JSON.parse(text)), text);
    }),
  );
  assert.equal(canonicalJson({ b: 1, a: [true, null, "x"], c: undefined }), '{"a":[true,null,"x"],"b":1}');
  assert.equal(canonicalJson(undefined), "null");
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => canonicalJson({ number }), TypeError);
});

const source: fc.Arbitrary<Source> = fc.record<Source>({
  author: fc.constantFrom("operator", "telegram:1", "tool:exec", "web"),
  proof: fc.constantFrom(...proofs),
  trust: fc.constantFrom(...trusts),
  sensitivity: fc.constantFrom(...sensitivities),
});

test("kernel (4): joining never raises trust or proof, never lowers sensitivity, and does not depend on order", () => {
  fc.assert(
    fc.property(source, source, source, (a, b, c) => {
      const joined = joinSources(a, b);
      for (const part of [a, b]) {
        assert.ok(proofs.indexOf(joined.proof) <= proofs.indexOf(part.proof));
        assert.ok(trusts.indexOf(joined.trust) <= trusts.indexOf(part.trust));
        assert.ok(sensitivities.indexOf(joined.sensitivity) >= sensitivities.indexOf(part.sensitivity));
        assert.ok(joined.author.split(",").includes(part.author));
      }
      assert.deepEqual(joinSources(b, a), joined);
      assert.deepEqual(joinSources(joined, c), joinSources(a, joinSources(b, c)));
      assert.deepEqual(joinSources(a, a), { ...a });
    }),
  );
  assert.equal(joinSources(unknownSource, { ...unknownSource, trust: "owner" }).trust, "untrusted");
});

test("codes are drawn evenly, without the bias of a remainder", () => {
  // 256 values over 10 characters: 250 to 255 must be thrown away, or the first six come more often.
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
  let at = 0;
  const counting = {
    bytes: (length: number) => Buffer.from(Array.from({ length }, () => bytes[at++ % 256] as number)),
  };
  const drawn = code(counting, "0123456789", 2500);
  for (const digit of "0123456789") assert.equal(drawn.split(digit).length - 1, 250, digit);
  assert.match(code(systemRandom, "AB", 9), /^[AB]{9}$/);
});

test("ids and tokens have their forms", () => {
  assert.match(uuid(systemRandom), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(token(systemRandom), /^[\w-]{43}$/);
  assert.equal(token(systemRandom, 16).length, 22);
});

test("sleep ends when its time has come, or its signal aborts, and leaves no timer behind", async () => {
  const clock = new ManualClock();
  let done = 0;
  const count = () => {
    done += 1;
  };
  const controller = new AbortController();
  void sleep(clock, 100).then(count);
  void sleep(clock, 1000, controller.signal).then(count);
  clock.advance(100);
  await null;
  assert.equal(done, 1);
  controller.abort();
  await null;
  assert.equal(done, 2);
  assert.deepEqual(clock.waiting, []);
  await sleep(clock, 1000, controller.signal);
});

test("the system's clock fires once, and not at all when it was cancelled", async () => {
  const fired = Promise.withResolvers<void>();
  const cancel = systemClock.after(0, () => assert.fail("cancelled"));
  cancel();
  cancel();
  systemClock.after(0, fired.resolve);
  // The timer does not keep the process alive; the test does.
  const letGo = keepAlive();
  await fired.promise;
  letGo();
  const earlier = systemClock.monotonic();
  assert.ok(systemClock.monotonic() >= earlier);
  assert.ok(systemClock.now() > Date.UTC(2024));
});

test("faults of models are tried again or final by their kind", () => {
  const retryable = ["rateLimit", "overloaded", "server", "timeout", "network", "protocol"] as const;
  const final = ["auth", "billing", "badRequest", "contextOverflow", "aborted"] as const;
  for (const kind of retryable) assert.equal(new ModelFault(kind, "x").retryable, true, kind);
  for (const kind of final) assert.equal(new ModelFault(kind, "x").retryable, false, kind);
  const fault = new ModelFault("rateLimit", "slow", { status: 429, retryAfterMs: 5 });
  assert.deepEqual([fault.status, fault.retryAfterMs, fault.name], [429, 5, "ModelFault"]);
  assert.equal(new InputError("x").name, "InputError");
  assert.equal(silentLog("info", "x"), undefined);
  assert.equal(createHash("sha256").update(canonicalJson({})).digest("hex").length, 64);
});

test("kernel (5): drawing from the pool gives each byte once, and what was given is not kept", () => {
  let next = 0;
  const drawn: Buffer[] = [];
  const random = pooled((length) => {
    const bytes = Buffer.from(Array.from({ length }, () => next++ % 251));
    drawn.push(bytes);
    return bytes;
  });
  const first = random.bytes(16);
  const second = random.bytes(16);
  assert.deepEqual(
    [...first],
    Array.from({ length: 16 }, (_, index) => index),
  );
  assert.deepEqual(
    [...second],
    Array.from({ length: 16 }, (_, index) => index + 16),
  );
  assert.ok(drawn[0]?.subarray(0, 32).every((byte) => byte === 0));
  for (let count = 0; count < 300; count++) random.bytes(16);
  assert.ok(drawn.length >= 2);
  assert.equal(random.bytes(1000).length, 1000);
});
