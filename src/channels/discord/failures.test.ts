import assert from "node:assert/strict";
import { test } from "node:test";
import { endTrouble, troubleOf } from "./connection.ts";
import { sendOutcome } from "./outbound.ts";
import { type RestFailure, RestFault } from "./rest.ts";

const answer = (status: number, code = 0): RestFailure => ({ kind: "answer", status, code, text: "text" });

test("channels (6): each failure of a send is sure or unsure in one way", () => {
  const outcome = (failure: RestFailure) => sendOutcome(failure).outcome;
  for (const status of [302, 400, 401, 403, 404])
    assert.equal(outcome(answer(status)), "rejected", String(status));
  for (const status of [502, 504]) assert.equal(outcome(answer(status)), "unknown", String(status));
  for (const status of [500, 503, 520]) assert.equal(outcome(answer(status)), "retry", String(status));
  assert.deepEqual(sendOutcome({ kind: "limited", retryAfterMs: 9000, text: "slow" }), {
    outcome: "retry",
    retryAfterMs: 9000,
    detail: "429 slow",
  });
  assert.equal(outcome({ kind: "network", code: "ECONNREFUSED", reached: false }), "retry");
  assert.equal(outcome({ kind: "network", code: "ECONNRESET", reached: true }), "unknown");
});

test("a refusal says what to do about it", () => {
  for (const [status, code, words] of [
    [401, 0, /reset it in the Developer Portal/],
    [403, 50007, /takes no direct messages/],
    [403, 50013, /lacks the permission/],
    [404, 10003, /channel is gone/],
  ] as const) {
    const result = sendOutcome(answer(status, code));
    assert.match(result.outcome === "rejected" ? result.detail : "", words);
  }
});

test("channels (8): what passes by itself is reconnecting, what needs a person is failed and seldom tried", () => {
  const of = (failure: RestFailure) => troubleOf(new RestFault("GET /gateway/bot", failure), 1000);
  assert.deepEqual(
    [answer(401), answer(400), answer(500), answer(503)].map((failure) => of(failure).state),
    ["failed", "failed", "reconnecting", "reconnecting"],
  );
  assert.equal(of(answer(401)).waitMs, 300_000);
  assert.equal(of({ kind: "limited", retryAfterMs: 90_000, text: "" }).waitMs, 90_000);
  assert.equal(of({ kind: "network", code: "X", reached: false }).state, "reconnecting");
  assert.equal(troubleOf(new Error("secret"), 1000).detail.includes("secret"), false);
  const end = { isSessionOver: false, wasReady: true };
  assert.equal(endTrouble({ ...end, code: 1006, isAsked: false }, 2000).waitMs, 2000);
  assert.equal(endTrouble({ ...end, code: 4000, isAsked: true }, 2000).waitMs, 0);
});
