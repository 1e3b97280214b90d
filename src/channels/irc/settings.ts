import type { Secret } from "../../kernel/mod.ts";
import {
  type AccountPlace,
  accountSecret,
  onlyWhole,
  platformAccounts,
  type ReadAccounts,
  readAccounts,
} from "../accounts.ts";
import { isNearby } from "../nearby.ts";
import type { IdRule, Platform, SettingsSources } from "../platform.ts";
import { SettingsReader } from "../settings-reader.ts";
import { foldAscii } from "./wire.ts";

/** One connection to one network. */
export interface IrcAccount {
  readonly accountId: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** PEM file of the authority that a private server's certificate is signed by; the system's own otherwise. */
  readonly tlsCaFile?: string;
  readonly nick: string;
  readonly username: string;
  readonly realname: string;
  /** Sent as PASS before anything else. */
  readonly serverPassword?: Secret;
  readonly sasl?: { readonly username: string; readonly password: Secret };
  readonly nickserv?: { readonly service: string; readonly password: Secret };
  /** To join, in the ids' spelling. */
  readonly channels: readonly string[];
  /** Five lines leave at once, then one in this time. */
  readonly lineIntervalMs: number;
  /** Longest outgoing text, UTF-16 units; it leaves as several lines. */
  readonly textChunkLimit: number;
}

/** What no nick, account or channel holds: where one ends on the wire, and what keys are made with (attack A-247). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a name never holds them
const notInNames = /[\s:!@,*?\u0000-\u001f\u007f]/;

/** The id of an account of the network, or undefined for what can be none. */
export function accountIdOf(account: string): string | undefined {
  return account === "" || account.length > 64 || notInNames.test(account) || /^[#&$+~%]/.test(account)
    ? undefined
    : foldAscii(account);
}

const ids: IdRule = {
  sender(text) {
    const id = accountIdOf(text.replace(/^irc:/i, ""));
    if (id !== undefined) return { id };
    return {
      problem:
        'be an account of the network, such as "ada" (what the services know, not a nick!user@host: everybody can take a nick)',
    };
  },
  group: (text) =>
    /^[#&+!]/.test(text) && text.length > 1 && text.length <= 100 && !notInNames.test(text.slice(1))
      ? { id: foldAscii(text) }
      : { problem: 'be named by a channel such as "#house"' },
};

export const irc: Platform = {
  id: "irc",
  label: "IRC",
  ids,
  setup: {
    before: ["Register a nick for the bot with the network's services (/msg NickServ REGISTER ...)."],
    questions: [
      { key: "host", question: "The server, such as irc.libera.chat" },
      { key: "nick", question: "The bot's nick" },
      { key: "sasl.password", question: "The nick's password", isSecret: true, isOptional: true },
      { key: "channels", question: "Channels to join, with commas between", isList: true, isOptional: true },
      {
        key: "allowFrom",
        question: "Who may write to it, accounts of the network",
        isList: true,
        isOptional: true,
      },
    ],
    after: ["Log in to your own account of the network and write to the bot: /msg <nick> hello"],
  },
  read: (section, sources) =>
    platformAccounts(ircSettings(section, sources), (settings) => ({
      secrets: [settings.serverPassword, settings.sasl?.password, settings.nickserv?.password].flatMap(
        (secret) => (secret ? [secret.reveal()] : []),
      ),
      open: async (deps) => (await import("./mod.ts")).openIrc(settings, deps),
    })),
};

export function ircSettings(config: unknown, sources: SettingsSources): ReadAccounts<IrcAccount> {
  return readAccounts(config, "irc", {
    credentials: ["nick"],
    // What is wrong about a connection is not guessed around: a wrong host or a missing password would tell others.
    read: onlyWhole((account) => connectionOf(account, sources)),
    compare: sameTwice,
  });
}

function connectionOf(account: AccountPlace, sources: SettingsSources): IrcAccount | undefined {
  const { at, place } = account;
  const host = hostOf(at("host"));
  const nick = nameOf(at("nick"), "nick", /^[^\d-]/);
  if (host === undefined || nick === undefined) return undefined;
  const tls = at("tls").boolean("tls", true);
  if (!tls && !isNearby(host)) {
    // In clear text anybody on the way reads the password and writes in the name of any account.
    at("tls").problem("tls", "be true (false only for a server on this machine or a private network)");
  }
  const caFile = at("tlsCaFile").string("tlsCaFile");
  const serverPassword =
    place.has("password") || place.has("passwordFile")
      ? accountSecret(account, { key: "password", fileKey: "passwordFile" }, sources)
      : undefined;
  const sasl = passwordOf(account, "sasl", "IRC_SASL_PASSWORD", sources);
  const nickserv = passwordOf(account, "nickserv", "IRC_NICKSERV_PASSWORD", sources);
  return {
    accountId: account.accountId,
    host,
    port: at("port").integer("port", 1, 65_535) ?? (tls ? 6697 : 6667),
    tls,
    ...(caFile === undefined ? {} : { tlsCaFile: caFile }),
    nick,
    username: nameOf(at("username"), "username", /^/) ?? nick,
    realname: oneLine(at("realname"), "realname") ?? nick,
    ...(serverPassword ? { serverPassword } : {}),
    ...(sasl
      ? { sasl: { username: nameOf(sasl.place, "username", /^/) ?? nick, password: sasl.password } }
      : {}),
    ...(nickserv
      ? {
          nickserv: {
            service: oneWord(nickserv.place, "service") ?? "NickServ",
            password: nickserv.password,
          },
        }
      : {}),
    channels: channelsOf(at("channels"), at("groups")),
    // What networks let a client do; a server of one's own may allow more.
    lineIntervalMs: at("lineIntervalMs").integer("lineIntervalMs", 0, 60_000) ?? 2_000,
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 100, 8000) ?? 2000,
  };
}

function hostOf(place: SettingsReader): string | undefined {
  const host = place.string("host");
  if (host === undefined && !place.has("host"))
    place.problem("host", 'be set, for example "irc.libera.chat"');
  if (host === undefined || /^[A-Za-z0-9._:-]+$/.test(host)) return host;
  place.problem("host", "be a host name or an address, without port or scheme");
  return undefined;
}

/** A name on one wire word; undefined when absent or wrong. `start` is what the first letter must match. */
function nameOf(place: SettingsReader, key: string, start: RegExp): string | undefined {
  const name = place.string(key);
  if (name === undefined) {
    if (key === "nick" && !place.has(key)) place.problem(key, "be set: the name of the bot on the network");
    return undefined;
  }
  if (name.length <= 64 && !notInNames.test(name) && !/^[#&$+~%]/.test(name) && start.test(name)) return name;
  place.problem(key, "be one word without : ! @ , * ? (a nick does not start with a digit or -)");
  return undefined;
}

function oneLine(place: SettingsReader, key: string): string | undefined {
  const text = place.string(key);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line end would begin a command of its own
  if (text === undefined || !/[\u0000-\u001f\u007f]/.test(text)) return text;
  place.problem(key, "be one line without control characters");
  return undefined;
}

function oneWord(place: SettingsReader, key: string): string | undefined {
  const text = oneLine(place, key);
  if (text === undefined || (!/[\s,]/.test(text) && !text.startsWith(":"))) return text;
  place.problem(key, 'be a nick such as "NickServ", best with its server: "NickServ@services.example"');
  return undefined;
}

/** The password in the object under `key`, with the reader of that object; undefined when there is no such object. */
function passwordOf(
  account: AccountPlace,
  key: string,
  env: string,
  sources: SettingsSources,
): { readonly place: SettingsReader; readonly password: Secret } | undefined {
  // A named account never takes over the channel's: two clients would share one identity.
  const holder = account.isDefault && !account.place.has(key) ? account.root : account.place;
  if (!holder.has(key)) return undefined;
  const place = new SettingsReader(holder.object(key), [...holder.path, key], holder.problems);
  const password = accountSecret(
    { ...account, place, root: place },
    { key: "password", fileKey: "passwordFile", env },
    sources,
  );
  if (password === undefined) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line end would begin a command of its own
  if (!/[\u0000\r\n]/.test(password.reveal())) return { place, password };
  place.problem("password", "be one line");
  return undefined;
}

/** What is listed to join, and every group that is named. */
function channelsOf(place: SettingsReader, groupsPlace: SettingsReader): readonly string[] {
  const given = place.raw("channels");
  if (given !== undefined && !Array.isArray(given))
    place.problem("channels", 'be an array such as ["#house"]');
  const listed = Array.isArray(given) ? given.map(String) : [];
  const found = new Set<string>();
  for (const name of [...listed, ...Object.keys(groupsPlace.object("groups"))]) {
    if (name === "*") continue;
    const read = ids.group(name.trim());
    if ("id" in read) found.add(read.id);
    else if (listed.includes(name)) place.problem("channels", `hold only channels: ${read.problem}`);
  }
  return Object.freeze([...found]);
}

/** Two accounts with one nick on one server: the second could only throw the first out (attack A-181). */
function sameTwice(accounts: readonly IrcAccount[], root: SettingsReader): void {
  const seen = new Set<string>();
  for (const account of accounts) {
    const key = `${account.host.toLowerCase()} ${account.port} ${foldAscii(account.nick)}`;
    if (seen.has(key)) {
      root.problem("accounts", `have one nick per server: ${account.accountId} repeats another one's`);
    }
    seen.add(key);
  }
}
