// What a long list of those who may talk costs each message: the account's rules looked up, and the decision, as the
// gateway takes it. In this process, with nothing around it: a turn's other milliseconds would hide it.

import { type AccessSettings, accessSettings, decide, type Facts, unused } from "../../src/access/mod.ts";
import { telegram } from "../../src/channels/telegram/settings.ts";
import type { Bench } from "../bench.ts";
import { figure, median } from "../figures.ts";

const few = 10;
const many = 10_000;
const batches = 200;
/** One decision takes about as long as reading the clock. */
const perBatch = 500;

export function measureAllowlist({ subject, results }: Bench): void {
  if (subject.name !== "ours") {
    results.set("growth.allowlist", { missing: "not to be had from outside" });
    return;
  }
  const [short, long] = [settingsOf(few), settingsOf(many)];
  // Both once before either counts, so that neither is slow because it is first.
  for (const settings of [short, long]) decisionUs(settings);
  const [base, grown] = [decisionUs(short), decisionUs(long)];
  const note = `${base.toFixed(2)} -> ${grown.toFixed(2)} µs at ${many} entries`;
  results.set("growth.allowlist", figure(grown / base, note));
}

function settingsOf(entries: number): AccessSettings {
  const allowFrom = Array.from({ length: entries }, (_, index) => String(100_000 + index));
  const config = { channels: { telegram: { dmPolicy: "allowlist" as const, allowFrom } } };
  return accessSettings(config, "telegram", "default", telegram.ids).settings;
}

/** The median over batches, of somebody in the list and somebody who is not. */
function decisionUs(settings: AccessSettings): number {
  const [known, stranger] = [factsOf("100005"), factsOf("99")];
  const times: number[] = [];
  for (let batch = 0; batch < batches; batch += 1) {
    const startedAt = performance.now();
    for (let count = 0; count < perBatch; count += 1) {
      if (!decide(known, settings).ok || decide(stranger, settings).ok) throw new Error("a wrong decision");
    }
    times.push(((performance.now() - startedAt) * 1000) / perBatch / 2);
  }
  return median(times);
}

function factsOf(id: string): Facts {
  const message = {
    channel: "telegram",
    account: "default",
    eventId: "1",
    conversation: { kind: "direct", id },
    sender: { id, proof: "platform" },
    text: "hello",
    messageId: "1",
    mentionsBot: false,
    repliesToBot: false,
    isBot: false,
  } as const;
  return { message, paired: new Set(), agentId: "main", command: undefined, use: unused };
}
