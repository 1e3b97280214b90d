import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import type { HttpHead, HttpRequest } from "../network/mod.ts";
import { createChannels, webhookRoute } from "./channels.ts";
import { lendHelperPrograms } from "./helper-programs.ts";

const head = { path: "/telegram/hook", headers: {} } as HttpHead;

test("channels: a webhook that may still open is asked to come again; one that will not is not there", async () => {
  let expected = true;
  const channels = createChannels({
    expected: () => expected,
    env: {},
    folder: "/nowhere",
    deps: { clock: systemClock, random: systemRandom, log: silentLog },
    log: silentLog,
    accept: () => assert.fail("nothing comes in"),
    changed: () => {},
    newestNumbers: () => new Map(),
    wanted: async () => {},
    extensions: "/nowhere",
    helpers: lendHelperPrograms({ path: "", after: systemClock.after }),
  });
  const route = webhookRoute(channels);
  assert.equal(route.has?.(head.path), true, "the channels have not been looked at yet");
  expected = false;
  assert.equal(route.has?.(head.path), false, "a config without channels opens none");
  expected = true;
  const later = { status: 503, headers: { "retry-after": "1" } };
  assert.deepEqual(await route.before?.(head), later);
  await channels.apply({});
  assert.equal(route.has?.(head.path), false);
  const again = channels.apply({} as OpenClawConfig);
  assert.equal(route.has?.(head.path), true);
  await again;
  assert.equal(route.has?.(head.path), false);
});

test("channels: a webhook that stores nothing now says when to come again", async () => {
  const webhook = {
    path: head.path,
    maxBodyBytes: 10,
    verify: () => ({ ok: true as const, value: undefined }),
    receive: async () => 503,
  };
  const route = webhookRoute({ webhook: () => webhook, isSettled: true });
  assert.equal(await route.before?.(head), undefined);
  const request = { ...head, body: Buffer.from("{}") } as HttpRequest;
  assert.deepEqual(await route.handle(request), { status: 503, headers: { "retry-after": "1" } });
});
