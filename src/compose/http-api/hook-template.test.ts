import assert from "node:assert/strict";
import { test } from "node:test";
import { type HookContext, renderTemplate, templateNames } from "./hook-template.ts";

const context: HookContext = {
  payload: JSON.parse(
    '{"title":"T","n":3,"none":null,"user":{"name":"ada"},"messages":[{"from":"a@x"},{"from":"b@x"}],"__proto__":{"admin":true},"constructor":"c"}',
  ),
  headers: { "x-event": "push", authorization: "Bearer s", cookie: "c", "x-openclaw-token": "s" },
  query: "q=1&q=2&empty=&token=t",
  path: "github",
  now: "2026-01-01T00:00:00.000Z",
};

const rendered: readonly (readonly [template: string, text: string])[] = [
  ["{{payload.title}} by {{ payload.user.name }}", "T by ada"],
  ["{{title}} {{messages[1].from}} {{payload.messages[0].from}}", "T b@x a@x"],
  ["{{payload.n}} {{payload.user}} {{payload.none}}|", '3 {"name":"ada"} |'],
  ["{{headers.X-Event}} {{query.q}} {{path}} {{now}}", "push 1 github 2026-01-01T00:00:00.000Z"],
  ["[{{payload.missing.deeper}}{{messages[9].from}}{{query.none}}{{headers.none}}]", "[]"],
  // What proves the sender is nobody's to read.
  ["[{{headers.authorization}}{{headers.Cookie}}{{headers.x-openclaw-token}}]", "[]"],
  // Attack A-228: no way behind the values, and nothing is called.
  ["[{{__proto__.x}}{{payload.__proto__}}{{payload.__proto__.admin}}{{constructor}}]", "[]"],
  ["[{{payload.constructor.name}}{{payload.title.constructor}}{{payload.title.length}}{{toString}}]", "[]"],
  ["[{{constructor.constructor('return process')()}}{{payload.title()}}{{payload['title']}}]", "[]"],
  ["{{ {{payload.title}} }} {payload.title} {{}}", "{{ T }} {payload.title} {{}}"],
];

test("http-api (8): templates read own members only, and call nothing", () => {
  for (const [template, text] of rendered) assert.equal(renderTemplate(template, context), text, template);
  assert.equal(({} as { admin?: unknown }).admin, undefined);
});

test("http-api (8): what a payload holds is not a template", () => {
  const payload = { title: "{{headers.x-event}} $& $1" };
  assert.equal(renderTemplate("{{payload.title}}", { ...context, payload }), "{{headers.x-event}} $& $1");
});

test("http-api: each name of a template once, in order", () => {
  assert.deepEqual(templateNames("{{a}} {{ b.c }} {{a}}"), ["a", "b.c"]);
});
