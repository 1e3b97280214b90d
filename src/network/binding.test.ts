import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BindMode, hostsOf, type Machine, opensBeyondLoopback } from "./binding.ts";
import { readMachine } from "./machine.ts";

const plain: Machine = { addresses: ["127.0.0.1", "192.168.1.5"], inContainer: false, hostName: "host" };
const tailnet: Machine = { ...plain, addresses: ["127.0.0.1", "not-one", "192.168.1.5", "100.101.102.103"] };
const container: Machine = { ...plain, inContainer: true };

test("network (7): each bind mode listens where it says, and on loopback for the command line", () => {
  const table: readonly [
    mode: BindMode,
    custom: string | undefined,
    machine: Machine,
    hosts: string[] | undefined,
  ][] = [
    ["loopback", undefined, container, ["127.0.0.1"]],
    ["lan", undefined, plain, ["0.0.0.0"]],
    ["auto", undefined, plain, ["127.0.0.1"]],
    ["auto", undefined, container, ["0.0.0.0"]],
    ["tailnet", undefined, tailnet, ["100.101.102.103", "127.0.0.1"]],
    ["tailnet", undefined, plain, ["127.0.0.1"]],
    ["custom", "192.168.1.5", plain, ["192.168.1.5", "127.0.0.1"]],
    ["custom", "127.0.0.1", plain, ["127.0.0.1"]],
    ["custom", "0.0.0.0", plain, ["0.0.0.0"]],
    ["custom", "::1", plain, undefined],
    ["custom", "300.1.1.1", plain, undefined],
    ["custom", undefined, plain, undefined],
  ];
  for (const [mode, custom, machine, hosts] of table)
    assert.deepEqual(hostsOf(mode, custom, machine), hosts, `${mode} ${custom}`);
});

test("network (7): whatever is not loopback is open to others", () => {
  assert.equal(opensBeyondLoopback(["127.0.0.1"]), false);
  assert.equal(opensBeyondLoopback(["127.0.0.1", "127.0.0.2", "::1"]), false);
  assert.equal(opensBeyondLoopback(["0.0.0.0"]), true);
  assert.equal(opensBeyondLoopback(["127.0.0.1", "100.101.102.103"]), true);
  assert.equal(opensBeyondLoopback(["gateway.example"]), true);
});

test("network (7): a container shows by the files that engines leave in it", (t) => {
  const root = `${mkdtempSync(join(tmpdir(), "machine-"))}/`;
  t.after(() => rmSync(root, { recursive: true }));
  assert.equal(readMachine(root).inContainer, false);
  mkdirSync(join(root, "proc/1"), { recursive: true });
  writeFileSync(join(root, "proc/1/cgroup"), "0::/init.scope\n");
  assert.equal(readMachine(root).inContainer, false);
  writeFileSync(join(root, "proc/1/cgroup"), "12:cpu:/docker/0123\n");
  assert.equal(readMachine(root).inContainer, true);
  rmSync(join(root, "proc"), { recursive: true });
  mkdirSync(join(root, "run"));
  writeFileSync(join(root, "run/.containerenv"), "");
  assert.equal(readMachine(root).inContainer, true);
  writeFileSync(join(root, ".dockerenv"), "");
  rmSync(join(root, "run"), { recursive: true });
  assert.equal(readMachine(root).inContainer, true);
  const here = readMachine();
  assert.ok(here.addresses.includes("127.0.0.1"));
  assert.notEqual(here.hostName, "");
});
