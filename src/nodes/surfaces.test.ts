/** What is approved for a node: it never grows by what a node says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Clock, type Random, silentLog } from "../kernel/mod.ts";
import { effectiveSurface, isCovered, type Surface } from "./command-policy.ts";
import { createRepeats } from "./repeats.ts";
import { openSurfaces } from "./surfaces.ts";

const clock: Clock = { now: () => 1, monotonic: () => 1, after: () => () => {} };

function counting(): Random {
  let drawn = 0;
  return {
    bytes(length) {
      const bytes = Buffer.alloc(Math.max(length, 4));
      bytes.writeUInt32BE(++drawn);
      return bytes.subarray(0, length);
    },
  };
}

async function surfaces(initial?: unknown) {
  const file = { value: initial, writes: 0 };
  const told: string[] = [];
  const opened = await openSurfaces({
    file: {
      read: async () => file.value,
      async write(value) {
        file.value = JSON.parse(JSON.stringify(value));
        file.writes += 1;
      },
      watch: () => () => {},
    },
    clock,
    random: counting(),
    log: silentLog,
    events: {
      requested: (node, pending) =>
        void told.push(`requested ${node.nodeId.slice(0, 1)} ${pending.requestId}`),
      resolved: (_nodeId, requestId, decision) => void told.push(`${decision} ${requestId}`),
      changed: () => {},
    },
  });
  return { ...opened, file, told };
}

const node = { nodeId: "a".repeat(64), pairedAtMs: 1 };
const surface = (...commands: string[]): Surface => ({ caps: [], commands, permissions: {} });
const names = fc.uniqueArray(fc.constantFrom("system.run", "system.which", "camera.snap"), { maxLength: 3 });

test("nodes (3): whatever a node declares, in whatever order, it holds what a person approved and no more", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom("declare", "approve", "reject"), names, fc.boolean()), {
        maxLength: 12,
      }),
      async (steps) => {
        const { declare, approve, reject, get } = await surfaces();
        const allowed = new Set<string>();
        let latest = surface();
        for (const [step, commands, permission] of steps) {
          const pending = get(node.nodeId)?.pending;
          if (step === "declare") {
            latest = { caps: commands, commands, permissions: { camera: permission } };
            await declare(node, latest, "1", false);
          } else if (pending && step === "approve") {
            for (const command of pending.commands) allowed.add(command);
            await approve(pending.requestId);
          } else if (pending) await reject(pending.requestId);
          const approved = get(node.nodeId)?.approved;
          const inForce = effectiveSurface(latest, approved);
          for (const command of [...(approved?.commands ?? []), ...inForce.commands])
            assert.ok(allowed.has(command), command);
          for (const command of inForce.commands) assert.ok(latest.commands.includes(command));
          if (inForce.permissions.camera) assert.equal(approved?.permissions.camera, true);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("nodes (3): the same ask keeps its request, another one takes its place, less than approved needs none", async () => {
  const { declare, approve, get, told, file } = await surfaces();
  const pendingId = () => get(node.nodeId)?.pending?.requestId;
  await declare(node, surface("system.which"), "1", false);
  const first = pendingId();
  const { writes } = file;
  await declare(node, surface("system.which"), "1", false);
  assert.equal(pendingId(), first);
  assert.equal(file.writes, writes, "nothing new, nothing written");
  await declare(node, surface("system.which", "system.run"), "1", false);
  const second = pendingId();
  assert.notEqual(second, first);
  assert.ok(told.includes(`rejected ${first}`));
  assert.equal(await approve(first ?? ""), undefined, "what was replaced approves nothing");
  await approve(second ?? "");
  await declare(node, surface("system.which"), "2", false);
  assert.equal(pendingId(), undefined);
  assert.deepEqual(get(node.nodeId)?.approved?.commands, ["system.which", "system.run"]);
});

test("nodes (5): a setup code approves the first surface only; a device that was paired anew starts over", async () => {
  const { declare, get, keepOnly, told } = await surfaces();
  await declare(node, surface("system.run"), "1", true);
  assert.equal(get(node.nodeId)?.approved?.approvedVia, "setup-code");
  await declare(node, surface("system.run", "camera.snap"), "1", true);
  assert.deepEqual(get(node.nodeId)?.approved?.commands, ["system.run"]);
  await declare({ ...node, pairedAtMs: 2 }, surface("system.run"), "1", false);
  assert.equal(get(node.nodeId)?.approved, undefined);
  await keepOnly([]);
  assert.equal(get(node.nodeId), undefined);
  assert.ok(told.some((line) => line.startsWith("removed")));
});

test("nodes (10): a file of another shape, or with one node twice, allows nothing and is not overwritten", async () => {
  const record = { ...node, approved: { ...surface("system.run"), approvedAtMs: 1, approvedVia: "owner" } };
  const good = await surfaces({ version: 1, nodes: [record] });
  assert.ok(good.get(node.nodeId)?.approved);
  for (const bad of [{ nodes: [record, record] }, { nodes: [{ ...record, approved: [] }] }, [], null]) {
    const { get, declare, file } = await surfaces(bad);
    assert.equal(get(node.nodeId), undefined);
    await assert.rejects(declare(node, surface("system.run"), "1", true), /surfaces\.json/);
    assert.equal(file.writes, 0);
  }
});

test("nodes (2): a surface covers itself and less, and nothing more", () => {
  fc.assert(
    fc.property(names, names, (a, b) => {
      const isSubset = a.every((command) => b.includes(command));
      assert.equal(isCovered(surface(...a), surface(...b)), isSubset);
      assert.equal(isCovered(surface(...a), undefined), false);
    }),
  );
});

test("nodes (7): what failed before it began may be tried again; what began may not", async () => {
  const repeats = createRepeats<string>({
    clock,
    sizeOf: (result) => (result === "never sent" ? undefined : 1),
  });
  let begun = 0;
  const begin = (result: string) => () => {
    begun += 1;
    return Promise.resolve(result);
  };
  assert.equal(await repeats.once("k", "x", begin("never sent")), "never sent");
  assert.equal(await repeats.once("k", "x", begin("done")), "done");
  assert.equal(await repeats.once("k", "x", begin("again")), "done");
  assert.equal(await repeats.once("k", "y", begin("other")), "conflict");
  await assert.rejects(repeats.once("f", "x", () => Promise.reject(new Error("fault"))));
  assert.equal(begun, 2);
  // More than are kept: the oldest results go, and still nothing runs twice.
  for (let index = 0; index < 600; index += 1) await repeats.once(`m${index}`, "x", begin("ok"));
  const before = begun;
  assert.equal(await repeats.once("m0", "x", begin("ok")), "forgotten");
  assert.equal(begun, before);
});
