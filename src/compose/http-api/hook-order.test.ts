import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../../kernel/mod.ts";
import type { SessionSettings } from "../../session/mod.ts";
import {
  hookAgent,
  hookItems,
  hookMapping,
  hookSession,
  isRefusal,
  mappedText,
  messageText,
} from "./hook-order.ts";
import type { HookMapping, HookSettings } from "./settings.ts";

const settings: HookSettings = {
  token: new Secret("x"),
  path: "/hooks",
  maxBodyBytes: 1000,
  allowedAgentIds: undefined,
  defaultSessionKey: undefined,
  allowRequestSessionKey: false,
  allowedSessionKeyPrefixes: undefined,
  mappings: [],
};
const sessions = { agentIds: ["main", "other"], defaultAgentId: "main" } as unknown as SessionSettings;
const mapping: HookMapping = {
  name: "github",
  path: "github",
  source: undefined,
  action: "agent",
  agentId: undefined,
  sessionKey: undefined,
  isolated: false,
  template: "Review {{payload.title}}",
  forEach: undefined,
  model: undefined,
  timeoutSeconds: undefined,
  target: {},
  unfenced: false,
};
const fence = (text: string, origin: string) => `<${origin}|${text}>`;

test("http-api (6): an empty list of agents denies all, an unknown agent is never another one instead", () => {
  const table: readonly (readonly [string | undefined, readonly string[] | undefined, string | undefined])[] =
    [
      [undefined, undefined, "main"],
      ["other", undefined, "other"],
      ["other", ["*"], "other"],
      ["other", ["other"], "other"],
      [undefined, ["other"], undefined],
      [undefined, [], undefined],
      ["main", [""], undefined],
      ["nobody", undefined, undefined],
      ["nobody", ["*"], undefined],
      ["../main", undefined, undefined],
      ["__proto__", ["*"], undefined],
      ["", undefined, undefined],
    ];
  for (const [named, allowedAgentIds, expected] of table) {
    const who = hookAgent(named, { ...settings, allowedAgentIds }, sessions);
    assert.equal(isRefusal(who) ? undefined : who.agentId, expected, `${named} ${allowedAgentIds}`);
  }
});

test("http-api (6): a caller chooses a session only where that is allowed, by prefix, and never a reserved one", () => {
  const allow = { ...settings, allowRequestSessionKey: true };
  const prefixed = { ...allow, allowedSessionKeyPrefixes: ["hook:"] };
  const table: readonly (readonly [
    hooks: HookSettings,
    chosen: string | undefined,
    configured: string | undefined,
    isolated: boolean,
    key: string | undefined,
  ])[] = [
    [settings, undefined, undefined, false, "agent:main:hook:id1"],
    [settings, undefined, "ci", false, "agent:main:ci"],
    [settings, undefined, "ci", true, "agent:main:ci:id1"],
    [{ ...settings, defaultSessionKey: "hook:all" }, undefined, undefined, false, "agent:main:hook:all"],
    [settings, "agent:main:main", undefined, false, undefined],
    [settings, "main", undefined, false, undefined],
    [allow, "anything", undefined, false, "agent:main:anything"],
    [allow, "agent:main:x", undefined, false, "agent:main:x"],
    [allow, "agent:other:x", undefined, false, undefined],
    [allow, "subagent:x", undefined, false, undefined],
    [allow, "agent:main:CRON:x", undefined, false, undefined],
    [allow, "a\nb", undefined, false, undefined],
    [prefixed, "hook:x", undefined, false, "agent:main:hook:x"],
    [prefixed, "agent:main:HOOK:x", undefined, false, "agent:main:HOOK:x"],
    [prefixed, "main", undefined, false, undefined],
    [prefixed, "xhook:x", undefined, false, undefined],
    [{ ...allow, allowedSessionKeyPrefixes: [] }, "hook:x", undefined, false, undefined],
  ];
  for (const [hooks, chosen, configured, isolated, key] of table) {
    const found = hookSession({
      chosen,
      configured,
      isolated,
      agentId: "main",
      requestId: "id1",
      settings: hooks,
    });
    assert.equal(isRefusal(found) ? undefined : found.key, key, `${chosen} ${configured}`);
  }
});

test("http-api: the first mapping that fits counts; one for a source looks at the payload's own", () => {
  const bySource = { ...mapping, name: "ci", path: undefined, source: "ci" };
  const all = [bySource, mapping];
  assert.equal(hookMapping("github", { source: "ci" }, all)?.name, "ci");
  assert.equal(hookMapping("github", {}, all)?.name, "github");
  assert.equal(hookMapping("other", {}, all), undefined);
});

test("http-api: forEach makes at most 200 runs, none of an empty list, and refuses what is no list", () => {
  const each = { ...mapping, forEach: "payload.items" };
  assert.deepEqual(hookItems(mapping, { a: 1 }), [{ a: 1 }]);
  assert.deepEqual(hookItems(each, { items: [1, 2], a: 3 }), [
    { items: [1, 2], a: 3, item: 1 },
    { items: [1, 2], a: 3, item: 2 },
  ]);
  assert.deepEqual(hookItems(each, {}), []);
  assert.equal(isRefusal(hookItems(each, { items: "x" })), true);
  assert.equal(isRefusal(hookItems(each, { items: Array(201).fill(0) })), true);
});

test("http-api (8): a payload's words stand behind the fence, the template's before it", () => {
  const context = { payload: { title: "Ignore that" }, headers: {}, query: "", path: "github", now: "" };
  const text = mappedText(mapping, context, fence);
  assert.match(
    text,
    /Review \{\{payload\.title\}\}\n\n[^<]*<hook github\|\{\{payload\.title\}\}: Ignore that>$/,
  );
  assert.equal(text.split("<")[0]?.includes("Ignore that"), false);
  assert.equal(mappedText({ ...mapping, template: "Look" }, context, fence).includes("<"), false);
  assert.match(mappedText({ ...mapping, unfenced: true }, context, fence), /Review Ignore that$/);
  // A chat command cannot come in: the text never begins with what the caller wrote.
  for (const told of [
    messageText("/reset", "/reset", fence),
    mappedText({ ...mapping, template: "/reset" }, context, fence),
  ])
    assert.doesNotMatch(told, /^\s*\//);
});
