// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the config's own ${NAME} is what is tested
import assert from "node:assert/strict";
import { test } from "node:test";
import { redactConfig, redacted, restoreRedacted } from "./redact.ts";

const hidden = "hunter2-hunter2";

test("config (4): no secret survives redaction, wherever the format keeps one", () => {
  const config = {
    gateway: { auth: { token: hidden, password: hidden }, remote: { token: hidden }, port: 1 },
    channels: {
      telegram: { botToken: hidden, webhookSecret: hidden, accounts: { b: { botToken: hidden } } },
      slack: { appToken: hidden, signingSecret: hidden },
      email: { password: hidden, imap: { appPassword: hidden } },
    },
    models: {
      providers: {
        x: { apiKey: hidden, headers: { "x-anything": hidden }, baseUrl: `https://u:${hidden}@h/` },
      },
    },
    env: { vars: { OPENAI_API_KEY: hidden, PLAIN: hidden }, MY_SECRET: hidden, OTHER: hidden },
    mcp: {
      servers: {
        a: {
          env: { ANY: hidden },
          args: ["--api-key", hidden, `--token=${hidden}`],
          url: `https://h/?token=${hidden}`,
        },
      },
    },
    hooks: { token: hidden, gmail: { pushToken: hidden } },
    plugins: { entries: { p: { config: { deep: { clientSecret: hidden, password: 7357 } } } } },
    proxy: { proxyUrl: `http://user:${hidden}@proxy:1` },
    messages: { responsePrefix: hidden },
    logging: { redactPatterns: [`Bearer ${hidden}`] },
  };
  const shown = redactConfig(config, [["messages", "responsePrefix"]]);
  assert.doesNotMatch(JSON.stringify(shown), /hunter2|7357/);
  assert.equal((shown as typeof config).gateway.port, 1);
});

test("references say where a secret is and stay; counts of tokens are not secrets", () => {
  const config = {
    gateway: {
      auth: {
        token: "${OPENCLAW_GATEWAY_TOKEN}",
        password: { source: "env", provider: "default", id: "PW" },
      },
    },
    agents: { defaults: { contextTokens: 5, compaction: { keepRecentTokens: 3 } } },
    channels: { telegram: { tokenFile: "/run/token" } },
  };
  assert.deepEqual(redactConfig(config), config);
});

test("config (4): a leaf is judged by where it stands", () => {
  assert.equal(redactConfig(hidden, [], ["gateway", "auth", "token"]), redacted);
  assert.equal(redactConfig(hidden, [], ["gateway", "bind"]), hidden);
});

test("what was redacted comes back from what is stored, by path and by id", () => {
  const stored = {
    a: { token: "1" },
    list: [
      { id: "x", apiKey: "2" },
      { id: "y", apiKey: "3" },
    ],
  };
  const sent = { a: { token: redacted, b: 1 }, list: [{ id: "y", apiKey: redacted }] };
  assert.deepEqual(restoreRedacted(sent, stored), {
    ok: true,
    value: { a: { token: "1", b: 1 }, list: [{ id: "y", apiKey: "3" }] },
  });
  assert.deepEqual(restoreRedacted({ c: redacted }, stored), { ok: false, path: ["c"] });
});
