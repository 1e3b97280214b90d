import assert from "node:assert/strict";
import { test } from "node:test";
import { GrammyError, HttpError } from "grammy";
import { backoffMs } from "../backoff.ts";
import { ApiFault, failureOf } from "./bot-api.ts";
import { troubleOf } from "./connection.ts";
import { sendOutcome } from "./outbound.ts";
import { TransportFault } from "./transport.ts";

const token = "123456:AAF-abcdefghijklmnopqrstuvwxyz012345";

const answer = (code: number, description = "text", retryAfterMs?: number) =>
  ({ kind: "answer", code, description, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }) as const;

test("channels (9): whatever an error says, the token is not in what remains of it (attack A-193)", () => {
  const url = `https://api.telegram.org/bot${token}/getMe`;
  const errors: unknown[] = [
    new GrammyError(
      url,
      { ok: false, error_code: 400, description: `bad ${url} ${encodeURIComponent(token)}` },
      url,
      { url },
    ),
    new HttpError(url, new Error(`request to ${url} failed`, { cause: new Error(url) })),
    new HttpError(url, new TransportFault("ECONNREFUSED", false)),
    new Error(url),
    url,
    undefined,
  ];
  for (const error of errors) {
    const fault = new ApiFault("getMe", failureOf(error, token));
    for (const seen of [
      JSON.stringify(fault.failure),
      fault.message,
      fault.stack ?? "",
      JSON.stringify(troubleOf(fault, 1000)),
    ]) {
      assert.equal(seen.includes("AAF-abc"), false);
    }
    assert.equal(fault.cause, undefined);
  }
  assert.equal(JSON.stringify(troubleOf(new Error(url), 1000)).includes("AAF-abc"), false);
  // One that does not look like a token is hidden because it is ours.
  const short = new GrammyError(
    "",
    { ok: false, error_code: 400, description: "bad 1:abc and 1%3Aabc" },
    "getMe",
    {},
  );
  const hidden = failureOf(short, "1:abc");
  assert.equal(hidden.kind === "answer" && hidden.description, "bad [token] and [token]");
});

test("channels (6): each failure of a send is sure or unsure in one way", () => {
  const outcome = (failure: Parameters<typeof sendOutcome>[0]) => sendOutcome(failure).outcome;
  assert.deepEqual(sendOutcome(answer(429, "slow down", 9000)), {
    outcome: "retry",
    retryAfterMs: 9000,
    detail: "429 slow down",
  });
  for (const code of [400, 401, 403, 404, 302]) assert.equal(outcome(answer(code)), "rejected", String(code));
  for (const code of [502, 504]) assert.equal(outcome(answer(code)), "unknown", String(code));
  for (const code of [500, 503, 520]) assert.equal(outcome(answer(code)), "retry", String(code));
  assert.equal(outcome({ kind: "network", code: "ECONNREFUSED", reached: false }), "retry");
  assert.equal(outcome({ kind: "network", code: "ECONNRESET", reached: true }), "unknown");
});

test("channels (8): what passes by itself is reconnecting, what needs a person is failed and says what to do", () => {
  const trouble = (code: number, retryAfterMs?: number) =>
    troubleOf(new ApiFault("getUpdates", answer(code, "x", retryAfterMs)), 1000);
  assert.match(trouble(401).detail, /token revoked.*@BotFather/);
  assert.match(trouble(409).detail, /another process.*stop it/);
  assert.deepEqual(
    [401, 404, 409, 400, 500, 503].map((code) => trouble(code).state),
    ["failed", "failed", "failed", "failed", "reconnecting", "reconnecting"],
  );
  assert.equal(trouble(429, 90_000).waitMs, 90_000);
  assert.equal(trouble(409).waitMs, 30_000);
});

test("pauses double from one second to one minute and spread", () => {
  const least = { bytes: (length: number) => Buffer.alloc(length) };
  const most = { bytes: (length: number) => Buffer.alloc(length, 0xff) };
  assert.deepEqual(
    [1, 2, 3, 6, 50].map((attempt) => backoffMs(attempt, least)),
    [1000, 2000, 4000, 30_000, 30_000],
  );
  assert.deepEqual(
    [1, 2, 3, 6, 50].map((attempt) => backoffMs(attempt, most)),
    [2000, 4000, 8000, 60_000, 60_000],
  );
});
