import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keyPart } from "../session/mod.ts";
import { personOf } from "./person.ts";

const identities = new Map([
  ["telegram:42", "ada"],
  ["discord:9911223344", "ada"],
  ["telegram:7", "ben"],
]);

test("privacy: a person is all accounts of one name, by any of them or by the name; what is neither is refused", () => {
  for (const peer of ["telegram:42", "discord:9911223344", "ada"])
    assert.deepEqual([...personOf(peer, identities).accounts].sort(), ["discord:9911223344", "telegram:42"]);
  assert.deepEqual(personOf("telegram:8", identities).accounts, ["telegram:8"]);
  for (const peer of ["", "42", "nobody", "telegram:", ":42", "Telegram 42"])
    assert.throws(() => personOf(peer, identities), /is no account; write <channel>:<sender id>/, peer);
});

test("privacy: what else an account is called is the same person, with what is linked to any of it", () => {
  const uuid = "uuid:aaaaaaaa-0000-4000-8000-00000000000a";
  const links = new Map([...identities, ["signal:+15550000042", "cleo"]]);
  const person = personOf(`signal:${uuid}`, links, ["signal:+15550000042"]);
  assert.deepEqual(person.accounts, [`signal:${uuid}`, "signal:+15550000042"]);
  for (const key of [
    `agent:main:signal:direct:${keyPart(uuid)}`,
    "agent:main:signal:direct:+15550000042",
    "agent:main:direct:person:cleo",
  ])
    assert.ok(person.ownsKey(key), key);
  for (const text of [
    JSON.stringify({ sourceUuid: uuid.slice("uuid:".length) }),
    JSON.stringify({ sourceNumber: "+15550000042" }),
    uuid,
  ])
    assert.ok(person.isNamedIn(text), text);
  assert.equal(person.isNamedIn("signal:uuid:aaaaaaaa-0000-4000-8000-00000000000b"), false);
});

test("privacy: a conversation's key is one's own only when it is whole, and never that of a longer or shorter id", () => {
  const { ownsKey } = personOf("telegram:42", identities);
  for (const key of [
    "agent:main:telegram:direct:42",
    "agent:other:telegram:default:direct:42",
    "agent:main:direct:person:ada",
    "agent:main:discord:direct:9911223344",
  ])
    assert.ok(ownsKey(key), key);
  for (const key of [
    "agent:main:main",
    "agent:main:telegram:direct:421",
    "agent:main:telegram:direct:142",
    "agent:main:irc:direct:42",
    "agent:main:telegram:group:42",
    "agent:main:direct:person:ben",
    "agent:main:telegram:direct:42:topic:1",
    "agent:main:direct:42",
  ])
    assert.equal(ownsKey(key), false, key);
});

test("privacy: a short id counts beside its channel only, a long one wherever it stands alone", () => {
  const short = personOf("telegram:77", new Map());
  for (const text of [
    "telegram:77",
    "from telegram:77, today",
    "agent:main:telegram:direct:77",
    JSON.stringify({ channel: "telegram", senderId: "77" }),
  ])
    assert.ok(short.isNamedIn(text), text);
  for (const text of [
    "77",
    "telegram:770",
    "xtelegram:77",
    JSON.stringify({ channel: "irc", senderId: "77" }),
    JSON.stringify({ channel: "telegram", input: 77 }),
    "agent:main:telegram:direct:770",
  ])
    assert.equal(short.isNamedIn(text), false, text);
  const long = personOf("telegram:774411991", new Map());
  assert.ok(long.isNamedIn('"allowFrom": ["774411991"]'));
  assert.equal(long.isNamedIn("17744119912"), false);
});

test("privacy: whatever a platform's id is made of, it names itself, owns its key, and reads as nothing else", () => {
  const ids = fc.oneof(
    fc.string({ minLength: 1, maxLength: 40, unit: "binary" }),
    fc.stringMatching(/^[-+@.*()[\]\\|^$/a-z0-9]{1,30}$/),
  );
  fc.assert(
    fc.property(ids, (id) => {
      fc.pre(/^\S/.test(id) && id.isWellFormed());
      const person = personOf(`slack:${id}`, new Map());
      assert.ok(person.isNamedIn(`to slack:${id} it went`));
      assert.ok(person.isNamedIn(JSON.stringify({ actor: `slack:${id}` })));
      assert.ok(person.ownsKey(`agent:main:slack:direct:${keyPart(id)}`));
      assert.equal(person.ownsKey(`agent:main:slack:direct:${keyPart(id)}0`), false);
      assert.equal(person.isNamedIn("nothing of anybody"), false);
    }),
  );
});
