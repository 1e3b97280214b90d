import { freePort } from "../../support/gateway.ts";
import { webhookPath } from "../../support/github/harness.ts";
import { FakeGithub, privateKeyPem, seen } from "../../support/github/server.ts";
import { type Carrier, people } from "../carrier.ts";

/** Each person writes in an issue of a repository of their own; events are posted to the gateway. */
export async function githubCarrier(): Promise<Carrier> {
  const fake = await FakeGithub.start();
  const port = await freePort();
  fake.postTo = `http://127.0.0.1:${port}${webhookPath}`;
  fake.now = Date.now;
  const keys = new Map<string, string>();
  const personOf = (name: string) => ({
    id: 41 + people.indexOf(name as (typeof people)[number]),
    login: name,
  });
  const call = "POST /api/v3/repos";
  const ids = people.map((name) => String(personOf(name).id));
  return {
    channel: "github",
    port,
    section: {
      appId: String(fake.app.id),
      privateKey: privateKeyPem,
      webhookSecret: fake.webhookSecret,
      webhookPath,
      apiRoot: fake.apiRoot,
      groupPolicy: "allowlist",
      groups: Object.fromEntries(
        people.map((name) => [`house/${name}`, { requireMention: false, allowFrom: ids }]),
      ),
    },
    conversations: people,
    write(conversation, text) {
      const from = personOf(conversation);
      keys.set(text, fake.write({ text, from, repository: `House/${conversation}` }));
    },
    // GitHub posts nothing twice by itself: what did not arrive is asked for, while what is newer does.
    mayBeLate: (text) => fake.firstTryFailed(keys.get(text) ?? ""),
    repeat(text) {
      const key = keys.get(text) ?? "";
      if (fake.isTaken(key)) fake.again(key);
    },
    cut: () => fake.api.cutConnections(),
    breakSend: {
      limited: () =>
        fake.api.fault(call, { kind: "answer", status: 403, headers: { "retry-after": "1" }, body: {} }),
      lostBefore: () => fake.api.fault(call, { kind: "closeBefore" }),
      lostAfter: () => fake.api.fault(call, { kind: "closeAfter" }),
    },
    said: () =>
      fake.comments.map(({ repository, body }) => ({
        conversation: repository.replace("house/", ""),
        text: seen(body),
      })),
    steps: () => fake.api.calls.length + fake.deliveries.length,
    close: () => fake.close(),
  };
}
