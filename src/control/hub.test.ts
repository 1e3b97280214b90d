import assert from "node:assert/strict";
import { test } from "node:test";
import { makePrincipal } from "../auth/principal.ts";
import { holds } from "../auth/scopes.ts";
import { type Audience, createHub, type Subscriber } from "./hub.ts";

function listener(
  scopes: readonly string[],
  change: Partial<Subscriber> & { buffered?: number; role?: "node"; deviceId?: string; method?: string } = {},
) {
  const { buffered = 0, role, deviceId, method = "token", ...more } = change;
  const frames: { event: string; seq: number }[] = [];
  const socket = { send: (text: string) => void frames.push(JSON.parse(text)), bufferedBytes: buffered };
  const facts = { ...(role ? { role } : {}), ...(deviceId === undefined ? {} : { deviceId }) };
  const subscriber: Subscriber = {
    id: scopes.join(),
    socket: socket as Subscriber["socket"],
    principal: makePrincipal("p", scopes, method, facts),
    caps: new Set(),
    limitKey: "",
    address: "127.0.0.1",
    client: "cli/cli",
    presence: undefined,
    followed: new Set(),
    followsList: false,
    seq: 0,
    ...more,
  };
  return { subscriber, frames };
}

test("control (4): an event reaches whom its audience names, and nobody else", () => {
  const caps = new Set(["approvals"]);
  const who = {
    nobody: listener([]),
    reader: listener(["operator.read"]),
    writer: listener(["operator.write"]),
    admin: listener(["operator.admin"]),
    follower: listener(["operator.read"], { followsList: true }),
    inRoom: listener(["operator.read"], { followed: new Set(["room"]) }),
    blindFollower: listener(["operator.pairing"], { followsList: true, followed: new Set(["room"]) }),
    approver: listener(["operator.approvals"], { caps }),
    deafApprover: listener(["operator.approvals"]),
    questioned: listener(["operator.questions"]),
    pairing: listener(["operator.pairing"]),
    ownDevice: listener(["operator.pairing"], { method: "device-token", deviceId: "d" }),
    otherDevice: listener(["operator.pairing"], { method: "device-token", deviceId: "e" }),
    node: listener([], { role: "node" }),
    // Whatever scopes it was given: a node reads nothing.
    greedyNode: listener(["operator.admin"], { role: "node", followsList: true, caps }),
  };
  const readers = ["reader", "writer", "admin", "follower", "inRoom"];
  const pairers = ["admin", "blindFollower", "pairing"];
  const rows: readonly (readonly [Audience, readonly string[]])[] = [
    [{ kind: "everybody" }, Object.keys(who)],
    [{ kind: "readers" }, readers],
    [{ kind: "others" }, Object.keys(who).filter((name) => !readers.includes(name))],
    [{ kind: "listFollowers" }, ["follower"]],
    [{ kind: "followers", sessionKey: "room" }, ["follower", "inRoom"]],
    [{ kind: "followers", sessionKey: "elsewhere" }, ["follower"]],
    [{ kind: "approvers" }, ["approver"]],
    [{ kind: "questioned", agentId: "main" }, ["admin", "questioned"]],
    [{ kind: "pairing" }, [...pairers, "ownDevice", "otherDevice"]],
    [{ kind: "devicePairing", deviceId: "d" }, [...pairers, "ownDevice"]],
    [{ kind: "unheard-of" } as never, []],
  ];
  for (const [audience, names] of rows) {
    const hub = createHub(holds, () => true);
    for (const { subscriber, frames } of Object.values(who)) {
      frames.length = 0;
      subscriber.seq = 0;
      hub.add(subscriber);
    }
    assert.equal(hub.wanted(audience), names.length > 0, audience.kind);
    hub.send("tick", audience, {});
    hub.send("tick", audience, {});
    const got = Object.entries(who).filter(([, { frames }]) => frames.length > 0);
    assert.deepEqual(got.map(([name]) => name).sort(), [...names].sort(), audience.kind);
    for (const [name, { frames }] of got)
      assert.deepEqual(
        frames.map((frame) => frame.seq),
        [1, 2],
        `${name}: numbered without a gap`,
      );
  }
});

test("control (5): figures that come again soon are dropped for a slow reader, without a gap in its numbers", () => {
  const hub = createHub(holds, () => true);
  const slow = listener(["operator.read"], { buffered: 2_000_000 });
  const quick = listener(["operator.read"]);
  for (const { subscriber } of [slow, quick]) hub.add(subscriber);
  hub.send("node.hostStats", { kind: "readers" }, {});
  hub.send("chat", { kind: "readers" }, {});
  hub.send("node.hostStats", { kind: "readers" }, {});
  hub.send("tick", { kind: "readers" }, {});
  const told = (frames: readonly { event: string; seq: number }[]) =>
    frames.map(({ event, seq }) => `${event} ${seq}`);
  assert.deepEqual(told(slow.frames), ["chat 1", "tick 2"]);
  assert.deepEqual(told(quick.frames), ["node.hostStats 1", "chat 2", "node.hostStats 3", "tick 4"]);
});

test("control (4): how a question ended reaches only who may hear of its agent, though it does not name it", () => {
  const hub = createHub(holds, ({ agents }, { agentId }) => agents === undefined || agents[0] === agentId);
  const limited = (agent: string) =>
    listener([], {
      principal: makePrincipal("p", ["operator.questions"], "token", { limits: { agents: [agent] } }),
    });
  const [work, home] = [limited("work"), limited("home")];
  for (const { subscriber } of [work, home]) hub.add(subscriber);
  hub.send("question.resolved", { kind: "questioned", agentId: "work" }, { id: "q", status: "expired" });
  assert.deepEqual([work.frames.length, home.frames.length], [1, 0]);
});

test("control (4): who has left gets nothing more", () => {
  const hub = createHub(holds, () => true);
  const { subscriber, frames } = listener([]);
  hub.add(subscriber);
  assert.equal(hub.size, 1);
  hub.remove(subscriber);
  assert.equal(hub.size, 0);
  hub.send("tick", { kind: "everybody" }, {});
  assert.deepEqual(frames, []);
});
