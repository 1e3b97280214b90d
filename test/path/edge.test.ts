/** The gateway behind what says who is calling: a proxy, a provider's signed assertion, Tailscale. Real sockets. */
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { createServer } from "node:https";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { systemRandom } from "../../src/kernel/mod.ts";
import { selfSigned } from "../../src/network/certificate.ts";
import { TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { connectParams, type Payload } from "../support/gateway-client.ts";
import { fakeTailnet } from "../support/tailscale/tailnet.ts";

const ownAddress = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find((item) => item.family === "IPv4" && !item.internal)?.address;

type Headers = Readonly<Record<string, string | readonly string[]>>;
const forwarded: Headers = {
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  host: "gw.example",
};
const from = (user: string): Headers => ({ ...forwarded, "x-forwarded-user": user });

const proxied = {
  mode: "local",
  bind: "loopback",
  trustedProxies: ["127.0.0.1"],
  controlUi: { allowedOrigins: ["https://gw.example"] },
  http: { endpoints: { chatCompletions: { enabled: true } } },
  auth: {
    mode: "trusted-proxy",
    password: "password-of-this-machine-only-0123",
    trustedProxy: { userHeader: "X-Forwarded-User", allowUsers: ["me@example.com"], allowLoopback: true },
    identityScopes: { "me@example.com": ["operator.read"] },
  },
};

/** The answer to `connect`, or the status of a refused upgrade. */
function connect(
  port: number,
  headers: Headers,
  params: object | ((nonce: string) => object) = {},
  host = "127.0.0.1",
): Promise<Payload> {
  const socket = new WebSocket(`ws://${host}:${port}/`, { headers: headers as Record<string, string> });
  socket.on("error", () => {});
  return new Promise((resolve) => {
    socket.on("unexpected-response", (_request, response) => {
      response.resume();
      resolve({ status: response.statusCode });
    });
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data));
      if (frame.event === "connect.challenge") {
        const more = typeof params === "function" ? params(frame.payload.nonce) : params;
        const all = { ...connectParams({}), ...more };
        socket.send(JSON.stringify({ type: "req", id: "1", method: "connect", params: all }));
      } else if (frame.id === "1") {
        socket.terminate();
        resolve(frame);
      }
    });
  });
}

interface Answered {
  readonly status: number | undefined;
  readonly body: string;
  readonly cookie: string;
}

function ask(
  port: number,
  path: string,
  headers: Headers,
  body?: string,
  host = "127.0.0.1",
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    httpRequest({ host, port, path, method, headers: headers as never, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      const cookie = String(response.headers["set-cookie"] ?? "");
      response.on("end", () => resolve({ status: response.statusCode, body: text, cookie }));
    })
      .on("error", reject)
      .end(body);
  });
}

const uiClient = { client: { id: "webchat-ui", version: "1", platform: "linux", mode: "webchat" } };
const password = { auth: { password: proxied.auth.password } };

test("auth (13): behind the proxy its users come in, and nobody else by any header (A-008, A-009)", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: { gateway: proxied } });
  const { port } = gateway;
  const me = await connect(port, { ...from("me@example.com"), origin: "https://gw.example" }, uiClient);
  assert.deepEqual(
    [me.ok, me.payload?.auth.method, me.payload?.auth.scopes],
    [true, "trusted-proxy", ["operator.read"]],
  );
  const capped = await connect(port, { ...from("me@example.com"), "x-openclaw-scopes": "" }, uiClient);
  assert.deepEqual(capped.payload.auth.scopes, []);

  const code = async (headers: Headers, params: object = uiClient) =>
    (await connect(port, headers, params)).error?.details.code;
  assert.equal(await code(from("you@example.com")), "AUTH_TRUSTED_PROXY_USER_NOT_ALLOWED");
  assert.equal(await code(forwarded), "AUTH_IDENTITY_HEADER_REQUIRED");
  assert.equal(await code(from(" ")), "AUTH_IDENTITY_HEADER_REQUIRED");
  assert.equal(await code(from("me@example.com, you@example.com")), "AUTH_IDENTITY_HEADER_REQUIRED");
  assert.equal(await code({ "x-user": "me@example.com" }), "AUTH_TRUSTED_PROXY_UNTRUSTED_SOURCE");
  // From a program on this machine that does not say for whom it speaks.
  assert.equal((await connect(port, { "x-forwarded-user": "me@example.com" })).status, 403);
  const twice = { ...forwarded, "X-Forwarded-User": ["me@example.com", "you@example.com"] };
  assert.equal((await connect(port, twice)).status, 400);

  // The password is for this machine itself: no forwarded caller gets in by it.
  assert.equal(await code(forwarded, password), "AUTH_IDENTITY_HEADER_REQUIRED");
  assert.equal((await connect(port, {}, password)).payload.auth.method, "password");
  for (const header of [{ "x-real-ip": "203.0.113.9" }, { forwarded: "for=203.0.113.9" }])
    assert.equal((await connect(port, header as unknown as Headers, password)).status, 403);
});

test("auth (13): over HTTP the proxy's user is the operator, another site's page is nobody (A-008, A-026)", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: { gateway: proxied } });
  const models = (headers: Headers) => ask(gateway.port, "/v1/models", headers);
  assert.equal((await models(from("me@example.com"))).status, 200);
  const refused = await models(from("you@example.com"));
  assert.equal(refused.status, 401);
  assert.equal(JSON.parse(refused.body).error.code, "auth.trusted_proxy_user_not_allowed");
  assert.equal((await models({ ...from("me@example.com"), "x-openclaw-scopes": "" })).status, 403);
  assert.equal(
    (await models({ ...forwarded, authorization: `Bearer ${proxied.auth.password}` })).status,
    401,
  );
  assert.equal((await models({ authorization: `Bearer ${proxied.auth.password}` })).status, 200);
  assert.equal((await models({})).status, 401);
  const foreign = { ...from("me@example.com"), origin: "https://evil.example" };
  assert.equal((await models(foreign)).status, 403);
  assert.equal((await ask(gateway.port, "/v1/chat/completions", foreign, "{}")).status, 403);
  // A page behind the proxy is signed in without a cookie, and the proxy's https keeps its cookies from http.
  assert.equal((await ask(gateway.port, "/auth/session", from("me@example.com"))).status, 200);
  assert.equal((await ask(gateway.port, "/auth/session", from("you@example.com"))).status, 401);
});

test("auth (13): who comes from this machine's own address, or from loopback without leave, is not the proxy", async (t) => {
  if (ownAddress === undefined) return t.skip("this machine has no address but loopback");
  const { allowLoopback, ...trustedProxy } = proxied.auth.trustedProxy;
  const gateway = await GatewayProcess.start(t, {
    config: {
      gateway: {
        ...proxied,
        bind: "lan",
        trustedProxies: ["127.0.0.1", ownAddress],
        auth: { ...proxied.auth, trustedProxy },
      },
    },
  });
  const authReason = async (host: string) =>
    (await connect(gateway.port, from("me@example.com"), uiClient, host)).error?.details.authReason;
  assert.equal(await authReason("127.0.0.1"), "trusted_proxy_loopback_source");
  assert.equal(await authReason(ownAddress), "trusted_proxy_local_interface_source");
  const http = await ask(gateway.port, "/v1/models", from("me@example.com"), undefined, ownAddress);
  assert.equal(http.status, 401);
});

test("auth (13): a user who is taken off the list loses his socket; a mode that cannot work does not start", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: { gateway: proxied } });
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/`, {
    headers: from("me@example.com") as Record<string, string>,
  });
  const closed = once(socket, "close");
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data));
    const params = { ...connectParams({}), ...uiClient };
    if (frame.event === "connect.challenge")
      socket.send(JSON.stringify({ type: "req", id: "1", method: "connect", params }));
    if (frame.id === "1") {
      assert.equal(frame.ok, true);
      const trustedProxy = { ...proxied.auth.trustedProxy, allowUsers: ["you@example.com"] };
      void gateway.writeConfig({ gateway: { ...proxied, auth: { ...proxied.auth, trustedProxy } } });
    }
  });
  const [code] = await closed;
  assert.equal(code, 4001);
  assert.equal(
    (await connect(gateway.port, from("me@example.com"), uiClient)).error.details.code,
    "AUTH_TRUSTED_PROXY_USER_NOT_ALLOWED",
  );
  for (const [change, said] of [
    [{ auth: { ...proxied.auth, token: gatewayToken } }, /a shared token is also configured/],
    [{ trustedProxies: [] }, /needs the proxy's address in gateway\.trustedProxies/],
    [{ auth: { mode: "trusted-proxy" } }, /needs trustedProxy\.userHeader/],
  ] as const) {
    const wrong = await GatewayProcess.prepare(t, { config: { gateway: { ...proxied, ...change } } });
    const failed = await wrong.startFails();
    assert.match(failed.stderr + failed.stdout, said);
  }
});

test("auth (14): a provider's assertion is verified with the keys of its https address", async (t) => {
  const provider = selfSigned({
    names: ["localhost"],
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 86_400_000,
    random: systemRandom,
  });
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keySet = {
    keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid: "k", use: "sig", alg: "ES256" }],
  };
  let asked = 0;
  const server = createServer({ cert: provider.cert, key: provider.key }, (_request, response) => {
    asked += 1;
    response.end(JSON.stringify(keySet));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const issuer = `https://localhost:${(server.address() as { port: number }).port}`;
  const assertion = { provider: "cloudflare", audience: "aud", issuer };
  const gateway = await GatewayProcess.prepare(t, {
    config: {
      gateway: {
        ...proxied,
        auth: {
          ...proxied.auth,
          trustedProxy: { allowUsers: ["me@example.com"], allowLoopback: true, assertion },
        },
      },
    },
    env: { NODE_EXTRA_CA_CERTS: "provider.pem" },
  });
  await writeFile(join(gateway.folder, "provider.pem"), provider.cert);
  await gateway.start();
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = (claims: object, kid = "k", alg = "ES256") => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const text = `${part({ alg, kid })}.${part({ iss: issuer, aud: ["aud"], exp, email: "me@example.com", ...claims })}`;
    const key = { key: keys.privateKey, dsaEncoding: "ieee-p1363" } as const;
    return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
  };
  const reason = async (value: string | undefined) => {
    const headers = {
      ...from("me@example.com"),
      ...(value === undefined ? {} : { "cf-access-jwt-assertion": value }),
    };
    const answer = await connect(gateway.port, headers, uiClient);
    return answer.ok ? answer.payload.auth.method : answer.error.details.authReason;
  };
  assert.equal(await reason(undefined), "assertion_missing");
  assert.equal(await reason(token({})), "trusted-proxy");
  assert.equal(await reason(token({ aud: "other" })), "assertion_invalid");
  assert.equal(await reason(token({ exp: 1 })), "assertion_invalid");
  assert.equal(await reason(token({ email: "you@example.com" })), "trusted_proxy_user_not_allowed");
  assert.equal(await reason(token({}, "k", "none")), "assertion_invalid");
  assert.equal(await reason(token({}, "invented")), "assertion_key_unknown");
  assert.equal(asked, 1);
  const models = await ask(gateway.port, "/v1/models", {
    ...forwarded,
    "cf-access-jwt-assertion": token({}),
  });
  assert.equal(models.status, 200);
});

const serving = {
  mode: "local",
  bind: "loopback",
  tailscale: { mode: "serve" },
  http: { endpoints: { chatCompletions: { enabled: true } } },
  auth: { mode: "token", token: gatewayToken },
};
const served = (login?: string, address = "100.64.0.9"): Headers => ({
  host: "gw.tail1234.ts.net",
  "x-forwarded-for": address,
  "x-forwarded-proto": "https",
  ...(login === undefined ? {} : { "tailscale-user-login": login }),
});

/** A page with a device of its own, and no secret. */
const devicePage = (nonce: string) =>
  new TestDevice().params(nonce, { clientId: "webchat-ui", mode: "webchat", scopes: ["operator.read"] });

async function startServed(t: TestContext, more: object = {}) {
  const tailnet = await fakeTailnet(t);
  await tailnet.tell({ logins: { "100.64.0.9": "me@github" } });
  const gateway = await GatewayProcess.start(t, {
    config: { gateway: { ...serving, ...more } },
    env: { PATH: `${tailnet.path}:/usr/bin:/bin` },
  });
  const call = (await tailnet.calls()).find((line) => line.includes("http://127.0.0.1"));
  const entrance = Number(/127\.0\.0\.1:(\d+)/.exec(call ?? "")?.[1]);
  return { tailnet, gateway, entrance };
}

test("auth (15): tailscale serve has an entrance of its own, and a login counts when whois names it (A-008)", async (t) => {
  const { tailnet, gateway, entrance } = await startServed(t);
  assert.notEqual(entrance, gateway.port);
  const asPage = (headers: Headers) => connect(entrance, headers, devicePage);
  const mine = await asPage(served("me@github"));
  // The login stands for the secret, and not for the device: that waits for an operator.
  assert.equal(mine.error?.details.code, "PAIRING_REQUIRED");
  for (const headers of [served("you@github"), served("me@github", "100.64.0.8"), served()])
    assert.equal((await asPage(headers)).error?.details.code, "AUTH_TOKEN_MISSING");
  assert.equal((await connect(gateway.port, served("me@github"))).status, 403);
  assert.equal((await connect(entrance, {}, { auth: { token: gatewayToken } })).status, 403);
  assert.equal(
    (await connect(entrance, served("me@github"), uiClient)).error.details.code,
    "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
  );
  assert.equal((await ask(entrance, "/v1/models", served("me@github"))).status, 401);
  assert.equal(
    (await ask(entrance, "/v1/models", { ...served(), authorization: `Bearer ${gatewayToken}` })).status,
    200,
  );
  assert.equal((await ask(entrance, "/auth/session", served("me@github"))).status, 401);
  const signIn = { ...served(), "content-type": "application/json" };
  const { status, cookie } = await ask(
    entrance,
    "/auth/sign-in",
    signIn,
    JSON.stringify({ token: gatewayToken }),
  );
  assert.equal(status, 204);
  assert.match(cookie, /; Secure$/);
  await gateway.stop();
  assert.deepEqual((await tailnet.state()).foreground, {}, "the route ended with the gateway");
  // By OPENCLAW_RUN the next gateway finds what this one left running.
  assert.doesNotMatch(await tailnet.environment(), /OPENCLAW_(?!RUN\b)|HOME|TOKEN/);
});

test("auth (9): who signs in while the config changes has to begin again, and is not forgotten by what that ends (A-005)", async (t) => {
  const { tailnet, gateway, entrance } = await startServed(t);
  const old = { auth: { token: gatewayToken } };
  const came = async () =>
    (await tailnet.calls()).filter((line) => line.includes("whois")).length === 1 ? true : undefined;
  await tailnet.tell({ ...(await tailnet.state()), holdsWhois: true });
  const held = connect(entrance, served("me@github"), old);
  while (!(await came()));
  const token = `${gatewayToken}-2`;
  await gateway.writeConfig({ gateway: { ...serving, auth: { mode: "token", token } } });
  while (!(await connect(gateway.port, {}, { auth: { token } })).ok);
  await tailnet.tell({ ...(await tailnet.state()), holdsWhois: false, logins: {} });
  const answer = await held;
  assert.equal(answer.ok, false);
  assert.match(answer.error.message, /configuration has changed; connect again/);
});

test("network (7): tailscale that cannot do what was asked stops the start, and says why (A-017)", async (t) => {
  const tailnet = await fakeTailnet(t);
  const env = { PATH: `${tailnet.path}:/usr/bin:/bin` };
  const said = async (state: object, gateway: object, path = env) => {
    await tailnet.tell({ ...state });
    const wrong = await GatewayProcess.prepare(t, {
      config: { gateway: { ...serving, ...gateway } },
      env: path,
    });
    const failed = await wrong.startFails();
    return failed.stderr + failed.stdout;
  };
  assert.match(await said({}, {}, { PATH: "/nonexistent" }), /no program "tailscale" in PATH/);
  assert.match(await said({ backend: "NeedsLogin" }, {}), /not connected \(NeedsLogin\); run: tailscale up/);
  assert.match(await said({ refuses: "Serve is not enabled on your tailnet." }, {}), /Serve is not enabled/);
  assert.match(await said({ alwaysPublic: true }, {}), /opens gw\.tail1234\.ts\.net:443 to the internet/);
  const funnel = { tailscale: { mode: "funnel" } };
  assert.match(await said({}, funnel), /it needs gateway\.auth\.mode "password"/);
  assert.match(
    await said({}, { ...funnel, auth: { mode: "none" } }),
    /it needs gateway\.auth\.mode "password"/,
  );
  assert.match(await said({}, { auth: { mode: "none" } }), /everybody in the tailnet would be the owner/);
  assert.match(await said({}, { bind: "lan" }), /needs bind "loopback"/);
});

test("auth (15): funnel opens with a password, has no identities, and is taken back on exit where that is asked", async (t) => {
  const auth = { mode: "password", password: "password-for-the-internet-0123456" };
  const tailscale = { mode: "funnel", resetOnExit: true };
  const { tailnet, gateway, entrance } = await startServed(t, { tailscale, auth });
  const page = await connect(entrance, served("me@github"), devicePage);
  assert.equal(page.error?.details.authReason, "token_missing");
  const right = await connect(entrance, served(undefined, "203.0.113.9"), {
    auth: { password: auth.password },
  });
  assert.deepEqual([right.ok, right.payload?.auth.scopes], [true, []]);
  await gateway.stop();
  assert.equal((await tailnet.calls()).at(-1), '["funnel","reset"]');
});
