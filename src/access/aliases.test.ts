/** An account that has more than one id: a Signal account, whose number is an alias of its uuid. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { factsOf, outcomeOf, settingsOf } from "../../test/support/access.ts";
import { signal } from "../channels/signal/settings.ts";
import type { InboundMessage, Sender } from "../delivery/mod.ts";
import { admitted } from "../kernel/mod.ts";
import { canonical, decide, explain } from "./mod.ts";

const uuid = "uuid:aaaaaaaa-0000-4000-8000-00000000000a";
const other = "uuid:bbbbbbbb-0000-4000-8000-00000000000b";
const number = "+15550000042";

const shown: Sender = { id: uuid, proof: "platform", aliases: { proved: [number], own: [number] } };
const hidden: Sender = { id: uuid, proof: "platform", aliases: { proved: [], own: [number] } };
const heir: Sender = { id: other, proof: "platform", aliases: { proved: [number], own: [] } };
const named: Sender = { id: other, proof: "platform", claimedName: number, claimedHandle: number };
/** What no channel of ours hands in: a number that no account stands behind. */
const numberOnly: Sender = { id: number, proof: "platform" };

const group = { kind: "group", id: "Pmpi+EfPWmsxiomLe9Nx2XF9HOE483p6iKiFj65iMwI=" } as const;
const inGroup = { conversation: group, mentionsBot: true };

function settings(section: object, more: object = {}) {
  return settingsOf({ channels: { signal: section }, ...more }, "default", "signal", signal.ids);
}

function facts(sender: Sender, more: Partial<InboundMessage> = {}, paired: readonly string[] = []) {
  const message = { channel: "signal", sender, ...more };
  return factsOf(message, { paired: new Set(paired) });
}

const dm = { dmPolicy: "allowlist" };
const member = (id: string) => ({
  accessGroups: { team: { type: "message.senders", members: { signal: [id] } } },
});

/** Each list where senders may stand, with `id` in it, and what a message needs to be judged by it. */
const lists: Readonly<Record<string, (id: string) => readonly [ReturnType<typeof settings>, object]>> = {
  allowFrom: (id) => [settings({ ...dm, allowFrom: [id] }), {}],
  "allowFrom, in pairing": (id) => [settings({ dmPolicy: "pairing", allowFrom: [id] }), {}],
  "an access group": (id) => [settings({ ...dm, allowFrom: ["accessGroup:team"] }, member(id)), {}],
  groupAllowFrom: (id) => [settings({ groups: { "*": {} }, groupAllowFrom: [id] }), inGroup],
  "a group's allowFrom": (id) => [settings({ groups: { [group.id]: { allowFrom: [id] } } }), inGroup],
  "an account's allowFrom": (id) => [settings({ ...dm, allowFrom: [id], accounts: { default: {} } }), {}],
  "commands.allowFrom": (id) => [
    settings({ dmPolicy: "open", allowFrom: ["*"] }, { commands: { allowFrom: { signal: [id] } } }),
    { text: "/status" },
  ],
  owners: (id) => [
    settings(
      { dmPolicy: "open", allowFrom: ["*"] },
      { commands: { ownerAllowFrom: [`signal:${id}`], allowFrom: { signal: [] } } },
    ),
    { text: "/restart" },
  ],
};

test("access (13): whichever proved id a list names, it names the sender; a hidden number and a name are none (A-064)", () => {
  for (const [list, of] of Object.entries(lists)) {
    const outcome = (listed: string, sender: Sender) => {
      const [rules, more] = of(listed);
      return outcomeOf(facts(sender, more), rules);
    };
    for (const listed of [number, uuid]) assert.equal(outcome(listed, shown), "admit", `${list}: ${listed}`);
    assert.equal(outcome(uuid, hidden), "admit", list);
    assert.equal(outcome(number, heir), "admit", `${list}: who has the number now is meant`);
    for (const [listed, sender] of [
      [number, hidden],
      [uuid, heir],
      [number, named],
      [uuid, numberOnly],
      ["+15550000099", shown],
    ] as const)
      assert.match(
        outcome(listed, sender),
        /^access\./,
        `${list}: ${listed} is not ${JSON.stringify(sender)}`,
      );
  }
});

test("access (13): what a single direct chat has of its own stands under either id", () => {
  for (const key of [number, uuid]) {
    const rules = settings({ ...dm, allowFrom: ["*"], direct: { [key]: { enabled: false } } });
    assert.equal(outcomeOf(facts(shown), rules), "access.dm_disabled", key);
    assert.equal(
      outcomeOf(facts({ ...named, id: "uuid:cccccccc-0000-4000-8000-00000000000c" }), rules),
      "admit",
    );
  }
});

test("access (13): not even where names count does a name that looks like a listed number stand for it", () => {
  const rules = settings({ ...dm, allowFrom: [number, uuid], dangerouslyAllowNameMatching: true });
  assert.equal(outcomeOf(facts(named), rules), "access.sender_not_listed");
  assert.equal(outcomeOf(facts({ ...named, proof: "none" }), rules), "access.sender_unidentified");
  const unproved = facts({ ...shown, proof: "claimed" });
  assert.equal(outcomeOf(unproved, rules), "access.sender_unidentified", "an alias is proved as the id is");
});

test("access (13): a pairing is the person's: a number that is hidden keeps it, and one that changed hands takes it nowhere", () => {
  const rules = settings({ dmPolicy: "pairing" });
  const outcome = (sender: Sender, paired: string) => outcomeOf(facts(sender, {}, [paired]), rules);
  for (const paired of [uuid, number])
    for (const sender of [shown, hidden]) assert.equal(outcome(sender, paired), "admit", paired);
  assert.equal(outcome(heir, number), "access.sender_unpaired");
  assert.equal(outcome(heir, uuid), "access.sender_unpaired");
  assert.equal(outcome(named, number), "access.sender_unpaired");
  const command = facts(hidden, { text: "/status" }, [number]);
  assert.equal(outcomeOf(command, rules), "admit", "and gives commands");
});

test("access (12): a limit stands under either id; who hides the number or gave it away sheds none", () => {
  const limitsOf = (sender: Sender, toolsBySender: object) => {
    const rules = settings({ ...dm, allowFrom: ["*"] }, { tools: { toolsBySender } });
    const verdict = decide(facts(sender), rules);
    assert.ok(admitted(verdict));
    return verdict.value.tools.map(({ at }) => at.at(-1));
  };
  const deny = { deny: ["exec"] };
  for (const key of [number, `e164:${number}`, `id:${uuid}`, `channel:signal:${number}`])
    assert.deepEqual(limitsOf(shown, { [key]: deny, "*": deny }), [key]);
  assert.deepEqual(
    limitsOf(shown, { [number]: deny, [uuid]: {} }),
    [uuid, number],
    "both, where both are named",
  );
  assert.deepEqual(limitsOf(hidden, { [number]: deny }), [number]);
  assert.deepEqual(
    limitsOf(hidden, { [number]: {}, "*": deny }),
    ["*", number],
    "it frees nobody of the others'",
  );
  assert.deepEqual(limitsOf(heir, { [number]: deny }), [number]);
});

test("access (6): the explanation says which id was listed or paired, and taking that one away ends it", () => {
  const told = (of: ReturnType<typeof facts>, rules: ReturnType<typeof settings>) => {
    const { steps, losses } = explain(of, rules);
    return [steps.find(({ rule }) => rule === "sender")?.facts, losses.map(({ text }) => text)];
  };
  const listed = settings({ ...dm, allowFrom: [number] });
  const off = ["the sender is taken off the list", "the channel is turned off"];
  assert.deepEqual(told(facts(shown), listed), [`${uuid} is listed (id, as ${number})`, off]);
  const byId = settings({ ...dm, allowFrom: [uuid] });
  assert.deepEqual(told(facts(shown), byId), [`${uuid} is listed (id)`, off]);
  const groups = settings({ groups: { "*": {} }, groupAllowFrom: [number] });
  assert.equal(told(facts(shown, inGroup), groups)[0], `${uuid} is listed (id, as ${number})`);
  const back = ["the pairing is taken back", "the channel is turned off"];
  const pairing = settings({ dmPolicy: "pairing" });
  assert.deepEqual(told(facts(hidden, {}, [number]), pairing), [`${uuid} is paired (as ${number})`, back]);
  assert.deepEqual(told(facts(hidden, {}, [uuid]), pairing), [`${uuid} is paired`, back]);
});

test("access (13): ids come in many spellings, and what is no id is no alias", () => {
  const aliases = { proved: ["signal:+1 555 000-0042", "Ada", "*", "group:1"], own: ["", number] };
  const id = "signal:UUID:AAAAAAAA-0000-4000-8000-00000000000A";
  const message = facts({ id, proof: "platform", aliases }).message;
  assert.deepEqual(canonical(message, { channel: "signal", ids: signal.ids }).sender, {
    id: uuid,
    proof: "platform",
    aliases: { proved: [number], own: [number] },
  });
});
