import assert from "node:assert/strict";
import { mkdtemp, realpath, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Clock, systemClock } from "../kernel/mod.ts";
import { loadConfig } from "./load.ts";
import { reloadKind } from "./reload-kinds.ts";
import { type ConfigChange, type ConfigWatch, watchConfig } from "./watch.ts";

let folder = "";
let file = "";
let watched: ConfigWatch | undefined;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "config-")));
  file = join(folder, "openclaw.json");
});
afterEach(async () => {
  watched?.close();
  await rm(folder, { recursive: true });
});

/** A watch whose settling time passes when the test says so. */
async function start(text: string) {
  await writeFile(file, text);
  const deps = { file, env: {} };
  const current = await loadConfig(deps);
  assert.ok(current.ok);
  const events: unknown[] = [];
  let action: (() => void) | undefined;
  let armed = (): void => {};
  const clock: Clock = {
    ...systemClock,
    after(_delayMs, next) {
      action = next;
      armed();
      return () => {
        action = undefined;
      };
    },
  };
  const watch = watchConfig({
    load: deps,
    current,
    clock,
    onChange: (change) => {
      events.push(change);
    },
    onInvalid: (problems) => {
      events.push(problems.map((problem) => problem.path).join());
    },
  });
  watched = watch;
  return {
    events,
    watch,
    /** Runs `change` and waits until the watch has noticed it and begun to settle. */
    async notices(change: () => Promise<void>) {
      const seen = new Promise<void>((resolve) => {
        armed = resolve;
      });
      await change();
      await seen;
      assert.equal(events.length, 0, "reloaded before the files were quiet");
      action?.();
    },
  };
}

test("a file renamed over the config is noticed, settles, and its changes are classified", {
  timeout: 10_000,
}, async () => {
  const { events, watch, notices } = await start('{"gateway":{"port":1},"logging":{"level":"info"}}');
  await notices(async () => {
    await writeFile(join(folder, "new"), '{"gateway":{"port":2},"logging":{"level":"debug"}}');
    await rename(join(folder, "new"), file);
  });
  await watch.reload();
  const change = events[0] as ConfigChange;
  assert.deepEqual(change.changes, [
    { path: "gateway.port", kind: "restart" },
    { path: "logging.level", kind: "hot" },
  ]);
  assert.equal(change.kind, "restart");
  assert.equal(change.after.config.gateway?.port, 2);
});

test("config (7): an invalid edit is reported once and the running config stays", async () => {
  const { events, watch } = await start('{"logging":{"level":"info"}}');
  await writeFile(file, '{"logging":{"level":"loud"}}');
  await watch.reload();
  await watch.reload();
  assert.deepEqual([...events], ["logging.level"]);
  await writeFile(file, '{"logging":{"level":"warn"}}');
  await watch.reload();
  assert.equal((events[1] as ConfigChange).before.config.logging?.level, "info");
});

test("a change that says the same is none", async () => {
  const { events, watch } = await start('{"logging":{"level":"info"}}');
  await writeFile(file, '// comment\n{"logging":{"level":"info"}}');
  await watch.reload();
  assert.deepEqual(events, []);
});

test("the longest prefix decides what a change takes, and the unknown takes a restart", () => {
  const table: [string, string][] = [
    ["gateway.port", "restart"],
    ["gateway.auth.mode", "restart"],
    ["gateway.auth.token", "hot"],
    ["gateway.controlUi.allowedOrigins", "hot"],
    ["gateway.controlUi.basePath", "restart"],
    ["discovery.mdns.mode", "hot"],
    ["discovery.wideArea", "restart"],
    ["secrets.egressProxy.enabled", "restart"],
    ["agents.list.0.model", "hot"],
    ["meta.lastTouchedAt", "none"],
    ["constructor", "restart"],
  ];
  for (const [path, kind] of table) assert.equal(reloadKind(path.split(".")), kind, path);
});
