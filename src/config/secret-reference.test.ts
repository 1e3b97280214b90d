import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "./schema/mod.ts";
import { providerOf, referencesIn, type SecretReference, type Secrets } from "./secret-reference.ts";

const secrets: Secrets = {
  providers: {
    default: { source: "exec", command: "/bin/vault" },
    files: { source: "file", path: "/s.json" },
  },
  defaults: { file: "files" },
};

const said = (reference: SecretReference, given?: Secrets) => {
  const meant = providerOf(reference, given);
  return "why" in meant ? meant.why : meant.provider.source;
};

test("config (3): a reference needs an id of its source's grammar and a provider of its source", () => {
  for (const [reference, expected] of [
    [{ source: "env", id: "TOKEN" }, /is of the source "exec"/],
    [{ source: "exec", id: "team/vault#token" }, /^exec$/],
    [{ source: "file", id: "/a/b~1c" }, /^file$/],
    [{ source: "file", id: "value" }, /^file$/],
    [{ source: "file", provider: "default", id: "/a" }, /is of the source "exec"/],
    [{ source: "exec", provider: "none", id: "x" }, /no secrets\.providers\.none/],
    [{ source: "exec", provider: "constructor", id: "x" }, /no secrets\.providers\.constructor/],
    [{ source: "store", id: "TOKEN" }, /not available yet/],
  ] as const)
    assert.match(said(reference, secrets), expected, JSON.stringify(reference));
  assert.equal(said({ source: "env", id: "TOKEN" }), "env", "the environment needs no provider");
  assert.match(said({ source: "env", provider: "other", id: "TOKEN" }), /no secrets\.providers\.other/);
  assert.match(said({ source: "file", id: "/a" }), /no secrets\.providers\.default/);
  for (const [source, ids] of Object.entries({
    env: ["token", "A\nB", "A B", "", "A".repeat(129), "1A"],
    file: ["a", "", "/a~2", "/a\nb", "values", "/a~"],
    exec: ["../../bin/sh", "a/../b", "./a", "a/..", "-x", "a b", "a\nb", "a;b", "", "a".repeat(257)],
    store: ["x"],
  }))
    for (const id of ids)
      assert.match(
        said({ source: source as "env", id }, secrets),
        /is no id of the source/,
        `${source} ${id}`,
      );
});

test("config (3): references of the gateway's own secrets are found, also as $NAME; of other text none is made", () => {
  const reference = { source: "exec", provider: "vault", id: "x" } as const;
  const config: OpenClawConfig = {
    gateway: { auth: { token: reference, password: "$GATEWAY_PASSWORD" } },
    hooks: { token: "pa$WORD" },
  };
  assert.deepEqual(
    referencesIn(config).map((item) => [item.path.join("."), item.reference]),
    [
      ["gateway.auth.token", reference],
      ["gateway.auth.password", { source: "env", id: "GATEWAY_PASSWORD" }],
    ],
  );
});

test("config (3): references of credentials that a sandbox's proxy injects, and of a search key, are found in every agent", () => {
  const value = { source: "env", id: "TOKEN" } as const;
  const egress = [{ host: "a.test" }, { host: "b.test", inject: { header: "authorization", value } }];
  const config: OpenClawConfig = {
    agents: { defaults: { sandbox: { egress } }, entries: { main: { sandbox: { egress } }, other: {} } },
    tools: { web: { search: { apiKey: value } } },
  };
  assert.deepEqual(
    referencesIn(config).map((item) => item.path.join(".")),
    [
      "tools.web.search.apiKey",
      "agents.defaults.sandbox.egress.1.inject.value",
      "agents.entries.main.sandbox.egress.1.inject.value",
    ],
  );
  const list: OpenClawConfig = { agents: { list: [{ id: "a" }, { id: "b", sandbox: { egress } }] } };
  assert.deepEqual(referencesIn(list)[0]?.path, [
    "agents",
    "list",
    1,
    "sandbox",
    "egress",
    1,
    "inject",
    "value",
  ]);
});
