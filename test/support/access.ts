/** Facts and settings for tests of who may talk: messages on Telegram, settings from pieces of a config. */
import {
  type AccessSettings,
  accessSettings,
  decide,
  type Facts,
  type IdRule,
  unused,
} from "../../src/access/mod.ts";
import { telegram } from "../../src/channels/telegram/settings.ts";
import type { OpenClawConfig } from "../../src/config/mod.ts";
import type { InboundMessage } from "../../src/delivery/mod.ts";
import { admitted } from "../../src/kernel/mod.ts";

export type { Facts } from "../../src/access/mod.ts";

/** A direct message "hello" of sender 42, with what differs. */
export function message(more: Partial<InboundMessage> = {}): InboundMessage {
  return {
    channel: "telegram",
    account: "default",
    eventId: "1",
    conversation: { kind: "direct", id: "42" },
    sender: { id: "42", proof: "platform" },
    text: "hello",
    messageId: "1",
    mentionsBot: false,
    repliesToBot: false,
    isBot: false,
    ...more,
  };
}

export function factsOf(more: Partial<InboundMessage> = {}, facts: Partial<Facts> = {}): Facts {
  return {
    message: message(more),
    paired: new Set(),
    agentId: "main",
    command: undefined,
    use: unused,
    ...facts,
  };
}

/** Tests also hand in what the schema would refuse: the rules must hold by themselves. */
export function settingsOf(
  config: object,
  account = "default",
  channel = "telegram",
  ids: IdRule = telegram.ids,
): AccessSettings {
  return accessSettings(config as OpenClawConfig, channel, account, ids).settings;
}

/** "admit" or the reason. */
export function outcomeOf(facts: Facts, settings: AccessSettings): string {
  const verdict = decide(facts, settings);
  return admitted(verdict) ? "admit" : verdict.reason;
}
