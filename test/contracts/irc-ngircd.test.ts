/** The channel against a real IRC server, over TLS: ngircd, which has none of the newer capabilities. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { IrcConnection } from "../../src/channels/irc/connection.ts";
import { openIrc } from "../../src/channels/irc/mod.ts";
import type { IrcAccount } from "../../src/channels/irc/settings.ts";
import type { IrcLine } from "../../src/channels/irc/wire.ts";
import type { Channel } from "../../src/delivery/channel.ts";
import { Secret, silentLog, systemClock, systemRandom } from "../../src/kernel/mod.ts";
import { freePort } from "../support/gateway.ts";
import { testAccount } from "../support/irc/harness.ts";
import { RecordingHost } from "./channel.ts";

const serverPassword = "ngircd-password-of-the-test";

function canRun(t: TestContext): boolean {
  if (!spawnSync("ngircd", ["--version"], { stdio: "ignore" }).error) return true;
  t.skip("ngircd is not installed: scripts/test-servers.sh installs it");
  return false;
}

interface Network {
  readonly account: IrcAccount;
  open(more?: Partial<IrcAccount>): Channel;
  /** Somebody on the network. */
  person(nick: string): Promise<Person>;
}

interface Person {
  readonly connection: IrcConnection;
  readonly heard: readonly IrcLine[];
  until(condition: () => boolean): Promise<void>;
}

async function network(t: TestContext): Promise<Network> {
  const folder = mkdtempSync(join(tmpdir(), "ngircd-test-"));
  chmodSync(folder, 0o755);
  const key = join(folder, "key.pem");
  const certificate = join(folder, "cert.pem");
  const made = spawnSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"].concat([
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      key,
      "-out",
      certificate,
    ]),
    { stdio: "ignore" },
  );
  assert.equal(made.status, 0);
  chmodSync(key, 0o644);
  // Without it the server takes seconds to make one of its own.
  const primes = join(folder, "dh.pem");
  const group = ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", primes];
  assert.equal(spawnSync("openssl", group, { stdio: "ignore" }).status, 0);
  const port = await freePort();
  const plainPort = await freePort();
  const file = join(folder, "ngircd.conf");
  writeFileSync(
    file,
    `[Global]\nName = irc.test\nInfo = test\nPorts = ${plainPort}\nListen = 127.0.0.1\nPassword = ${serverPassword}\n` +
      "ServerUID = nobody\nServerGID = nogroup\nMotdPhrase = hello\n" +
      "[Limits]\nMaxConnectionsIP = 0\nMaxNickLength = 20\nMaxPenaltyTime = 0\n" +
      "[Options]\nIdent = no\nPAM = no\nDNS = no\nSyslogFacility = local1\n" +
      `[SSL]\nCertFile = ${certificate}\nKeyFile = ${key}\nDHFile = ${primes}\nPorts = ${port}\n`,
  );
  const child: ChildProcess = spawn("ngircd", ["-n", "-f", file], { stdio: "ignore" });
  const exited = once(child, "exit");
  t.after(async () => {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true });
  });
  const account = testAccount(port, {
    host: "localhost",
    tls: true,
    tlsCaFile: certificate,
    serverPassword: new Secret(serverPassword),
    sasl: undefined,
  } as unknown as Partial<IrcAccount>);
  const connect = async () => {
    for (;;) {
      try {
        return await IrcConnection.open(account, systemClock, new AbortController().signal);
      } catch (error) {
        if (child.exitCode !== null) throw error;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  (await connect()).quit();
  return {
    account,
    open: (more = {}) =>
      openIrc(
        { ...account, ...more },
        { clock: systemClock, random: systemRandom, log: silentLog, stateFolder: join(folder, "state") },
      ),
    async person(nick) {
      const connection = await connect();
      const heard: IrcLine[] = [];
      let look = () => {};
      connection.onLine = (line) => {
        heard.push(line);
        look();
      };
      t.after(() => connection.destroy());
      const lines = [`PASS ${serverPassword}`, `NICK ${nick}`, `USER ${nick} 0 * :${nick}`];
      await connection.ask(lines, (line) => (line.command === "001" ? true : undefined), 20_000);
      await connection.ask(["JOIN #lounge"], (line) => (line.command === "366" ? true : undefined), 20_000);
      return {
        connection,
        heard,
        until: (condition) =>
          new Promise((resolve) => {
            look = () => {
              if (condition()) resolve();
            };
            look();
          }),
      };
    },
  };
}

test("ngircd: words go both ways over TLS, in a room and directly", async (t) => {
  if (!canRun(t)) return;
  const at = await network(t);
  const host = new RecordingHost();
  const channel = at.open();
  t.after(() => channel.stop());
  await channel.start(host);
  assert.equal(host.statuses.at(-1)?.state, "connected");
  assert.equal(host.statuses.at(-1)?.identity, "house");
  const ada = await at.person("ada");
  ada.connection.send("PRIVMSG #lounge :house: grüß dich 👋");
  ada.connection.send("PRIVMSG house :only for you");
  ada.connection.send("NOTICE house :nobody answers this");
  await host.until(() => host.offered.length === 2);
  const [room, direct] = [...host.offered].sort((a, b) =>
    b.conversation.kind.localeCompare(a.conversation.kind),
  );
  assert.deepEqual(
    [room?.text, room?.conversation, room?.mentionsBot, room?.sender.proof],
    ["house: grüß dich 👋", { kind: "group", id: "#lounge" }, true, "claimed"],
  );
  assert.deepEqual(
    [direct?.text, direct?.conversation],
    ["only for you", { kind: "direct", id: "nick:ada" }],
  );

  const long = "ä".repeat(400);
  const sent = await channel.send({ id: "o1", conversation: room!.conversation, text: `**hello** ${long}` });
  assert.equal(sent.outcome, "sent");
  assert.equal(
    (await channel.send({ id: "o2", conversation: direct!.conversation, text: "psst" })).outcome,
    "sent",
  );
  const said = () => ada.heard.filter((line) => line.command === "PRIVMSG");
  await ada.until(() => said().some((line) => line.params[1] === "psst"));
  const inRoom = said().filter((line) => line.params[0] === "#lounge");
  const arrived = inRoom.map((line) => line.params[1]).join("");
  assert.equal(arrived.replace(" ", ""), `\u0002hello\u0002${long}`, "nothing was cut off by the server");
});

test("ngircd: who is not there, a closed room, a taken nick and a wrong password are told apart", async (t) => {
  if (!canRun(t)) return;
  const at = await network(t);
  const channel = at.open();
  t.after(() => channel.stop());
  const host = new RecordingHost();
  await channel.start(host);
  const send = (kind: "direct" | "group", id: string) =>
    channel.send({ id: "o", conversation: { kind, id }, text: "x" });
  assert.equal((await send("direct", "nick:nobody")).outcome, "retry");
  assert.equal((await send("direct", "ada")).outcome, "retry", "no services, so no account");
  const ada = await at.person("ada");
  await ada.connection.ask(["MODE #lounge"], (line) => (line.command === "324" ? true : undefined), 20_000);
  assert.equal((await send("group", "#nowhere-yet")).outcome, "rejected");

  const second = at.open({ accountId: "second" });
  t.after(() => second.stop());
  const secondHost = new RecordingHost();
  await second.start(secondHost);
  assert.match(secondHost.statuses.at(-1)?.detail ?? "", /house is in use: by another gateway/);

  const wrong = at.open({ accountId: "wrong", nick: "other", serverPassword: new Secret("wrong") });
  t.after(() => wrong.stop());
  const wrongHost = new RecordingHost();
  await wrong.start(wrongHost);
  assert.notEqual(wrongHost.statuses.at(-1)?.state, "connected");
  assert.equal(JSON.stringify(wrongHost.statuses).includes('wrong"'), false);
});

test("ngircd: a certificate that nobody vouches for is not talked to", async (t) => {
  if (!canRun(t)) return;
  const at = await network(t);
  const { tlsCaFile: _, ...withoutCa } = at.account;
  const channel = openIrc(withoutCa, {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    stateFolder: "",
  });
  t.after(() => channel.stop());
  const host = new RecordingHost();
  await channel.start(host);
  assert.equal(host.statuses.at(-1)?.state, "failed");
  assert.match(host.statuses.at(-1)?.detail ?? "", /certificate cannot be trusted.*tlsCaFile/);
});
