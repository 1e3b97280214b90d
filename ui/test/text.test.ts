import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readApproval } from "../src/approvals.ts";
import { readChannels } from "../src/health.ts";
import { safeLink } from "../src/safe-link.ts";
import { takeTicket } from "../src/sign-in.ts";
import { nextSentences } from "../src/speech.ts";
import { durationWords } from "../src/time-words.ts";
import { foreignLetters, visibleLine, visiblePieces } from "../src/visible-text.ts";

describe("visible text: nothing that could hide is left unseen", () => {
  const hidden = [
    "\u0000",
    "\u0007",
    "\u001b",
    "\r",
    "\u0085",
    "\u00a0",
    "\u00ad",
    "\u034f",
    "\u061c",
    "\u115f",
    "\u180e",
    "\u2000",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u2028",
    "\u202e",
    "\u2060",
    "\u2066",
    "\u3000",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\uffa0",
    "\ue000",
    "\ud800",
    "\u{e0041}",
    "\u{e0100}",
  ];
  for (const character of hidden) {
    const name = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
    it(name, () => {
      assert.deepEqual(visiblePieces(`a${character}b`), [
        { shown: "a", hidden: false },
        { shown: name, hidden: true },
        { shown: "b", hidden: false },
      ]);
    });
  }
  it("leaves ordinary text, lines and tabs alone", () => {
    const plain = "ls -la\n\t# naïve Ωmega 名前 😀 👩‍👩‍👧 ❤️ 🏳️‍🌈 1️⃣";
    assert.deepEqual(visiblePieces(plain), [{ shown: plain, hidden: false }]);
  });
  it("puts a name into one line", () => assert.equal(visibleLine("A\n\u202eB"), "A ‹U+202E›B"));
  it("lists look-alikes", () => assert.deepEqual(foreignLetters("rm d\u043ene d\u043ene"), ["\u043e"]));
});

describe("links in a reply: http, https and mailto, and nothing that deceives", () => {
  const refused = [
    "javascript:alert(1)",
    " JaVa\tScript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:http://x/1",
    "//evil.example",
    "/relative",
    "#x",
    "",
    "https://bank.example@evil.example/",
    "https://",
  ];
  for (const href of refused) it(JSON.stringify(href), () => assert.equal(safeLink(href), undefined));
  for (const href of ["https://a.example/x?y#z", "http://a.example/", "mailto:a@b.example"])
    it(href, () => assert.equal(safeLink(href), href));
});

describe("an approval as it is read", () => {
  it("offers no more than the gateway allows, and never 'always' by default", () => {
    assert.deepEqual(readApproval({ id: "a", request: {} }).allowed, ["allow-once", "deny"]);
    assert.deepEqual(readApproval({ id: "a", request: { allowedDecisions: ["deny", "sudo"] } }).allowed, [
      "deny",
    ]);
    assert.deepEqual(readApproval({ id: "a", request: { allowedDecisions: [] } }).allowed, []);
  });
  it("shows what runs, with which environment, and why it asks", () => {
    const read = readApproval({
      id: "a",
      request: {
        command: "make",
        commandArgv: ["make", "all now"],
        env: { CC: "evil" },
        commandAnalysis: { warnings: ["one", "two"] },
      },
    });
    assert.deepEqual(
      [read.command, read.argv, read.environment, read.why],
      ["make", ["make", "all now"], [["CC", "evil"]], "one two"],
    );
  });
  it("shows what a lasting yes would keep before it is given", () => {
    const request = { standing: { text: "exactly this" }, proposal: { text: "these three" } };
    const read = readApproval({ id: "a", request });
    assert.deepEqual([read.keeps, read.proposes], ["exactly this", "these three"]);
    const bare = readApproval({ id: "a", request: { standing: "all", proposal: 1 } });
    assert.deepEqual([bare.keeps, bare.proposes], ["", ""]);
  });
});

describe("the sign-in fragment", () => {
  const at = (hash: string) => {
    const replaced: string[] = [];
    const history = { replaceState: (_state: unknown, _title: string, url: string) => replaced.push(url) };
    const ticket = takeTicket({ hash, pathname: "/ui/" } as Location, history as unknown as History);
    return { ticket, replaced };
  };
  it("is taken and removed", () =>
    assert.deepEqual(at("#signin=abc"), { ticket: "abc", replaced: ["/ui/"] }));
  it("leaves other fragments alone", () =>
    assert.deepEqual(at("#message"), { ticket: undefined, replaced: [] }));
});

describe("what a screen reader is told", () => {
  it("whole sentences, each once, the rest at the end", () => {
    assert.equal(nextSentences("Hello there. How a", 0, false), "Hello there. ");
    assert.equal(nextSentences("Hello there. How a", 13, false), "");
    assert.equal(nextSentences("Hello there. How are you", 13, true), "How are you");
  });
});

describe("channels", () => {
  it("say how they are, in order, with what is wrong", () => {
    const read = readChannels({
      channelOrder: ["telegram", "slack"],
      channelLabels: { telegram: "Telegram" },
      channelAccounts: {
        telegram: [
          { accountId: "default", state: "connected", identity: "@bot" },
          { accountId: "b", state: "reconnecting", detail: "network" },
        ],
        slack: [{ accountId: "work", lastError: "invalid_auth" }],
      },
    });
    assert.deepEqual(
      read.map((one) => [one.label, one.accountId, one.state, one.tone, one.problem]),
      [
        ["Telegram", "default", "connected", "good", ""],
        ["Telegram", "b", "reconnecting", "busy", "network"],
        ["slack", "work", "failed", "bad", "invalid_auth"],
      ],
    );
  });
});

it("durations are words", () => {
  assert.deepEqual([-5, 59_000, 61_000, 3_725_000, 400_000_000].map(durationWords), [
    "0 s",
    "59 s",
    "1 min 01 s",
    "1 h 02 min",
    "4 days",
  ]);
});
