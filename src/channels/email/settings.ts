import { domainToASCII } from "node:url";
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

/** One mailbox. */
export interface EmailAccount {
  readonly accountId: string;
  /** What we write from, in its one spelling. */
  readonly address: string;
  /** Other addresses that lead into this mailbox, a forwarding address for example. */
  readonly aliases: readonly string[];
  readonly displayName: string;
  /** The name of the receiving server in the results that it writes; undefined: nobody's address is proved. */
  readonly authservId?: string;
  readonly mailbox: string;
  readonly imap: MailServer;
  readonly smtp: MailServer;
  /** The SMTP server files each message under "Sent" by itself: what is not there was not sent. */
  readonly smtpKeepsSent: boolean;
  readonly login: Login;
  readonly maxFileBytes: number;
  readonly textChunkLimit: number;
}

export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** "starttls" never goes on without; "none" only nearby. */
  readonly security: "tls" | "starttls" | "none";
  readonly caFile?: string;
}

export interface Login {
  readonly user: string;
  readonly with:
    | { readonly kind: "password"; readonly password: Secret }
    | {
        readonly kind: "oauth2";
        readonly tokenUrl: string;
        readonly clientId: string;
        readonly clientSecret?: Secret;
        readonly refreshToken: Secret;
        readonly scope?: string;
      };
}

const maxTextChars = 200_000;

/**
 * The one spelling of an address: the domain in lower case and ASCII, the part before it as it is, because there only
 * its own server knows which letters are the same (attack A-057). A "*" is no letter: it would look like a pattern. Undefined for what is no plain address.
 */
export function addressOf(text: string): string | undefined {
  const at = text.lastIndexOf("@");
  const local = text.slice(0, at);
  const domain = domainOf(text.slice(at + 1));
  const plain =
    at > 0 &&
    local.length <= 64 &&
    /^[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+)*$/.test(local);
  return plain && domain !== undefined ? `${local}@${domain}` : undefined;
}

export function domainOf(text: string): string | undefined {
  const domain = domainToASCII(text.trim().replace(/\.$/, "")).toLowerCase();
  return domain.length <= 253 && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(domain) ? domain : undefined;
}

const ids: IdRule = {
  sender(text) {
    const id = addressOf(text.replace(/^(?:e-?mail|mailto):/i, ""));
    return id === undefined ? { problem: 'be an address such as "ada@example.org"' } : { id };
  },
  group: () => ({ problem: "be empty: mail has no groups" }),
};

export const email: Platform = {
  id: "email",
  label: "E-mail",
  ids,
  setup: {
    before: [
      "Make a mailbox for the bot, not yours, and an app password where the provider wants one (OAuth2: docs/channels/email.md).",
      "Look into the source of a letter that arrived there: the topmost Authentication-Results begins with the receiving server's name.",
    ],
    questions: [
      { key: "address", question: "The bot's address" },
      { key: "imap.host", question: "The IMAP server" },
      { key: "smtp.host", question: "The SMTP server" },
      { key: "password", question: "The password", isSecret: true },
      { key: "authservId", question: "The name in Authentication-Results", isOptional: true },
      {
        key: "allowFrom",
        question: "Who may write to it, addresses with commas between",
        isList: true,
        isOptional: true,
      },
    ],
    after: [
      "Write to the address. Without a name in Authentication-Results no sender is proved, and nobody is answered.",
    ],
  },
  read: (section, sources) =>
    platformAccounts(emailSettings(section, sources), (settings) => ({
      secrets: secretsOf(settings.login).map((secret) => secret.reveal()),
      probe: async (clock) => (await import("./probe.ts")).probeEmail(settings, clock),
      open: async (deps) => (await import("./mod.ts")).openEmail(settings, deps),
    })),
};

function secretsOf({ with: how }: Login): readonly Secret[] {
  if (how.kind === "password") return [how.password];
  return [how.refreshToken, ...(how.clientSecret ? [how.clientSecret] : [])];
}

export function emailSettings(config: unknown, sources: SettingsSources): ReadAccounts<EmailAccount> {
  return readAccounts(config, "email", {
    credentials: ["address"],
    read: onlyWhole((account) => connectionOf(account, sources)),
    compare: sameTwice,
  });
}

function sameTwice(accounts: readonly EmailAccount[], root: SettingsReader): void {
  const seen = new Set<string>();
  for (const { address, accountId } of accounts) {
    // Both would answer each message (attack A-181).
    if (seen.has(address)) root.problem("accounts", `have one mailbox per account: ${accountId} repeats one`);
    seen.add(address);
  }
}

function connectionOf(account: AccountPlace, sources: SettingsSources): EmailAccount | undefined {
  const { at } = account;
  const address = ownAddress(account.place);
  if (address === undefined) return undefined;
  const imap = serverOf(at("imap"), "imap", { tls: 993, plain: 143 });
  const smtp = serverOf(at("smtp"), "smtp", { tls: 465, plain: 587 });
  const login = loginOf(account, address, sources);
  if (!imap || !smtp || !login) return undefined;
  const authservId = at("authservId").string("authservId")?.trim().toLowerCase();
  return {
    accountId: account.accountId,
    address,
    aliases: aliasesOf(account.place),
    displayName: (at("displayName").string("displayName") ?? "").replace(/[\p{Cc}"<>]/gu, " ").trim(),
    ...(authservId === undefined ? {} : { authservId }),
    mailbox: at("mailbox").string("mailbox") ?? "INBOX",
    imap,
    smtp,
    smtpKeepsSent: at("smtpKeepsSent").boolean("smtpKeepsSent", false),
    login,
    maxFileBytes: (at("mediaMaxMb").integer("mediaMaxMb", 0, 100) ?? 20) * 1024 * 1024,
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 1, maxTextChars) ?? 100_000,
  };
}

function ownAddress(place: SettingsReader): string | undefined {
  const text = place.string("address");
  const address = text === undefined ? undefined : addressOf(text.trim());
  if (address === undefined)
    place.problem("address", 'be the mailbox\'s own address, such as "bot@example.org"');
  return address;
}

function aliasesOf(place: SettingsReader): readonly string[] {
  const given = place.raw("aliases");
  if (given === undefined) return [];
  const found = Array.isArray(given) ? given.map((item) => addressOf(String(item).trim())) : [undefined];
  if (!found.includes(undefined)) return found.filter((item) => item !== undefined);
  place.problem("aliases", "be an array of addresses");
  return [];
}

function serverOf(
  holder: SettingsReader,
  key: "imap" | "smtp",
  ports: { readonly tls: number; readonly plain: number },
): MailServer | undefined {
  if (!holder.has(key)) {
    holder.problem(key, `be set: { host: "${key}.example.org" }`);
    return undefined;
  }
  const place = new SettingsReader(holder.object(key), [...holder.path, key], holder.problems);
  const host = place.string("host");
  const security = place.oneOf("security", ["tls", "starttls", "none"]) ?? "tls";
  const port = place.integer("port", 1, 65_535) ?? (security === "tls" ? ports.tls : ports.plain);
  const caFile = place.string("tlsCaFile");
  if (host === undefined || !/^[A-Za-z0-9._:-]+$/.test(host)) {
    place.problem("host", "be a host name or an address, without port or scheme");
    return undefined;
  }
  if (security === "none" && !isNearby(host)) {
    place.problem("security", "be tls or starttls (none only for this machine or a private network)");
    return undefined;
  }
  return { host, port, security, ...(caFile === undefined ? {} : { caFile }) };
}

function loginOf(account: AccountPlace, address: string, sources: SettingsSources): Login | undefined {
  const { place, at } = account;
  const user = at("user").string("user") ?? address;
  if (!place.has("oauth2")) {
    const keys = { key: "password", fileKey: "passwordFile", env: "EMAIL_PASSWORD" };
    const password = accountSecret(account, keys, sources);
    return password && { user, with: { kind: "password", password } };
  }
  const own = new SettingsReader(place.object("oauth2"), [...place.path, "oauth2"], place.problems);
  const nested = { ...account, place: own, root: own };
  const tokenUrl = own.string("tokenUrl");
  const clientId = own.string("clientId");
  const scope = own.string("scope");
  const refreshToken = accountSecret(nested, { key: "refreshToken", fileKey: "refreshTokenFile" }, sources);
  const clientSecret = accountSecret(
    nested,
    { key: "clientSecret", fileKey: "clientSecretFile" },
    sources,
    true,
  );
  const url = tokenUrl !== undefined && URL.canParse(tokenUrl) ? new URL(tokenUrl) : undefined;
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && isNearby(url.hostname));
  if (!safe) own.problem("tokenUrl", "be the https URL at which the provider gives tokens");
  if (clientId === undefined) own.problem("clientId", "be set");
  if (!safe || tokenUrl === undefined || clientId === undefined || !refreshToken) return undefined;
  return {
    user,
    with: {
      kind: "oauth2",
      tokenUrl,
      clientId,
      refreshToken,
      ...(clientSecret ? { clientSecret } : {}),
      ...(scope === undefined ? {} : { scope }),
    },
  };
}
