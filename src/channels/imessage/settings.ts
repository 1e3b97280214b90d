import { isAbsolute, join } from "node:path";
import {
  type AccountPlace,
  onlyWhole,
  platformAccounts,
  type ReadAccounts,
  readAccounts,
} from "../accounts.ts";
import type { IdRule, Platform, SettingsSources } from "../platform.ts";
import { SettingsReader } from "../settings-reader.ts";

export interface IMessageAccount {
  readonly accountId: string;
  /** `imsg`, or a program that runs it on the Mac and passes its input and output on (ssh). */
  readonly program: string;
  /** The messages database, where it is not the user's own. */
  readonly dbPath?: string;
  readonly service: "auto" | "imessage" | "sms";
  readonly region?: string;
  /** Folders that files may be read from; undefined: files are not read. */
  readonly attachmentRoots?: readonly string[];
  /** imsg runs on this machine: files can be sent. */
  readonly isLocal: boolean;
  readonly probeTimeoutMs: number;
  readonly textChunkLimit: number;
}

/** A handle in its one spelling: E.164, or an address in small letters; undefined for what is neither (attack A-064). */
export function handleId(text: string): string | undefined {
  const number = text.replace(/^\+([\d ().-]+)$/, (_, rest: string) => `+${rest.replace(/[ ().-]/g, "")}`);
  if (/^\+[1-9]\d{6,14}$/.test(number)) return number;
  const isAddress = text.length <= 254 && /^[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i.test(text);
  return isAddress ? text.toLowerCase() : undefined;
}

const ids: IdRule = {
  sender(text) {
    const id = handleId(text.replace(/^imessage:/i, ""));
    if (id !== undefined) return { id };
    return { problem: 'be a number such as "+15550001234" or an Apple account\'s address' };
  },
  group(text) {
    const id = /^(?:imessage:)?(?:chat_id:)?([1-9]\d{0,17})$/i.exec(text)?.[1];
    if (id !== undefined) return { id: `chat_id:${id}` };
    return { problem: 'be named by "chat_id:<number>", as `imsg chats` prints it' };
  },
};

export const imessage: Platform = {
  id: "imessage",
  label: "iMessage",
  ids,
  setup: {
    before: [
      "On the Mac: sign in to Messages with an Apple account of the bot's own, and brew install steipete/tap/imsg.",
      "Give the program that runs the gateway Full Disk Access and Automation for Messages (System Settings, Privacy & Security).",
    ],
    questions: [
      { key: "cliPath", question: "Where imsg is, when not in PATH", isOptional: true },
      { key: "allowFrom", question: "Who may write to it, numbers and addresses", isList: true },
    ],
    after: ["Write to the account from one that is listed."],
  },
  read: (section, sources) =>
    platformAccounts(imessageSettings(section, sources), (settings) => ({
      secrets: [],
      open: async (deps) => (await import("./mod.ts")).openIMessage(settings, deps),
    })),
};

export function imessageSettings(config: unknown, sources: SettingsSources): ReadAccounts<IMessageAccount> {
  return readAccounts(config, "imessage", {
    credentials: ["cliPath", "dbPath"],
    read: onlyWhole((account) => ownOf(account, sources)),
    compare: sameTwice,
  });
}

function sameTwice(accounts: readonly IMessageAccount[], root: SettingsReader): void {
  const seen = new Set<string>();
  for (const { program, dbPath } of accounts) {
    const key = JSON.stringify([program, dbPath]);
    if (seen.has(key))
      root.problem("accounts", "not name one database twice: each message would be answered twice");
    seen.add(key);
  }
}

function ownOf(account: AccountPlace, sources: SettingsSources): IMessageAccount {
  const { at } = account;
  const program = at("cliPath").string("cliPath") ?? "imsg";
  const dbPath = pathOf(at("dbPath"), "dbPath", sources);
  const region = at("region").string("region");
  if (region !== undefined && !/^[A-Z]{2}$/.test(region))
    at("region").problem("region", 'be a country such as "US"');
  const isLocal = at("remoteHost").string("remoteHost") === undefined;
  const withFiles = at("includeAttachments").boolean("includeAttachments", false);
  return {
    accountId: account.accountId,
    program,
    ...(dbPath === undefined ? {} : { dbPath }),
    service: at("service").oneOf("service", ["auto", "imessage", "sms"]) ?? "auto",
    ...(region === undefined ? {} : { region }),
    ...(withFiles && isLocal ? { attachmentRoots: rootsOf(at("attachmentRoots"), sources) } : {}),
    isLocal,
    probeTimeoutMs: at("probeTimeoutMs").integer("probeTimeoutMs", 1_000, 120_000) ?? 10_000,
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 100, 20_000) ?? 4000,
  };
}

function rootsOf(place: SettingsReader, sources: SettingsSources): readonly string[] {
  const given = place.raw("attachmentRoots");
  if (given === undefined) {
    const home = sources.env.HOME;
    return home === undefined ? [] : [join(home, "Library/Messages/Attachments")];
  }
  if (!Array.isArray(given)) {
    place.problem("attachmentRoots", "be an array of folders");
    return [];
  }
  const list = new SettingsReader(
    Object.fromEntries(given.entries()),
    [...place.path, "attachmentRoots"],
    place.problems,
  );
  return given.flatMap((_, index) => pathOf(list, String(index), sources) ?? []);
}

function pathOf(place: SettingsReader, key: string, sources: SettingsSources): string | undefined {
  const given = place.string(key);
  if (given === undefined) return undefined;
  const { HOME } = sources.env;
  const path = HOME !== undefined && given.startsWith("~/") ? join(HOME, given.slice(2)) : given;
  if (isAbsolute(path)) return path;
  place.problem(key, "be an absolute path");
  return undefined;
}
