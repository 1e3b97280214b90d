import assert from "node:assert/strict";
import { test } from "node:test";
import { imessage, imessageSettings } from "./settings.ts";

const sources = { env: { HOME: "/Users/me" }, readSecretFile: () => "" };

function read(config: unknown) {
  const { accounts, problems } = imessageSettings(config, sources);
  return {
    accounts,
    problems: problems.map((problem) => `${problem.path.slice(2).join(".")}: must ${problem.message}`),
  };
}

test("no block gives no account; an empty one uses imsg on this machine, without files", () => {
  assert.deepEqual(read(undefined).accounts, []);
  assert.deepEqual(read({}).accounts[0], {
    accountId: "default",
    program: "imsg",
    service: "auto",
    isLocal: true,
    probeTimeoutMs: 10_000,
    textChunkLimit: 4000,
  });
});

test("files come from the folder of Messages, or from the folders that are named", () => {
  const rootsOf = (config: object) => read(config).accounts[0]?.attachmentRoots;
  assert.deepEqual(rootsOf({ includeAttachments: true }), ["/Users/me/Library/Messages/Attachments"]);
  assert.deepEqual(rootsOf({ includeAttachments: true, attachmentRoots: ["/a", "~/b"] }), [
    "/a",
    "/Users/me/b",
  ]);
  assert.equal(rootsOf({ attachmentRoots: ["/a"] }), undefined);
  assert.equal(
    rootsOf({ includeAttachments: true, remoteHost: "me@mac", cliPath: "/bin/remote-imsg" }),
    undefined,
  );
  assert.match(
    read({ includeAttachments: true, attachmentRoots: ["a"] }).problems.join(),
    /attachmentRoots\.0: must be an absolute/,
  );
  assert.match(read({ dbPath: "chat.db" }).problems.join(), /dbPath: must be an absolute path/);
  assert.match(read({ region: "usa" }).problems.join(), /region: must be a country/);
});

test("channels (5): a sender is a number or an address, and nothing that only looks like one (attack A-064)", () => {
  const idOf = (text: string) => {
    const read = imessage.ids.sender(text);
    return "id" in read ? read.id : undefined;
  };
  assert.equal(idOf("imessage:+1 (555) 000-1234"), "+15550001234");
  assert.equal(idOf("Owner@iCloud.com"), "owner@icloud.com");
  assert.notEqual(idOf("owner@icloud.com.evil"), idOf("owner@icloud.com"));
  for (const text of [
    "owner@icloud",
    "owner",
    "15550001234",
    "++15550001234",
    "+1555000１２３４",
    "a@b@c.d",
    "a b@c.d",
    "",
    "öwner@icloud.com",
  ]) {
    assert.equal(idOf(text), undefined, text);
  }
  assert.deepEqual(imessage.ids.group("chat_id:42"), { id: "chat_id:42" });
  assert.deepEqual(imessage.ids.group("42"), { id: "chat_id:42" });
  for (const text of ["chat_id:0", "chat_id:x", "Family", ""])
    assert.ok("problem" in imessage.ids.group(text));
});

test("one database answers for one account (attack A-181)", () => {
  const two = { accounts: { a: { dbPath: "/x" }, b: { dbPath: "/x" } } };
  assert.match(read(two).problems.join(), /accounts: must not name one database twice/);
});
