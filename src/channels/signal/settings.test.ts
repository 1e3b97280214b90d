import assert from "node:assert/strict";
import { test } from "node:test";
import { phoneNumber, signal, signalSettings } from "./settings.ts";

const sources = { env: {}, readSecretFile: () => "" };

function read(config: unknown) {
  const { accounts, problems } = signalSettings(config, sources);
  return {
    accounts,
    problems: problems.map((problem) => `${problem.path.slice(2).join(".")}: must ${problem.message}`),
  };
}

function transport(config: object) {
  const { accounts, problems } = read({ account: "+15550009999", ...config });
  assert.deepEqual(problems, []);
  return accounts[0]?.transport;
}

test("no block gives no account; a number is needed, in one spelling", () => {
  assert.deepEqual(read(undefined).accounts, []);
  assert.match(read({}).problems.join(), /^account: must be the number/);
  assert.equal(read({ account: "+1 (555) 000-9999" }).accounts[0]?.number, "+15550009999");
  assert.match(read({ account: "+1", accountUuid: "x" }).problems.join("\n"), /accountUuid: must be a UUID/);
});

test("signal-cli is started on a socket of ours, and waits for us, unless the config says where it is", () => {
  assert.deepEqual(transport({ cliPath: "/opt/signal-cli", configPath: "/data", ignoreAttachments: true }), {
    kind: "managed",
    program: "/opt/signal-cli",
    args: [
      ...["--config", "/data", "-a", "+15550009999", "daemon", "--receive-mode", "on-connection"],
      ...["--no-receive-stdout", "--ignore-attachments", "--ignore-stories"],
    ],
    socketPath: undefined,
    http: undefined,
  });
  const managed = transport({ httpPort: 8090 });
  assert.deepEqual(managed?.kind === "managed" && managed.http, { host: "127.0.0.1", port: 8090 });
  assert.deepEqual(transport({ autoStart: false }), { kind: "http", url: "http://127.0.0.1:8080" });
  assert.deepEqual(transport({ httpUrl: "http://10.0.0.2:8080/" }), {
    kind: "http",
    url: "http://10.0.0.2:8080",
  });
  assert.deepEqual(transport({ transport: { kind: "container", url: "http://signal:8080" } }), {
    kind: "container",
    url: "http://signal:8080",
  });
  assert.deepEqual(transport({ transport: { kind: "external-native", socketPath: "/run/s.sock" } }), {
    kind: "socket",
    at: { path: "/run/s.sock" },
  });
  assert.deepEqual(transport({ transport: { url: "tcp://127.0.0.1" } }), {
    kind: "socket",
    at: { host: "127.0.0.1", port: 7583 },
  });
});

test("signal (4): a signal-cli that asks for no password is near, behind TLS, or not used", () => {
  for (const [config, at] of [
    [{ transport: { url: "http://signal.example.com:8080" } }, "transport.url"],
    [{ transport: { url: "http://8.8.8.8" } }, "transport.url"],
    [{ transport: { url: "ftp://localhost" } }, "transport.url"],
    [{ transport: { url: "https://u:p@localhost" } }, "transport.url"],
    [{ httpUrl: "http://localhost/x" }, "httpUrl"],
    [{ httpHost: "0.0.0.0" }, "httpHost"],
    [{ socketPath: "relative.sock" }, "socketPath"],
    [{ socketPath: `/${"x".repeat(101)}` }, "socketPath"],
    [{ receiveMode: "manual" }, "receiveMode"],
  ] as const) {
    const { accounts, problems } = read({ account: "+15550009999", ...config });
    assert.deepEqual(accounts, [], JSON.stringify(config));
    assert.ok(problems[0]?.startsWith(`${at}: must`), problems.join());
  }
});

test("channels (5): a sender is a number or an account's id, and nothing that only looks like one (attack A-064)", () => {
  const idOf = (text: string) => {
    const read = signal.ids.sender(text);
    return "id" in read ? read.id : undefined;
  };
  assert.equal(idOf("+15550001234"), "+15550001234");
  assert.equal(idOf("signal:+1 555-000-1234"), "+15550001234");
  assert.equal(
    idOf("UUID:AAAAAAAA-0000-4000-8000-00000000000A"),
    "uuid:aaaaaaaa-0000-4000-8000-00000000000a",
  );
  for (const text of [
    ...[
      "15550001234",
      "++15550001234",
      "+1 555 000 1234 ext 9",
      "+1555000１２３４",
      "0015550001234",
      "+15550001234@evil",
    ],
    ...["+0", "Ada", "", "uuid:ada", "uuid:+15550001234", "15550001234@s.whatsapp.net"],
  ]) {
    assert.equal(idOf(text), undefined, text);
  }
  assert.equal(phoneNumber("+15550001234\n"), undefined);
  const group = "Pmpi+EfPWmsxiomLe9Nx2XF9HOE483p6iKiFj65iMwI=";
  assert.deepEqual(signal.ids.group(`signal:group:${group}`), { id: group });
  assert.ok("problem" in signal.ids.group("Family"));
});

test("two accounts of one number are told, and named ones have numbers of their own", () => {
  const two = read({ account: "+15550009999", accounts: { a: {}, b: { account: "+15550009999" } } });
  assert.match(
    two.problems.join("\n"),
    /accounts\.a\.account: must be the number[\s\S]*accounts: must not name/,
  );
  assert.deepEqual(signal.read({ account: "+15550009999" }, sources).accounts[0]?.secrets, []);
});
