import { isAbsolute } from "node:path";
import {
  type AccountPlace,
  onlyWhole,
  platformAccounts,
  type ReadAccounts,
  readAccounts,
} from "../accounts.ts";
import { isNearby } from "../nearby.ts";
import type { IdRule, Platform, SettingsSources } from "../platform.ts";
import { SettingsReader } from "../settings-reader.ts";

/** Where signal-cli is. */
export type Transport =
  /** We start it; it listens on a unix socket in a folder of ours, or where `http` says. */
  | {
      readonly kind: "managed";
      readonly program: string;
      readonly args: readonly string[];
      readonly socketPath: string | undefined;
      readonly http: { readonly host: string; readonly port: number } | undefined;
    }
  | {
      readonly kind: "socket";
      readonly at: { readonly path: string } | { readonly host: string; readonly port: number };
    }
  /** `http(s)://host:port`, without a path. */
  | { readonly kind: "http"; readonly url: string }
  | { readonly kind: "container"; readonly url: string };

export interface SignalAccount {
  readonly accountId: string;
  /** E.164: "+15550001234". */
  readonly number: string;
  /** Our own account id, for mentions that name it and not the number. */
  readonly uuid?: string;
  readonly transport: Transport;
  readonly startupTimeoutMs: number;
  readonly sendReadReceipts: boolean;
  readonly textChunkLimit: number;
}

const uuidShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Longest path of a unix socket that every system takes. */
const maxSocketPathChars = 100;

/** In its one spelling, or undefined for what is no number (attack A-064: no digits but ASCII ones, one "+"). */
export function phoneNumber(text: string): string | undefined {
  const plain = text.replace(/^\+([\d ().-]+)$/, (_, rest: string) => `+${rest.replace(/[ ().-]/g, "")}`);
  return /^\+[1-9]\d{6,14}$/.test(plain) ? plain : undefined;
}

export function accountUuid(text: string): string | undefined {
  return uuidShape.test(text) ? text.toLowerCase() : undefined;
}

const ids: IdRule = {
  sender(text) {
    const plain = text.replace(/^signal:/i, "");
    const uuid = accountUuid(plain.replace(/^uuid:/i, ""));
    if (uuid !== undefined) return { id: `uuid:${uuid}` };
    const number = phoneNumber(plain);
    if (number !== undefined) return { id: number };
    return { problem: 'be a number such as "+15550001234" or "uuid:<the account\'s id>"' };
  },
  group(text) {
    const id = text.replace(/^(?:signal:)?(?:group:)?/i, "");
    return /^[A-Za-z0-9+/_-]{16,88}={0,2}$/.test(id)
      ? { id }
      : { problem: "be named by the group's id, as `signal-cli listGroups` prints it" };
  },
};

export const signal: Platform = {
  id: "signal",
  label: "Signal",
  ids,
  otherIds: async (folder, id) => (await import("./identities.ts")).otherIds(folder, id),
  setup: {
    before: [
      "Install signal-cli 0.13 or newer.",
      'Give it an account: signal-cli link -n "openclaw" (scan the code in the app: Settings, Linked devices), or signal-cli -a <number> register, then verify <code>.',
    ],
    questions: [
      { key: "account", question: "The account's number, such as +15550009999" },
      { key: "cliPath", question: "Where signal-cli is, when not in PATH", isOptional: true },
      {
        key: "allowFrom",
        question: "Who may write to it, numbers with commas between",
        isList: true,
        isOptional: true,
      },
    ],
    after: ["Write to the number. Who is not listed gets a code: openclaw pairing approve signal <code>"],
  },
  read: (section, sources) =>
    platformAccounts(signalSettings(section, sources), (settings) => ({
      secrets: [],
      open: async (deps) => (await import("./mod.ts")).openSignal(settings, deps),
    })),
};

export function signalSettings(config: unknown, _sources: SettingsSources): ReadAccounts<SignalAccount> {
  return readAccounts(config, "signal", {
    credentials: ["account"],
    read: onlyWhole(ownOf),
    compare: sameTwice,
  });
}

function sameTwice(accounts: readonly SignalAccount[], root: SettingsReader): void {
  const seen = new Set<string>();
  for (const { number } of accounts) {
    if (seen.has(number)) root.problem("accounts", `not name ${number} twice: both would take its messages`);
    seen.add(number);
  }
}

function ownOf(account: AccountPlace): SignalAccount | undefined {
  const { at } = account;
  // A named account is a number of its own; the channel's belongs to the default one.
  const place = account.isDefault && !account.place.has("account") ? account.root : account.place;
  const given = place.string("account");
  const number = given === undefined ? undefined : phoneNumber(given);
  if (number === undefined)
    place.problem("account", 'be the number that signal-cli uses, such as "+15550001234"');
  const givenUuid = place.string("accountUuid");
  const uuid = givenUuid === undefined ? undefined : accountUuid(givenUuid);
  if (givenUuid !== undefined && uuid === undefined) place.problem("accountUuid", "be a UUID");
  if (number === undefined) return undefined;
  const transport = transportOf(account, number);
  if (transport === undefined) return undefined;
  return {
    accountId: account.accountId,
    number,
    ...(uuid === undefined ? {} : { uuid }),
    transport,
    startupTimeoutMs: at("startupTimeoutMs").integer("startupTimeoutMs", 1_000, 120_000) ?? 30_000,
    sendReadReceipts: at("sendReadReceipts").boolean("sendReadReceipts", false),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 100, 8000) ?? 4000,
  };
}

function transportOf(account: AccountPlace, number: string): Transport | undefined {
  const { at } = account;
  const holder = at("transport");
  const inner = new SettingsReader(
    holder.object("transport"),
    [...holder.path, "transport"],
    holder.problems,
  );
  /** The documented place of a key, or the older one beside it. */
  const where = (key: string, older: string): readonly [SettingsReader, string] =>
    inner.has(key) || !at(older).has(older) ? [inner, key] : [at(older), older];
  const [urlAt, urlKey] = where("url", "httpUrl");
  const [socketAt, socketKey] = where("socketPath", "socketPath");
  const url = urlAt.string(urlKey);
  const socketPath = socketAt.string(socketKey);
  if (socketPath !== undefined && (!isAbsolute(socketPath) || socketPath.length > maxSocketPathChars)) {
    socketAt.problem(socketKey, `be an absolute path of at most ${maxSocketPathChars} characters`);
    return undefined;
  }
  const kinds = ["managed-native", "external-native", "container"] as const;
  const isStarted = at("autoStart").boolean("autoStart", url === undefined);
  const kind = inner.oneOf("kind", kinds) ?? (isStarted ? "managed-native" : "external-native");
  const [hostAt, hostKey] = where("host", "httpHost");
  const [portAt, portKey] = where("port", "httpPort");
  const host = hostAt.string(hostKey);
  const port = portAt.integer(portKey, 1, 65_535);
  if (kind === "managed-native") {
    const [cliAt, cliKey] = where("cliPath", "cliPath");
    const start = {
      kind: "managed",
      program: cliAt.string(cliKey) ?? "signal-cli",
      args: argsOf(account, number),
    } as const;
    if (host === undefined && port === undefined) return { ...start, socketPath, http: undefined };
    if (host !== undefined && !/^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host)) {
      hostAt.problem(hostKey, "be an address of this machine: signal-cli asks nobody for a password");
      return undefined;
    }
    return { ...start, socketPath, http: { host: host ?? "127.0.0.1", port: port ?? 8080 } };
  }
  if (socketPath !== undefined && kind === "external-native")
    return { kind: "socket", at: { path: socketPath } };
  const text = url ?? `http://${host ?? "127.0.0.1"}:${port ?? 8080}`;
  return remoteOf(text, kind, (message) => urlAt.problem(urlKey, message));
}

/** signal-cli asks for no password: whoever reaches it writes as the account, so it must be near or behind TLS. */
function remoteOf(
  text: string,
  kind: "external-native" | "container",
  problem: (message: string) => void,
): Transport | undefined {
  if (!URL.canParse(text)) {
    problem('be an address such as "http://127.0.0.1:8080"');
    return undefined;
  }
  const url = new URL(text);
  const schemes = kind === "container" ? ["http:", "https:"] : ["http:", "https:", "tcp:"];
  if (
    !schemes.includes(url.protocol) ||
    url.username !== "" ||
    !/^\/?$/.test(url.pathname) ||
    url.search !== ""
  ) {
    problem(`be ${schemes.map((scheme) => `${scheme}//host:port`).join(" or ")}, without a path`);
    return undefined;
  }
  if (url.protocol !== "https:" && !isNearby(url.hostname)) {
    problem("be https, or on this machine or a private network");
    return undefined;
  }
  if (url.protocol !== "tcp:") return { kind: kind === "container" ? "container" : "http", url: url.origin };
  return {
    kind: "socket",
    at: { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port) || 7583 },
  };
}

function argsOf({ at }: AccountPlace, number: string): readonly string[] {
  const configPath = at("configPath").string("configPath");
  // By default messages wait at Signal's server until we are there to take them.
  const mode = at("receiveMode").oneOf("receiveMode", ["on-start", "on-connection"]) ?? "on-connection";
  return [
    ...(configPath === undefined ? [] : ["--config", configPath]),
    ...["-a", number, "daemon", "--receive-mode", mode, "--no-receive-stdout"],
    ...(at("ignoreAttachments").boolean("ignoreAttachments", false) ? ["--ignore-attachments"] : []),
    ...(at("ignoreStories").boolean("ignoreStories", true) ? ["--ignore-stories"] : []),
  ];
}
