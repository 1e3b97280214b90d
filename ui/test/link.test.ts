import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerLost, GatewayRefusal, Link, type SocketListener } from "../src/link.ts";
import { FakePageClock } from "./fake-page-clock.ts";

interface OpenedSocket extends SocketListener {
  readonly sent: { readonly id: string; readonly method: string }[];
  closedByPage: number | undefined;
}

function linkUnderTest(signedIn: "yes" | "no" | "unknown" = "yes") {
  const clock = new FakePageClock();
  const sockets: OpenedSocket[] = [];
  const told: string[] = [];
  const link = new Link(
    {
      clock,
      random: () => 1,
      askSignedIn: () => Promise.resolve(signedIn),
      openSocket(listener) {
        const socket: OpenedSocket = { ...listener, sent: [], closedByPage: undefined };
        sockets.push(socket);
        return {
          send: (data) => void socket.sent.push(JSON.parse(data)),
          close: (code) => {
            socket.closedByPage = code;
          },
        };
      },
    },
    {
      online: () => told.push("online"),
      away: (reason, retryAtMs) => told.push(`away ${retryAtMs - clock.nowMs()}${reason && ` ${reason}`}`),
      signedOut: () => told.push("signed out"),
      refused: (message) => told.push(`refused ${message}`),
      event: (name) => told.push(`event ${name}`),
      gap: () => told.push("gap"),
    },
  );
  const newest = () => sockets.at(-1)!;
  const receive = (frame: unknown) => newest().message(JSON.stringify(frame));
  const greet = () => receive({ type: "event", event: "connect.challenge", payload: { ts: 1 } });
  const answer = (more: object) => receive({ type: "res", id: newest().sent.at(-1)!.id, ...more });
  const comeOnline = async () => {
    greet();
    answer({ ok: true, payload: { policy: { tickIntervalMs: 30_000 } } });
    await settled();
  };
  return { link, clock, sockets, told, newest, receive, greet, answer, comeOnline };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("the link to the gateway", () => {
  it("waits for the challenge, then connects with the cookie's authority alone", async () => {
    const { link, newest, told, comeOnline } = linkUnderTest();
    link.start();
    assert.deepEqual(newest().sent, []);
    await comeOnline();
    assert.equal(newest().sent[0]!.method, "connect");
    assert.equal(JSON.stringify(newest().sent[0]).includes("auth"), false);
    assert.deepEqual(told, ["online"]);
  });

  it("comes back after 1, 2, 4 ... 30 seconds, and starts over once it was online", async () => {
    const { link, clock, newest, told, comeOnline } = linkUnderTest();
    link.start();
    for (let attempt = 0; attempt < 7; attempt += 1) {
      newest().closed(1006, "");
      clock.advance(Number(told.at(-1)!.split(" ")[1]));
    }
    assert.deepEqual(
      told,
      [1, 2, 4, 8, 16, 30, 30].map((seconds) => `away ${seconds * 1000}`),
    );
    await comeOnline();
    newest().closed(1006, "");
    assert.equal(told.at(-1), "away 1000");
  });

  it("comes back at once when the tab or the network does", () => {
    const { link, sockets, newest } = linkUnderTest();
    link.start();
    newest().closed(1006, "");
    link.hurry();
    assert.equal(sockets.length, 2);
    link.hurry();
    assert.equal(sockets.length, 2);
  });

  it("gives every request one end: payload, refusal, lost connection, or no answer in time", async () => {
    const { link, clock, newest, answer, comeOnline } = linkUnderTest();
    await assert.rejects(link.request("health"), AnswerLost);
    link.start();
    await comeOnline();
    const fine = link.request("health");
    answer({ ok: true, payload: { ok: true } });
    assert.deepEqual(await fine, { ok: true });
    const refused = link.request("health");
    answer({ ok: false, error: { code: "FORBIDDEN", message: "missing scope" } });
    await assert.rejects(
      refused,
      (error) => error instanceof GatewayRefusal && error.message === "missing scope",
    );
    const late = link.request("health");
    clock.advance(30_000);
    await assert.rejects(late, /did not answer health within 30 seconds/);
    const lost = link.request("health");
    newest().closed(1006, "");
    await assert.rejects(lost, AnswerLost);
  });

  it("notices silence and leaves the dead connection", async () => {
    const { link, clock, sockets, told, comeOnline } = linkUnderTest();
    link.start();
    await comeOnline();
    clock.advance(60_000);
    assert.equal(sockets[0]!.closedByPage, 4000);
    assert.equal(told.at(-1), "away 1000");
  });

  it("tells of missed events once, and not after a reconnect", async () => {
    const { link, newest, receive, told, comeOnline } = linkUnderTest();
    link.start();
    await comeOnline();
    for (const seq of [1, 2, 4, 5]) receive({ type: "event", event: "tick", seq });
    newest().closed(1006, "");
    link.hurry();
    await comeOnline();
    receive({ type: "event", event: "tick", seq: 1 });
    assert.equal(told.filter((line) => line === "gap").length, 1);
  });

  it("stops when the session is over, whatever the socket says", async () => {
    const { link, clock, sockets, newest, told } = linkUnderTest("no");
    link.start();
    newest().closed(1006, "");
    await settled();
    assert.equal(told.at(-1), "signed out");
    clock.advance(60_000);
    assert.equal(sockets.length, 1);
  });

  it("goes on trying when nobody can say whether the session is over", async () => {
    const { link, clock, sockets, newest } = linkUnderTest("unknown");
    link.start();
    newest().closed(1006, "");
    await settled();
    clock.advance(1_000);
    assert.equal(sockets.length, 2);
  });

  const refusals: Record<string, readonly [object, string]> = {
    "a page of another version": [
      { code: "INVALID_REQUEST", message: "protocol mismatch", details: { code: "PROTOCOL_MISMATCH" } },
      "refused protocol mismatch",
    ],
    "a foreign origin": [
      { code: "INVALID_REQUEST", message: "origin", details: { code: "CONTROL_UI_ORIGIN_NOT_ALLOWED" } },
      "refused origin",
    ],
    "a missing sign-in": [
      { code: "INVALID_REQUEST", message: "x", details: { code: "AUTH_TOKEN_MISSING" } },
      "signed out",
    ],
    "a missing device": [{ code: "NOT_PAIRED", message: "x" }, "signed out"],
  };
  for (const [name, [error, expected]] of Object.entries(refusals)) {
    it(`does not come back after ${name}`, async () => {
      const { link, clock, sockets, newest, greet, answer, told } = linkUnderTest();
      link.start();
      greet();
      answer({ ok: false, error });
      await settled();
      newest().closed(1008, "");
      clock.advance(60_000);
      assert.equal(sockets.length, 1);
      assert.deepEqual(told, [expected]);
    });
  }

  it("ignores what is not a frame", async () => {
    const { link, newest, receive, told, comeOnline } = linkUnderTest();
    link.start();
    newest().message("no json");
    newest().message(new Uint8Array(2));
    await comeOnline();
    for (const odd of [null, 7, [], { type: "res", id: "999", ok: true }, { type: "eval" }, { type: "res" }])
      receive(odd);
    assert.deepEqual(told, ["online"]);
  });
});
