import { isAbsolute } from "node:path";
import {
  type AccountPlace,
  onlyWhole,
  platformAccounts,
  type ReadAccounts,
  readAccounts,
} from "../accounts.ts";
import type { IdRule, Platform } from "../platform.ts";
import type { SettingsReader } from "../settings-reader.ts";

export interface WhatsAppAccount {
  readonly accountId: string;
  /** Where the linked device's keys are, when not in the account's own state folder. */
  readonly authDir?: string;
  readonly sendReadReceipts: boolean;
  readonly textChunkLimit: number;
}

/**
 * A person's id: "+15550001234", or "lid:<digits>" for an account that hides its number. Undefined for a group, a
 * broadcast, and everything else (attack A-064).
 */
export function personOf(jid: string): string | undefined {
  // ":12" is one of the account's devices.
  const [, digits, server] = /^(\d{5,20})(?::\d{1,3})?@(s\.whatsapp\.net|c\.us|lid)$/.exec(jid) ?? [];
  if (digits === undefined) return undefined;
  if (server === "lid") return `lid:${digits}`;
  return /^[1-9]\d{6,14}$/.test(digits) ? `+${digits}` : undefined;
}

export function isGroupJid(jid: string): boolean {
  return /^\d{5,20}(?:-\d{5,20})?@g\.us$/.test(jid);
}

const ids: IdRule = {
  sender(text) {
    const plain = text.replace(/^whatsapp:/i, "");
    const number = plain.replace(/^\+([\d ().-]+)$/, (_, rest: string) => `+${rest.replace(/[ ().-]/g, "")}`);
    if (/^\+[1-9]\d{6,14}$/.test(number)) return { id: number };
    const id = /^lid:\d{5,20}$/.test(plain) ? plain : personOf(plain);
    return id === undefined ? { problem: 'be a number such as "+15550001234", or "lid:<digits>"' } : { id };
  },
  group(text) {
    const id = text.replace(/^(?:whatsapp:)?(?:group:)?/i, "");
    return isGroupJid(id) ? { id } : { problem: 'be named by the group\'s id, "<digits>@g.us"' };
  },
};

export const whatsapp: Platform = {
  id: "whatsapp",
  label: "WhatsApp",
  ids,
  // WhatsApp documents no numbers; these are what its apps let a person type.
  polls: {
    questionChars: 255,
    optionChars: 100,
    maxOptions: 12,
    countsSelections: true,
    hidesVoters: false,
  },
  setup: {
    before: ["Use a number of the bot's own: WhatsApp approves of no such client, and may block it."],
    questions: [
      { key: "allowFrom", question: "Who may write to it, numbers with commas between", isList: true },
    ],
    library: {
      name: "Baileys 7.0.0-rc14",
      terms:
        "64 packages, 30 MB; no script of theirs is run. One of them, libsignal, is under the GPL 3.0: whoever passes this gateway on together with it does so under that licence.",
      isInstalled: async (extensions) => (await import("./library.ts")).isInstalled(extensions),
      files: async () => (await import("./library-files.ts")).libraryFiles(),
    },
    after: ["Link the bot's phone: openclaw channels login whatsapp"],
  },
  read: (section) =>
    platformAccounts(whatsappSettings(section), (settings) => ({
      secrets: [],
      open: async (deps) => (await import("./mod.ts")).openWhatsApp(settings, deps, deps.extensions),
    })),
};

export function whatsappSettings(config: unknown): ReadAccounts<WhatsAppAccount> {
  return readAccounts(config, "whatsapp", {
    credentials: ["authDir"],
    read: onlyWhole(ownOf),
    compare: sameTwice,
  });
}

function ownOf(account: AccountPlace): WhatsAppAccount {
  const { at } = account;
  // A named account is a device of its own: with the channel's keys, two would push each other out.
  const place = account.isDefault && !account.place.has("authDir") ? account.root : account.place;
  const authDir = place.string("authDir");
  if (authDir !== undefined && !isAbsolute(authDir)) place.problem("authDir", "be an absolute path");
  return {
    accountId: account.accountId,
    ...(authDir === undefined ? {} : { authDir }),
    sendReadReceipts: at("sendReadReceipts").boolean("sendReadReceipts", true),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 100, 20_000) ?? 4000,
  };
}

function sameTwice(accounts: readonly WhatsAppAccount[], root: SettingsReader): void {
  const folders = accounts.flatMap(({ authDir }) => authDir ?? []);
  if (new Set(folders).size < folders.length)
    root.problem("accounts", "not name one authDir twice: two clients of one device push each other out");
}
