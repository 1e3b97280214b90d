import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  admits,
  admitsMethod,
  beyondMaker,
  both,
  closed,
  isLimited,
  type LimitedCall,
  type Limits,
  mayCall,
  mayHear,
  mayUseAgent,
  type Reach,
  roles,
  toolsOf,
  unlimited,
} from "./limits.ts";
import { holds } from "./scopes.ts";

const call = (change: Partial<LimitedCall> = {}): LimitedCall => ({
  name: "chat.send",
  handsOutRights: false,
  reach: () => ({ agents: ["main"], channels: [] }),
  ...change,
});
const outcome = (limits: Limits, change: Partial<LimitedCall> = {}) => {
  const verdict = mayCall(limits, call(change));
  return verdict.ok ? "ok" : verdict.reason;
};

test("auth (16): a limit that is absent limits nothing, an empty one admits nothing", () => {
  assert.equal(outcome(unlimited), "ok");
  assert.equal(outcome(closed), "auth.method_not_allowed");
  assert.equal(mayUseAgent(unlimited, "main").ok, true);
  assert.equal(mayUseAgent(closed, "main").ok, false);
  assert.equal(toolsOf(unlimited, "main"), undefined);
  assert.deepEqual(toolsOf({ agents: ["a"] }, "main"), []);
  assert.deepEqual(toolsOf({ agents: ["a"], tools: ["read"] }, "a"), ["read"]);
  assert.equal(isLimited(unlimited), false);
  assert.equal(isLimited({ except: ["*"] }), false);
});

test("auth (16): names are names, and only a star stands for more", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["chat.send", "chat.send", true],
    ["chat.send", "chat.sends", false],
    ["chat.*", "chat.send", true],
    ["chat.*", "chatXsend", false],
    ["*", "anything", true],
    ["a*c", "abbc", true],
    ["a*c", "abcd", false],
    ["a*", "a\nb", true],
    ["(.)", "x", false],
  ];
  for (const [entry, name, expected] of cases)
    assert.equal(admits([entry], name), expected, `${entry} ${name}`);
  assert.equal(admitsMethod({ methods: ["*"], except: ["*.delete"] }, "sessions.delete"), false);
  assert.equal(admitsMethod({ methods: ["*"], except: ["*.delete"] }, "sessions.list"), true);
});

test("auth (17): a limited token calls what it is for, and hands out no rights", () => {
  const about = (agents: Reach["agents"], channels: Reach["channels"] = []) => ({
    reach: () => ({ agents, channels }),
  });
  const cases: readonly (readonly [string, Limits, Partial<LimitedCall>, string])[] = [
    ["another method", { methods: ["health"] }, {}, "auth.method_not_allowed"],
    ["its method", { methods: ["chat.send"] }, {}, "ok"],
    ["its agent", { agents: ["main"] }, {}, "ok"],
    ["another agent", { agents: ["main"] }, about(["work"]), "auth.agent_not_allowed"],
    ["one of two agents", { agents: ["main"] }, about(["main", "work"]), "auth.agent_not_allowed"],
    ["all agents", { agents: ["main"] }, about("all"), "auth.agent_not_allowed"],
    ["no agent", { agents: ["main"] }, about([]), "ok"],
    ["its channel", { channels: ["telegram"] }, about("all", ["telegram"]), "ok"],
    ["another channel", { channels: ["telegram"] }, about([], ["slack"]), "auth.channel_not_allowed"],
    ["all channels", { channels: ["telegram"] }, about([], "all"), "auth.channel_not_allowed"],
    ["what nobody has placed", { agents: ["*"] }, { reach: () => undefined }, "auth.method_not_allowed"],
    ["the same for tools", { tools: ["read"] }, { reach: () => undefined }, "auth.method_not_allowed"],
    ["the same, kept to methods", { methods: ["chat.*"] }, { reach: () => undefined }, "ok"],
    ["rights, limited to tools", { tools: ["read"] }, { handsOutRights: true }, "auth.method_not_allowed"],
    ["rights, limited to methods", { methods: ["*"] }, { handsOutRights: true }, "auth.method_not_allowed"],
    ["rights, not limited", { except: ["x"] }, { handsOutRights: true }, "ok"],
  ];
  for (const [name, limits, change, expected] of cases) assert.equal(outcome(limits, change), expected, name);
});

test("auth (16): a limited token hears of what it could read, and of nothing else", () => {
  const cases: readonly (readonly [string, Limits, string, string | undefined, boolean])[] = [
    ["not limited", {}, "chat", "main", true],
    ["time goes on", closed, "tick", undefined, true],
    ["the end", closed, "shutdown", undefined, true],
    ["its agent", { agents: ["main"] }, "chat", "main", true],
    ["another agent", { agents: ["main"] }, "chat", "work", false],
    ["no agent named", { agents: ["main"] }, "config.changed", undefined, false],
    ["sends only", { methods: ["chat.send"] }, "chat", "main", false],
    ["reads as well", { methods: ["chat.*"] }, "chat", "main", true],
    ["of a channel", { channels: ["telegram"] }, "chat", "main", false],
  ];
  for (const [title, limits, name, agentId, expected] of cases)
    assert.equal(mayHear(limits, { name, agentId }), expected, title);
});

test("auth (17): what a maker gives reaches no further than he does", () => {
  const maker = { scopes: ["operator.write"], limits: { methods: ["chat.*"], except: ["chat.abort"] } };
  const give = (scopes: readonly string[], limits: Limits) => beyondMaker(maker, { scopes, limits });
  assert.equal(give(["operator.read"], { methods: ["chat.s*"], except: ["chat.abort"] }), undefined);
  assert.equal(give(["operator.admin"], { methods: ["chat.send"] }), "operator.admin");
  assert.equal(give([], { except: ["chat.abort"] }), "methods: any");
  assert.equal(give([], { methods: ["*"], except: ["chat.abort"] }), "methods: *");
  assert.equal(give([], { methods: ["chat.send"] }), "methods: chat.abort");
});

test("auth (17): for every limits: who is given less may never call more", () => {
  const entry = fc.constantFrom("*", "a*", "a.*", "a.b", "b", "*.b", "a.b.c");
  const list = fc.option(fc.array(entry, { maxLength: 3 }), { nil: undefined });
  const limits = fc
    .record({
      methods: list,
      agents: list,
      except: fc.option(fc.array(entry, { maxLength: 2 }), { nil: undefined }),
    })
    .map(
      ({ methods, agents, except }): Limits => ({
        ...(methods ? { methods } : {}),
        ...(agents ? { agents } : {}),
        ...(except ? { except } : {}),
      }),
    );
  const name = fc.constantFrom("a", "a.b", "a.b.c", "b", "x.b", "ab");
  fc.assert(
    fc.property(limits, limits, name, name, fc.boolean(), (outer, inner, method, agent, handsOutRights) => {
      if (beyondMaker({ scopes: [], limits: outer }, { scopes: [], limits: inner }) !== undefined) return;
      const asked = { name: method, handsOutRights, reach: () => ({ agents: [agent], channels: [] }) };
      if (mayCall(inner, asked).ok) assert.ok(mayCall(outer, asked).ok);
    }),
    { numRuns: 2000 },
  );
});

test("auth (16): what two authors may both have done is what each of them may", () => {
  const a = { tools: ["read", "web*"], agents: ["main"], except: ["x"] };
  const b = { tools: ["*", "edit"], channels: [] };
  assert.deepEqual(both(a, b), { tools: ["read", "web*"], agents: ["main"], channels: [], except: ["x"] });
  assert.deepEqual(both(b, a), { tools: ["read", "web*"], agents: ["main"], channels: [], except: ["x"] });
  assert.deepEqual(both({}, {}), {});
  assert.deepEqual(both({ tools: ["read"] }, { tools: ["write"] }).tools, []);
});

test("roles: an owner does all, an admin deletes nothing and lets nobody in, a viewer reads", () => {
  const { owner, admin, viewer } = roles;
  assert.ok(holds(owner.scopes, "operator.talk.secrets") && admitsMethod(owner.limits, "sessions.delete"));
  assert.ok(holds(admin.scopes, "operator.admin") && admitsMethod(admin.limits, "config.patch"));
  for (const method of ["sessions.delete", "tokens.create", "device.pair.approve", "dashboard.ticket"])
    assert.equal(admitsMethod(admin.limits, method), false, method);
  assert.equal(beyondMaker(admin, owner), "methods: *.delete");
  assert.ok(holds(viewer.scopes, "operator.read"));
  for (const scope of ["operator.write", "operator.admin", "operator.approvals", "operator.pairing"] as const)
    assert.equal(holds(viewer.scopes, scope), false, scope);
});
