/** Every HTTP route, walked: without credentials, with each wrong scope, over its limit; a route without a row fails. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { holds, operatorScopes, type Scope } from "../../src/auth/mod.ts";
import { webhookRoute } from "../../src/compose/channels.ts";
import { apiRoutes } from "../../src/compose/http-api/mod.ts";
import { pageRoutes } from "../../src/compose/page.ts";
import { probeRoutes } from "../../src/compose/probes.ts";
import { signOutPath } from "../../src/control/mod.ts";
import { systemClock } from "../../src/kernel/mod.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";

const hookToken = "test-hook-token-0123456789abcdef";
const http = { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } };
const hooks = { enabled: true, token: hookToken };

/** method, path, how its caller is proved, bytes of body, and for operators the scope. */
const documented: readonly string[] = [
  "GET /health none 0",
  "GET /healthz none 0",
  "GET /ready none 0",
  "GET /readyz none 0",
  "GET /startupz none 0",
  "GET / none 0",
  "GET /assets/* none 0",
  "GET /auth/session browser-session 0",
  "POST /auth/sign-in none 4096",
  "POST /auth/sign-out browser-session 4096",
  "POST /v1/chat/completions operator 20971520",
  "POST /v1/responses operator 20971520",
  "GET /v1/models operator 0",
  "GET /v1/models/* operator 0",
  "POST /tools/invoke operator 2097152",
  "GET /chat/files operator 0",
  "POST /* operator 262144",
  "POST /* webhook 1048576",
];

const scopeOf: Readonly<Record<string, Scope>> = {
  "/v1/chat/completions": "operator.write",
  "/v1/responses": "operator.write",
  "/tools/invoke": "operator.write",
  "/chat/files": "operator.read",
  "/v1/models": "operator.read",
  "/v1/models/*": "operator.read",
};

function allRoutes() {
  const api = { clock: systemClock, config: () => ({ gateway: { http }, hooks }) };
  return [
    ...probeRoutes(
      () => true,
      () => 0,
      "",
    ),
    ...pageRoutes({} as Parameters<typeof pageRoutes>[0]),
    ...apiRoutes(api as Parameters<typeof apiRoutes>[0]),
    webhookRoute({} as Parameters<typeof webhookRoute>[0]),
  ];
}

interface Asked {
  readonly method: string;
  readonly token?: string;
  readonly contentLength?: number;
}

/** The status of a request; one with a contentLength only says that its body has this size. */
function statusOf(gateway: GatewayProcess, path: string, asked: Asked): Promise<number> {
  const { method, token, contentLength } = asked;
  const headers = {
    "content-type": "application/json",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(contentLength === undefined ? {} : { "content-length": contentLength }),
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port: gateway.port, host: "127.0.0.1", path, method, headers });
    request.on("response", (response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    request.on("error", reject);
    if (contentLength === undefined) request.end(method === "POST" ? "{}" : undefined);
    else request.write("{");
  });
}

const concrete = (path: string) =>
  path.replace("/assets/*", "/assets/none.js").replace("/models/*", "/models/openclaw");

test("network (5): every route has a row that says how its caller is proved and how long its body may be", async () => {
  const routes = allRoutes();
  assert.deepEqual(
    routes.map((row) => `${row.method} ${row.path} ${row.auth} ${row.maxBodyBytes}`),
    documented,
  );
  // What is served is put together from these and from nothing else: another source of routes has to come in here.
  const source = await readFile(join(import.meta.dirname, "../../src/serve.ts"), "utf8");
  const table = /const routes: Route\[\] = \[\n([\s\S]*?)\n {2}\];/.exec(source)?.[1] ?? "";
  const sources = [...table.matchAll(/^ {4}(?:\.\.\.)?(\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(sources, ["probeRoutes", "pageRoutes", "apiRoutes", "webhookRoute"]);
});

test("network (5): without credentials, with each wrong scope and over its limit no route does anything", async (context) => {
  const gateway = await GatewayProcess.start(context, {
    config: {
      gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: gatewayToken }, http },
      hooks,
    },
  });
  const admin = await gateway.connect({ scopes: ["operator.admin"] });
  const tokenWith = async (...scopes: string[]): Promise<string> =>
    (await admin.rpc("tokens.create", { name: scopes.join(" "), scopes })).token;
  const tokens = new Map<Scope, string>();
  for (const scope of operatorScopes) tokens.set(scope, await tokenWith(scope));
  let walked = 0;
  for (const row of allRoutes()) {
    if (row.path === "/*") continue;
    const path = concrete(row.path);
    const { method, maxBodyBytes } = row;
    const name = `${method} ${path}`;
    // Who has no session is signed out already, and nobody else is: test/path/page.test.ts.
    const refusal = path === signOutPath ? 204 : 401;
    if (row.auth !== "none") assert.equal(await statusOf(gateway, path, { method }), refusal, name);
    if (row.auth === "operator") {
      const scope = scopeOf[row.path];
      assert.ok(scope, `${name} is not in the table of scopes`);
      for (const [held, token] of tokens) {
        const status = await statusOf(gateway, path, { method, token });
        assert.equal(status === 403, !holds([held], scope), `${name} with ${held}: ${status}`);
        assert.notEqual(status, 401, `${name} with ${held}`);
      }
      walked += 1;
    }
    if (method === "POST") {
      const token = row.auth === "operator" ? { token: gatewayToken } : {};
      const status = await statusOf(gateway, path, { method, ...token, contentLength: maxBodyBytes + 1 });
      // Where a session is asked for first, its lack is what is answered.
      assert.ok(
        row.auth === "browser-session" ? [401, 413].includes(status) : status === 413,
        `${name} ${status}`,
      );
    }
  }
  assert.equal(walked, Object.keys(scopeOf).length);
  // Hooks: their own secret, and the gateway's opens nothing there.
  for (const path of ["/hooks/wake", "/hooks/agent"]) {
    const method = "POST";
    assert.equal(await statusOf(gateway, path, { method }), 401, path);
    assert.equal(await statusOf(gateway, path, { method, token: gatewayToken }), 401, path);
    assert.equal(
      await statusOf(gateway, path, { method, token: hookToken, contentLength: 262_145 }),
      413,
      path,
    );
  }
  // Nothing was begun: no message came in, no tool was called.
  const rows = (await admin.rpc("audit.list", { limit: 500 })).rows as { action: string; stage: string }[];
  assert.ok(rows.some((row) => row.action === "refuse"));
  for (const row of rows)
    assert.ok(row.action === "refuse" || row.action === "tokens.create", JSON.stringify(row));
});
