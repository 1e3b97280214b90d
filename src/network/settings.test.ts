import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { InputError } from "../kernel/mod.ts";
import { networkSettings } from "./settings.ts";

const place = {
  stateFolder: "/state",
  machine: { addresses: ["127.0.0.1", "192.168.1.5"], inContainer: false, hostName: "my-host" },
};

function settings(
  gateway: OpenClawConfig["gateway"],
  env: Readonly<Record<string, string>> = {},
  port?: number,
) {
  return networkSettings({ gateway } as OpenClawConfig, env, port, place);
}

test("network (7): the port is the command's, the environment's, the config's, or the usual one", () => {
  assert.equal(networkSettings({}, {}, undefined, place).port, 18789);
  assert.equal(settings({ port: 1 }).port, 1);
  assert.equal(settings({ port: 1 }, { OPENCLAW_GATEWAY_PORT: "2" }).port, 2);
  assert.equal(settings({ port: 1 }, { OPENCLAW_GATEWAY_PORT: "" }).port, 1);
  assert.equal(settings({ port: 1 }, { OPENCLAW_GATEWAY_PORT: "2" }, 3).port, 3);
  for (const wrong of ["x", "70000", "-1", "1.5"])
    assert.throws(() => settings({}, { OPENCLAW_GATEWAY_PORT: wrong }), InputError, wrong);
});

test("network (7): a bind mode that names no address listens on loopback and says what is wrong", () => {
  const wrong = settings({ bind: "custom" });
  assert.deepEqual(wrong.hosts, ["127.0.0.1"]);
  assert.match(wrong.problems.join(), /customBindHost/);
  assert.deepEqual(settings({ bind: "custom", customBindHost: "192.168.1.5" }).problems, []);
});

test("network (2)(3): origins are taken in their one spelling, and what is none is a problem that trusts nobody", () => {
  const { allowedOrigins, ownNames, problems, warnings } = settings({
    publicOrigin: "https://Public.example/",
    controlUi: {
      allowedOrigins: ["https://Gateway.Example/", "http://a.example:80", "gateway.example", "null"],
    },
  });
  assert.deepEqual(allowedOrigins, ["https://gateway.example", "http://a.example", "https://public.example"]);
  assert.deepEqual(ownNames, ["gateway.example", "a.example", "public.example"]);
  assert.equal(problems.length, 2);
  assert.deepEqual(warnings, []);
  const open = settings({
    controlUi: { allowedOrigins: ["*"], dangerouslyAllowHostHeaderOriginFallback: true },
  });
  assert.deepEqual(open.allowedOrigins, ["*"]);
  assert.deepEqual(open.ownNames, []);
  assert.equal(open.hostHeaderFallback, true);
  assert.equal(open.warnings.length, 2);
});

test("network (1): proxies are addresses and ranges; trusting everybody is said", () => {
  const { trustedProxies, problems, warnings } = settings({
    trustedProxies: ["127.0.0.1", "fd00::/8", "nginx", "0.0.0.0/0"],
  });
  assert.equal(trustedProxies.length, 3);
  assert.match(problems.join(), /"nginx"/);
  assert.match(warnings.join(), /everybody/);
  assert.equal(settings({ allowRealIpFallback: true }).allowRealIpFallback, true);
  assert.equal(settings({}).allowRealIpFallback, false);
});

test("network (10): the certificate's files lie in the state folder unless something else is said", () => {
  assert.equal(settings({ tls: { enabled: false } }).tls, undefined);
  assert.deepEqual(settings({ tls: { enabled: true } }).tls, {
    certFile: "/state/gateway/tls/gateway-cert.pem",
    keyFile: "/state/gateway/tls/gateway-key.pem",
    caFile: undefined,
    autoGenerate: true,
    renews: true,
  });
  const tls = {
    enabled: true,
    autoGenerate: false,
    certPath: "~/c.pem",
    keyPath: "/k.pem",
    caPath: "ca.pem",
  };
  assert.deepEqual(settings({ tls, reload: { mode: "off" } }, { HOME: "/home/me" }).tls, {
    certFile: "/home/me/c.pem",
    keyFile: "/k.pem",
    caFile: "/state/ca.pem",
    autoGenerate: false,
    renews: false,
  });
  assert.equal(settings({ tls }).tls?.certFile, "/state/~/c.pem");
});

test("network (10): a certificate is for every name and address that the gateway answers to", () => {
  const lan = settings({ bind: "lan", publicOrigin: "https://public.example" });
  assert.deepEqual(lan.certificateNames, [
    "localhost",
    "127.0.0.1",
    "::1",
    "my-host",
    "public.example",
    "192.168.1.5",
  ]);
  const odd = { ...place, machine: { ...place.machine, hostName: "host name" } };
  assert.deepEqual(networkSettings({ gateway: { bind: "custom" } }, {}, 0, odd).certificateNames, [
    "localhost",
    "127.0.0.1",
    "::1",
  ]);
});

test("network (4): the deadline for connect is raised by the environment, never lowered", () => {
  assert.equal(settings({}).handshakeTimeoutMs, 15_000);
  assert.equal(settings({}, { OPENCLAW_HANDSHAKE_TIMEOUT_MS: "1" }).handshakeTimeoutMs, 15_000);
  assert.equal(settings({}, { OPENCLAW_HANDSHAKE_TIMEOUT_MS: "20000" }).handshakeTimeoutMs, 20_000);
  assert.equal(settings({}, { OPENCLAW_HANDSHAKE_TIMEOUT_MS: "x" }).handshakeTimeoutMs, 15_000);
});

test("network (7): tailscale opens nothing that its authentication does not cover", () => {
  const table: readonly (readonly [OpenClawConfig["gateway"], string, RegExp | undefined])[] = [
    [{}, "off", undefined],
    [{ tailscale: { mode: "off" }, bind: "lan" }, "off", undefined],
    [{ tailscale: { mode: "serve" } }, "serve", undefined],
    [{ tailscale: { mode: "serve" }, bind: "lan" }, "off", /set gateway.bind to "loopback"/],
    [{ tailscale: { mode: "serve" }, auth: { mode: "none" } }, "off", /would be the owner/],
    [{ tailscale: { mode: "funnel" }, auth: { mode: "token", password: "p" } }, "off", /to "password"/],
    [{ tailscale: { mode: "funnel" } }, "off", /to "password"/],
    [{ tailscale: { mode: "funnel" }, auth: { mode: "none" } }, "off", /to "password"/],
    [{ tailscale: { mode: "funnel" }, auth: { mode: "password" } }, "funnel", undefined],
    [{ tailscale: { mode: "funnel" }, auth: { password: "p" } }, "funnel", undefined],
  ];
  for (const [gateway, mode, problem] of table) {
    const found = settings(gateway);
    assert.equal(found.tailscale, mode, JSON.stringify(gateway));
    if (problem) assert.match(found.problems.join(), problem);
    else assert.deepEqual(found.problems, []);
  }
  const fromEnvironment = settings({ tailscale: { mode: "funnel" } }, { OPENCLAW_GATEWAY_PASSWORD: "p" });
  assert.equal(fromEnvironment.tailscale, "funnel");
});
