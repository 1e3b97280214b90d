/** Signing in to the page, and what a hostile page, a rebound name or a stolen link can do: nothing. */
import assert from "node:assert/strict";
import { type IncomingHttpHeaders, request } from "node:http";
import { test } from "node:test";
import { type GatewayProcess, gatewayToken, GatewayProcess as Process } from "../support/gateway.ts";
import { GatewayClient } from "../support/gateway-client.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A request as it is, with any Host and Origin. */
function ask(
  gateway: GatewayProcess,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: "127.0.0.1", port: gateway.port, method, path, headers, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

const json = { "content-type": "application/json" };

function signIn(gateway: GatewayProcess, value: unknown, headers: Readonly<Record<string, string>> = {}) {
  return ask(gateway, "POST", "/auth/sign-in", { ...json, ...headers }, JSON.stringify(value));
}

function cookieOf(answer: Answer): string {
  return answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

const page = { clientId: "openclaw-control-ui", mode: "ui" };

test("auth (4): the printed link signs in once; the cookie opens the socket and is for this site only", async (t) => {
  const gateway = await Process.start(t);
  assert.notEqual(gateway.ticket, "");
  const first = await signIn(gateway, { ticket: gateway.ticket });
  assert.equal(first.status, 204);
  const setCookie = first.headers["set-cookie"]?.[0] ?? "";
  assert.match(setCookie, /^openclaw_session=[\w-]{43};/);
  assert.match(setCookie, /HttpOnly/);
  assert.match(setCookie, /SameSite=Strict/);
  assert.ok(!setCookie.includes(gateway.ticket));
  const second = await signIn(gateway, { ticket: gateway.ticket });
  assert.equal(second.status, 401);
  assert.match(second.body, /auth\.ticket_invalid|sign-in link/);
  const cookie = cookieOf(first);
  assert.equal((await ask(gateway, "GET", "/auth/session", { cookie })).status, 200);
  const client = await GatewayClient.connect(gateway.port, { ...page, cookie });
  assert.equal(client.hello.auth.method, "browser-session");
  // The session outlives a restart, the ticket does not.
  await gateway.kill();
  const old = gateway.ticket;
  await gateway.start();
  assert.equal((await ask(gateway, "GET", "/auth/session", { cookie })).status, 200);
  assert.equal((await signIn(gateway, { ticket: old })).status, 401);
});

test("the token form signs in; a wrong one does not; too many lock the page out and not the command line", async (t) => {
  const gateway = await Process.start(t, {
    config: {
      gateway: {
        mode: "local",
        bind: "loopback",
        auth: {
          mode: "token",
          token: gatewayToken,
          rateLimit: { maxAttempts: 4, windowMs: 60_000, lockoutMs: 60_000 },
        },
      },
    },
  });
  assert.equal((await signIn(gateway, { token: gatewayToken })).status, 204);
  for (const wrong of [{}, { token: "" }, { token: 7 }, { ticket: null }, [], "x"]) {
    const answer = await signIn(gateway, wrong);
    assert.equal(answer.status, 401, JSON.stringify(wrong));
    assert.equal(answer.headers["set-cookie"], undefined);
  }
  // A token of a wrong kind was one of the four already.
  for (let n = 0; n < 3; n++) assert.equal((await signIn(gateway, { token: `wrong-${n}` })).status, 401);
  const locked = await signIn(gateway, { token: gatewayToken });
  assert.equal(locked.status, 429);
  assert.ok(Number(locked.headers["retry-after"]) > 0);
  assert.equal((await (await gateway.connect()).rpc("health")).ok, true);
});

test("signing out ends the session and its sockets at once", async (t) => {
  const gateway = await Process.start(t);
  const cookie = cookieOf(await signIn(gateway, { token: gatewayToken }));
  const client = await GatewayClient.connect(gateway.port, { ...page, cookie });
  const forged = await ask(gateway, "POST", "/auth/sign-out", { cookie, "sec-fetch-site": "cross-site" });
  assert.equal(forged.status, 403);
  assert.equal((await ask(gateway, "POST", "/auth/sign-out", { cookie })).status, 204);
  assert.deepEqual(await client.closed, { code: 4001, reason: "signed out" });
  assert.equal((await ask(gateway, "GET", "/auth/session", { cookie })).status, 401);
  await assert.rejects(GatewayClient.connect(gateway.port, { ...page, cookie }), /device identity/);
});

test("network (2)(3): another site's page, a rebound name and an unknown proxy reach nothing", async (t) => {
  const gateway = await Process.start(t);
  const own = `127.0.0.1:${gateway.port}`;
  const refused: Readonly<Record<string, string>>[] = [
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: `http://127.0.0.1:${gateway.port + 1}` },
    { origin: `https://evil.example:${gateway.port}` },
    { host: `evil.example:${gateway.port}`, origin: `http://evil.example:${gateway.port}` },
    { host: "127.0.0.1.evil.example" },
    { host: "localhost.evil.example" },
    { host: "evil.example" },
    { "x-forwarded-for": "203.0.113.7" },
    { forwarded: "for=203.0.113.7" },
    { "x-real-ip": "127.0.0.1" },
  ];
  for (const headers of refused) {
    const name = JSON.stringify(headers);
    assert.equal((await signIn(gateway, { token: gatewayToken }, headers)).status, 403, name);
    assert.equal((await ask(gateway, "GET", "/", headers)).status, 403, name);
    await assert.rejects(GatewayClient.open(gateway.port, headers), name);
  }
  const accepted: Readonly<Record<string, string>>[] = [
    { origin: `http://${own}` },
    { host: "localhost" },
    {},
  ];
  for (const headers of accepted) {
    assert.equal(
      (await signIn(gateway, { token: gatewayToken }, headers)).status,
      204,
      JSON.stringify(headers),
    );
  }
  // What a form on another site can send without asking first.
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
    const answer = await ask(
      gateway,
      "POST",
      "/auth/sign-in",
      { "content-type": type },
      `{"token":"${gatewayToken}"}`,
    );
    assert.equal(answer.status, 415, type);
  }
  const crossSite = await signIn(gateway, { token: gatewayToken }, { "sec-fetch-site": "cross-site" });
  assert.equal(crossSite.status, 403);
});

test("network (5): paths lead nowhere but to the page's own files; bodies are bounded; probes tell nothing", async (t) => {
  const gateway = await Process.start(t);
  for (const path of [
    "/../openclaw.json",
    "/assets/../../package.json",
    "/assets/%2e%2e/%2e%2e/package.json",
    "/assets/..%2f..%2fpackage.json",
    "/assets//etc/passwd",
    "/assets/\\..\\..\\package.json",
    "/openclaw.json",
    "/state/gateway.sqlite",
    "/auth/session/",
    "/AUTH/session",
  ]) {
    const answer = await ask(gateway, "GET", path);
    assert.ok([400, 404, 405].includes(answer.status), `${path}: ${answer.status}`);
    assert.doesNotMatch(answer.body, /"version"|root:/);
  }
  const large = await ask(
    gateway,
    "POST",
    "/auth/sign-in",
    json,
    JSON.stringify({ token: "x".repeat(5000) }),
  );
  assert.equal(large.status, 413);
  for (const path of ["/health", "/healthz", "/readyz", "/ready"]) {
    const answer = await ask(gateway, "GET", path, { host: "evil.example" });
    assert.equal(answer.status, 200, path);
    assert.doesNotMatch(answer.body, /version|session|token/i);
  }
  assert.doesNotMatch((await ask(gateway, "GET", "/startupz", { host: "evil.example" })).body, /version/);
  assert.match((await ask(gateway, "GET", "/startupz")).body, /"version"/);
  const home = await ask(gateway, "GET", "/");
  assert.equal(home.headers["x-content-type-options"], "nosniff");
  assert.equal(home.headers["x-frame-options"], "DENY");
  assert.equal(home.headers["referrer-policy"], "no-referrer");
  assert.equal((await ask(gateway, "DELETE", "/auth/session")).status, 405);
});
