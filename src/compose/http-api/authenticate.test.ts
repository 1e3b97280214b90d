import assert from "node:assert/strict";
import { test } from "node:test";
import { StandingClock } from "../../../test/contracts/standing-clock.ts";
import { type AuthSettings, createLockout, type Identity } from "../../auth/mod.ts";
import { refuse, Secret, type Verdict } from "../../kernel/mod.ts";
import type { Arrival, HttpHead } from "../../network/mod.ts";
import { createDoor, credentialOf, isJson } from "./authenticate.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const auth: AuthSettings = {
  mode: "token",
  secret: new Secret("right-secret"),
  maxAttempts: 10,
  windowMs: 60_000,
  lockoutMs: 300_000,
  exemptLoopback: true,
} as AuthSettings;

function headOf(headers: Record<string, string>, arrival: Partial<Arrival> = {}): HttpHead {
  const full = {
    address: "10.0.0.9",
    isLoopback: false,
    isLocal: false,
    origin: undefined,
    host: "10.0.0.1:1",
  };
  const whole = { ...full, ...arrival };
  const limitKey = whole.isLoopback && whole.origin ? `browser-origin:${whole.origin}` : whole.address;
  return {
    path: "/v1/models",
    query: "",
    headers,
    cookie: "",
    arrival: { limitKey, ...whole } as Arrival,
  } as HttpHead;
}

function doorWith(settings: AuthSettings, named?: Verdict<Identity>) {
  const clock = new StandingClock();
  const refused: string[] = [];
  const door = createDoor({
    authSettings: () => settings,
    callers: { identify: () => undefined, known: () => named },
    apiTokens: { find: () => undefined },
    browserSessions: { check: (cookie) => (cookie === "right-cookie" ? "s" : undefined) },
    lockout: createLockout(clock, () => auth),
    clock,
    scopeOf: (method) => (method === "chat.send" ? "operator.write" : "operator.read"),
    refused: async (reason) => void refused.push(reason),
  });
  /** The status, 200 for "may go on"; waits that the door puts on wrong secrets pass at once. */
  async function status(head: HttpHead, method: "GET" | "POST" = "GET", forPage = false) {
    const asked = door.check(head, method, "agents.list", forPage);
    let answer: Awaited<typeof asked> | "waiting" = "waiting";
    void asked.then((value) => {
      answer = value;
    });
    for (let turn = 0; turn < 20 && answer === "waiting"; turn++) {
      await Promise.resolve();
      if (clock.waiting > 0) clock.advance(5000);
    }
    return (await asked)?.status ?? 200;
  }
  return { clock, door, status, refused };
}

test("http-api (1): Bearer or the password of Basic, and nothing that only looks like them", () => {
  const table: readonly (readonly [string | undefined, object])[] = [
    ["Bearer abc", { token: "abc" }],
    ["bearer  abc ", { token: "abc" }],
    [`Basic ${base64("user:p:w")}`, { password: "p:w" }],
    [`Basic ${base64(":pw")}`, { password: "pw" }],
    [`Basic ${base64("nocolon")}`, {}],
    ["Basic ???", {}],
    ["Bearer", {}],
    ["Bearer ", {}],
    ["Bearer a b", {}],
    ["Bearerabc", {}],
    ["Digest abc", {}],
    ["", {}],
    [undefined, {}],
  ];
  for (const [header, expected] of table) assert.deepEqual(credentialOf(header), expected, String(header));
});

test("http-api (2): ten wrong secrets lock an address out, missing ones do not, and loopback is only slowed", async () => {
  const { status, refused } = doorWith(auth);
  const wrong = { authorization: "Bearer wrong" };
  const right = { authorization: "Bearer right-secret" };
  for (let index = 0; index < 30; index++) assert.equal(await status(headOf({})), 401);
  assert.equal(refused.length, 0);
  for (let index = 0; index < 10; index++) assert.equal(await status(headOf(wrong)), 401);
  assert.equal(await status(headOf(right)), 429);
  assert.equal(await status(headOf(right, { address: "10.0.0.8" })), 200);
  assert.equal(refused.length, 10);

  const local = { address: "127.0.0.1", isLoopback: true, host: "127.0.0.1:1" };
  for (let index = 0; index < 12; index++) assert.equal(await status(headOf(wrong, local)), 401);
  assert.equal(await status(headOf(right, local)), 200);
  // Attack A-242: what a page makes a browser on this machine try is counted, without locking the owner out.
  const page = { ...local, origin: "http://127.0.0.1:1" };
  for (let index = 0; index < 10; index++) assert.equal(await status(headOf(wrong, page)), 401);
  assert.equal(await status(headOf(right, page)), 429);
  assert.equal(await status(headOf(right, local)), 200);
});

test("http-api (2): whoever has a /64 guesses no more often than whoever has one address (attack A-241)", async () => {
  const { status } = doorWith(auth);
  const at = (index: number) => ({
    address: `2001:db8:1:2::${index.toString(16)}`,
    limitKey: "2001:db8:1:2::/64",
  });
  for (let index = 1; index <= 10; index++)
    assert.equal(await status(headOf({ authorization: "Bearer wrong" }, at(index))), 401);
  assert.equal(await status(headOf({ authorization: "Bearer right-secret" }, at(11))), 429);
});

test("http-api (2): after the lock-out the right secret counts again", async () => {
  const { status, clock } = doorWith(auth);
  for (let index = 0; index < 10; index++) await status(headOf({ authorization: "Bearer wrong" }));
  const right = headOf({ authorization: "Bearer right-secret" });
  assert.equal(await status(right), 429);
  clock.advance(auth.lockoutMs);
  assert.equal(await status(right), 200);
});

test("http-api (1): what another site's page can send gets nowhere, with and without a secret (attack A-025)", async () => {
  for (const settings of [auth, { ...auth, mode: "none" as const, secret: undefined }]) {
    const { status } = doorWith(settings);
    const own = { authorization: "Bearer right-secret", "content-type": "application/json" };
    const table: readonly (readonly [headers: Record<string, string>, expected: number])[] = [
      [own, 200],
      [{ ...own, referer: "http://10.0.0.1:1/" }, 200],
      [{ ...own, "content-type": "application/json; charset=utf-8" }, 200],
      [{ ...own, "sec-fetch-site": "same-origin" }, 200],
      [{ ...own, "sec-fetch-site": "cross-site" }, 403],
      [{ ...own, "sec-fetch-site": "same-site" }, 403],
      [{ ...own, referer: "https://evil.example/" }, 403],
      [{ ...own, referer: "http://10.0.0.1:1.evil.example/" }, 403],
      [{ ...own, referer: "x" }, 403],
      [{ ...own, "content-type": "text/plain" }, 415],
      [{ ...own, "content-type": "application/x-www-form-urlencoded" }, 415],
      [{ ...own, "content-type": "application/jsonp" }, 415],
    ];
    for (const [headers, expected] of table)
      assert.equal(await status(headOf(headers), "POST"), expected, JSON.stringify(headers));
    assert.equal(isJson(undefined), false);
  }
});

test("http-api (1): the page's cookie opens what the page fetches, and nothing else", async () => {
  const { status, refused } = doorWith(auth);
  const withCookie = (cookie: string, headers = {}) => ({ ...headOf(headers), cookie });
  assert.equal(await status(withCookie("right-cookie"), "GET", true), 200);
  assert.equal(await status(withCookie("right-cookie")), 401);
  assert.equal(await status(withCookie("other-cookie"), "GET", true), 401);
  assert.equal(
    await status(withCookie("right-cookie", { "sec-fetch-site": "cross-site" }), "GET", true),
    403,
  );
  assert.equal(refused.length, 0, "a cookie that is none is no guess at the secret");
});

test("http-api (1): a caller without the scope is told which one is missing", async () => {
  const { door } = doorWith({ ...auth, mode: "none", secret: undefined });
  const answer = await door.check(headOf({ "x-openclaw-scopes": "operator.read" }), "GET", "chat.send");
  assert.equal(answer?.status, 403);
  assert.deepEqual(JSON.parse(String(answer?.body)).error.details, {
    code: "MISSING_SCOPE",
    missingScope: "operator.write",
    requiredScopes: ["operator.write"],
  });
  assert.equal((await door.check({ ...headOf({}), arrival: undefined }, "GET", "chat.send"))?.status, 403);
});

test("http-api (1): where the proxy signs people in, the password is for this machine only (A-008, A-009)", async () => {
  const refused = doorWith({ ...auth, mode: "trusted-proxy" }, refuse("auth.trusted_proxy_user_not_allowed"));
  const right = { authorization: "Bearer right-secret" };
  assert.equal(await refused.status(headOf(right)), 401);
  const local = { address: "127.0.0.1", isLoopback: true, isLocal: true, host: "127.0.0.1:1" };
  assert.equal(await refused.status(headOf(right, local)), 200);
  assert.equal(await refused.status(headOf({}, local)), 401);
  const answer = await refused.door.check(headOf({}), "GET", "agents.list");
  assert.equal(JSON.parse(String(answer?.body)).error.code, "auth.trusted_proxy_user_not_allowed");
  assert.equal(refused.refused.length, 0, "who was merely not signed in has guessed nothing");
});
