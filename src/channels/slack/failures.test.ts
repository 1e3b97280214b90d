import assert from "node:assert/strict";
import { test } from "node:test";
import { troubleOf } from "./connection.ts";
import { sendOutcome } from "./outbound.ts";
import { emojiName } from "./reactions.ts";
import { type ApiFailure, ApiFault } from "./web-api.ts";

const answer = (error: string): ApiFailure => ({ kind: "answer", error });

test("channels (6): each failure of a send is sure or unsure in one way", () => {
  const outcome = (failure: ApiFailure) => sendOutcome(failure).outcome;
  for (const error of [
    "channel_not_found",
    "not_in_channel",
    "invalid_auth",
    "missing_scope",
    "anything_new",
  ]) {
    assert.equal(outcome(answer(error)), "rejected", error);
  }
  for (const error of ["fatal_error", "internal_error", "unknown_error"]) {
    assert.equal(outcome(answer(error)), "unknown", error);
  }
  for (const error of ["ratelimited", "service_unavailable"])
    assert.equal(outcome(answer(error)), "retry", error);
  for (const [status, what] of [
    [400, "rejected"],
    [500, "unknown"],
    [502, "unknown"],
    [503, "retry"],
    [504, "unknown"],
  ] as const) {
    assert.equal(outcome({ kind: "http", status }), what, String(status));
  }
  assert.deepEqual(sendOutcome({ kind: "limited", retryAfterMs: 9000 }), {
    outcome: "retry",
    retryAfterMs: 9000,
    detail: "429: a pause of 9 s",
  });
  assert.equal(outcome({ kind: "network", code: "ECONNREFUSED", reached: false }), "retry");
  assert.equal(outcome({ kind: "network", code: "ECONNRESET", reached: true }), "unknown");
});

test("channels (8): what passes by itself is reconnecting, what needs a person is failed and seldom tried", () => {
  const of = (failure: ApiFailure, method = "auth.test") => troubleOf(new ApiFault(method, failure), 1000);
  for (const error of [
    "invalid_auth",
    "token_revoked",
    "account_inactive",
    "missing_scope",
    "not_allowed_token_type",
  ]) {
    assert.deepEqual([of(answer(error)).state, of(answer(error)).waitMs], ["failed", 300_000], error);
  }
  for (const error of ["internal_error", "toString", "constructor"]) {
    assert.equal(of(answer(error)).state, "reconnecting", error);
  }
  assert.equal(of({ kind: "limited", retryAfterMs: 90_000 }).waitMs, 90_000);
  assert.equal(of({ kind: "network", code: "X", reached: false }).state, "reconnecting");
  assert.match(of(answer("invalid_auth"), "apps.connections.open").detail, /appToken/);
  assert.equal(troubleOf(new Error("secret"), 1000).detail.includes("secret"), false);
});

test("emoji go by their names; what is none is not sent", () => {
  assert.deepEqual(["👀", ":tada:", "+1", "🦩", "a b", "__proto__", "toString"].map(emojiName), [
    "eyes",
    "tada",
    "+1",
    undefined,
    undefined,
    "__proto__",
    undefined,
  ]);
});
