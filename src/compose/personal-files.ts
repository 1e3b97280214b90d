import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { Overheard, SessionRow } from "../session/mod.ts";
import { writeFileAtomic } from "../store/mod.ts";

/** The conversation that something belongs to. */
type Conversation = Pick<SessionRow, "agentId" | "key" | "sessionId">;

/**
 * Something beside the database that keeps parts of conversations: what commands printed, files as they were before a
 * change, a memory made of what was said. Whoever adds such a store puts one of these into {@link conversationStores};
 * `sessions.delete`, `privacy erase` and nothing else call it, before the conversation's own rows go. So nothing of a
 * conversation outlives it, and what a person said in one with others goes with that person.
 */
export interface ConversationStore {
  /** All of a conversation; what still runs for it ends first. A second call changes nothing. */
  forget(conversation: Conversation): Promise<void>;
  /** What came of these runs, in a conversation in which others take part. Where nobody knows whose it is: all of it. */
  forgetRuns(conversation: Conversation, runIds: ReadonlySet<string>): Promise<void>;
}

/** Every store beside the database, in the order in which they are told. */
export function conversationStores(
  tools: {
    endSession(sessionKey: string): Promise<void>;
    forgetCommands(sessionKey: string): Promise<void>;
    forgetVersions(of: {
      readonly sessionKeys: ReadonlySet<string>;
      readonly runIds: ReadonlySet<string>;
    }): Promise<void>;
  },
  overheard: Pick<Overheard, "forgetSession">,
  shown: ConversationStore,
): readonly ConversationStore[] {
  const none: ReadonlySet<string> = new Set();
  return [
    shown,
    {
      forget: async ({ key }) => overheard.forgetSession(key),
      forgetRuns: async ({ key }) => overheard.forgetSession(key),
    },
    {
      forget: ({ key }) => tools.endSession(key),
      forgetRuns: ({ key }) => tools.forgetCommands(key),
    },
    {
      forget: ({ key }) => tools.forgetVersions({ sessionKeys: new Set([key]), runIds: none }),
      forgetRuns: (_, runIds) => tools.forgetVersions({ sessionKeys: none, runIds }),
    },
  ];
}

const maxFiles = 20_000;
const maxBytes = 4_000_000;

/** Accounts of a channel that have a file of pairings. */
export async function pairingAccounts(credentials: string, channel: string): Promise<string[]> {
  const found = new Set<string>();
  for (const name of await namesIn(credentials)) {
    const rest = name.startsWith(`${channel}-`) ? name.slice(channel.length + 1) : "";
    const account = /^(?:(.+)-)?(?:pairing|allowFrom)\.json$/.exec(rest);
    if (account) found.add(account[1] ?? "default");
  }
  return [...found];
}

/** Copies of conversations that are in the database no more, and name this person. */
export async function orphanTranscripts(
  stateFolder: string,
  isKnown: (sessionId: string) => boolean,
  names: (text: string) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  for (const agentId of await namesIn(join(stateFolder, "agents"))) {
    const folder = join(stateFolder, "agents", agentId, "sessions");
    for (const name of await namesIn(folder)) {
      const id = /^(.+)\.jsonl$/.exec(name)?.[1];
      if (id === undefined || isKnown(id)) continue;
      if (names(await readFile(join(folder, name), "utf8"))) found.push(join(folder, name));
    }
  }
  return found;
}

/** Files of the state folder, but the database and the conversations, in which somebody is named: the first line. */
export async function filesThatName(
  stateFolder: string,
  names: (text: string) => boolean,
): Promise<{ readonly file: string; readonly line: number }[]> {
  const found: { file: string; line: number }[] = [];
  const folders = [stateFolder];
  let files = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      const place = relative(stateFolder, path);
      if (
        /^state\/gateway\.sqlite|^agents\/[^/]+\/sessions$|^homes\/[^/]+\/\.(?:npm|cache)$|(?:^|\/)node_modules$|(?:^|\/)\.git$/.test(
          place,
        )
      )
        continue;
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile() || ++files > maxFiles || (await stat(path)).size > maxBytes) continue;
      const text = await readFile(path, "utf8");
      if (!names(text)) continue;
      const line = text.split("\n").findIndex((item) => names(item));
      found.push({ file: path, line: Math.max(line, 0) + 1 });
    }
  }
  return found;
}

/** One account's own state, and its files in which somebody is named. */
export interface ChannelState {
  readonly channel: string;
  readonly account: string;
  readonly files: readonly string[];
}

/** What channels keep for themselves (whom an account is linked to, where they stand), as far as it names somebody. */
export async function channelStates(
  credentials: string,
  names: (text: string) => boolean,
): Promise<ChannelState[]> {
  const found: ChannelState[] = [];
  for (const channel of await namesIn(credentials)) {
    for (const account of await namesIn(join(credentials, channel))) {
      const folder = join(credentials, channel, account);
      const files: string[] = [];
      for (const name of await namesIn(folder)) {
        const path = join(folder, name);
        const status = await stat(path);
        if (!status.isFile()) continue;
        if (names(named(name, channel)) || names(named(await readFile(path, "utf8"), channel)))
          files.push(path);
      }
      if (files.length > 0) found.push({ channel, account, files });
    }
  }
  return found;
}

/** Takes somebody out of such a file: lines, members and items that name them; the whole file where its name does. */
export async function takeOut(
  file: string,
  channel: string,
  names: (text: string) => boolean,
): Promise<void> {
  if (names(named(file.slice(file.lastIndexOf(sep) + 1), channel))) return rm(file, { force: true });
  const text = await readFile(file, "utf8");
  const isTheirs = (part: string) => names(named(part, channel));
  const left = file.endsWith(".jsonl")
    ? text
        .split("\n")
        .filter((line) => !isTheirs(line))
        .join("\n")
    : withoutMembers(text, isTheirs);
  await writeFileAtomic(file, left);
}

function withoutMembers(text: string, isTheirs: (part: string) => boolean): string {
  const pruned = (value: unknown): unknown => {
    // An item that is a list itself is a row of its own.
    if (Array.isArray(value)) return value.filter((item) => !isGoing(item)).map(pruned);
    if (isPlain(value)) return value;
    const members = Object.entries(value as object).filter(
      ([key, member]) => !isTheirs(JSON.stringify(key)) && (Array.isArray(member) || !isGoing(member)),
    );
    return Object.fromEntries(members.map(([key, member]) => [key, pruned(member)]));
  };
  // A part that holds others as well is looked into, and stays.
  const isGoing = (value: unknown): boolean =>
    (isPlain(value) || Object.values(value as object).every(isPlain)) &&
    isTheirs(JSON.stringify(value) ?? "");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Of a form that we do not know: it may be what the account signs in with. The receipt names it among what is left.
    return text;
  }
  return JSON.stringify(pruned(value));
}

const isPlain = (value: unknown) => typeof value !== "object" || value === null;

/** An id counts beside its channel's name, which files of that channel do not repeat. */
function named(text: string, channel: string): string {
  return `"${channel}" ${text}`;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw error;
  });
}
