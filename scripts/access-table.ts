/**
 * Prints docs/access-table.md and docs/access-table.jsonl: what the decision says to every combination of chat kind,
 * policy, group, listing, mention, command and owner, asked of the code itself. With --check it fails when they are
 * not up to date. Values that make no difference are merged; each combination stands in exactly one row.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AccessSettings,
  accessSettings,
  decide,
  type Facts,
  plainIds,
  unused,
} from "../src/access/mod.ts";
import type { OpenClawConfig } from "../src/config/mod.ts";
import { admitted } from "../src/kernel/mod.ts";

/** What the rows are made of, widest first; each value is one that config or message can have. */
export const dimensions = {
  kind: ["direct", "group", "channel", "unknown"],
  policy: ["pairing", "allowlist", "open", "disabled"],
  /** Of groups: in the registry by its id, by "*", turned off, or not at all. */
  group: ["unlisted", "listed", "star", "off"],
  /** How the lists name the sender: not, by a pairing, by id, through an access group, or as "*". */
  listing: ["nowhere", "paired", "id", "access group", "anybody"],
  mention: ["none", "platform", "reply", "pattern"],
  command: ["none", "common", "owner's"],
  owner: ["no", "yes"],
} as const;

export type Dimension = keyof typeof dimensions;
export type Combination = { readonly [D in Dimension]: (typeof dimensions)[D][number] };
/** Several combinations with one outcome: each member lists the values it holds for. */
export interface Row {
  readonly values: { readonly [D in Dimension]: readonly string[] };
  readonly outcome: string;
}

const names = Object.keys(dimensions) as readonly Dimension[];
const me = "me";
const chat = "the-group";

/** Every combination there is. */
export function combinations(): readonly Combination[] {
  let all: Record<string, string>[] = [{}];
  for (const name of names) {
    all = all.flatMap((made) => dimensions[name].map((value) => ({ ...made, [name]: value })));
  }
  return all as object[] as Combination[];
}

/** "admit" or the reason: asked of the code that decides. */
export function outcomeOf(combination: Combination): string {
  const verdict = decide(factsOf(combination), settingsOf(combination));
  return admitted(verdict) ? "admit" : verdict.reason;
}

/** Compiled once for each config, as the gateway does. */
const compiled = new Map<string, AccessSettings>();

function settingsOf(combination: Combination): AccessSettings {
  const { policy, group, listing, owner } = combination;
  const key = [policy, group, listing, owner].join("\n");
  const settings = compiled.get(key) ?? compile(combination);
  compiled.set(key, settings);
  return settings;
}

function compile({ policy, group, listing, owner }: Combination): AccessSettings {
  const list = { nowhere: [], paired: [], id: [me], "access group": ["accessGroup:team"], anybody: ["*"] }[
    listing
  ];
  const groups = {
    unlisted: {},
    listed: { [chat]: {} },
    star: { "*": {} },
    off: { [chat]: { enabled: false } },
  }[group];
  const config = {
    channels: {
      irc: {
        dmPolicy: policy,
        // "pairing" is no policy of groups: there it is a value that nobody knows.
        groupPolicy: policy,
        allowFrom: list,
        ...(listing === "nowhere" || listing === "paired" ? {} : { groupAllowFrom: list }),
        groups,
      },
    },
    accessGroups: { team: { type: "message.senders", members: { irc: [me] } } },
    commands: { ownerAllowFrom: owner === "yes" ? [`irc:${me}`] : [] },
    messages: { groupChat: { mentionPatterns: ["\\bbot\\b"] } },
  };
  return accessSettings(config as object as OpenClawConfig, "irc", "default", plainIds).settings;
}

function factsOf({ kind, listing, mention, command }: Combination): Facts {
  const text = { none: "hello", common: "/status", "owner's": "/restart" }[command];
  return {
    message: {
      channel: "irc",
      account: "default",
      eventId: "1",
      conversation: { kind: kind as "direct", id: kind === "direct" ? me : chat },
      sender: { id: me, proof: "platform" },
      text,
      messageId: "1",
      mentionsBot: mention === "platform",
      repliesToBot: mention === "reply",
      ...(mention === "pattern" ? { ownText: "hey bot" } : {}),
      isBot: false,
    },
    paired: new Set(listing === "paired" ? [me] : []),
    agentId: "main",
    command: undefined,
    use: unused,
  };
}

/** The whole table, merged. */
export function accessTable(): readonly Row[] {
  const outcomes = new Map(combinations().map((item) => [keyOf(item), outcomeOf(item)]));
  const under = (fixed: Partial<Combination>, left: readonly Dimension[]): Row[] => {
    const [name, ...rest] = left;
    if (name === undefined) {
      return [{ values: {} as Row["values"], outcome: outcomes.get(keyOf(fixed as Combination)) ?? "" }];
    }
    const merged = new Map<string, { readonly values: string[]; readonly rows: Row[] }>();
    for (const value of dimensions[name]) {
      const rows = under({ ...fixed, [name]: value }, rest);
      const key = JSON.stringify(rows);
      const same = merged.get(key);
      if (same) same.values.push(value);
      else merged.set(key, { values: [value], rows });
    }
    return [...merged.values()].flatMap(({ values, rows }) =>
      rows.map((row) => ({ values: { [name]: values, ...row.values }, outcome: row.outcome })),
    );
  };
  return under({}, names);
}

function keyOf(combination: Combination): string {
  return names.map((name) => combination[name]).join("\n");
}

function page(rows: readonly Row[]): string {
  const cell = (row: Row, name: Dimension) =>
    row.values[name].length === dimensions[name].length ? "any" : row.values[name].join(", ");
  const lines = rows.map(
    (row) => `| ${names.map((name) => cell(row, name)).join(" | ")} | \`${row.outcome}\` |`,
  );
  return `# The decision table of access

What the code says to each of ${combinations().length} combinations, with a list that holds the sender as the column says (both for
direct chats and for groups) and everything else at its default. Values that make no difference are merged. Printed
from the code by \`node scripts/access-table.ts\`; \`access-table.jsonl\` beside it is the same for programs.
What the words mean is in [access.md](access.md).

| ${names.join(" | ")} | outcome |
|${"---|".repeat(names.length + 1)}
${lines.join("\n")}
`;
}

if (process.argv[1] === import.meta.filename) {
  const rows = accessTable();
  const files = {
    "access-table.md": page(rows),
    "access-table.jsonl": rows
      .map((row) => `${JSON.stringify({ ...row.values, outcome: row.outcome })}\n`)
      .join(""),
  };
  for (const [name, text] of Object.entries(files)) {
    const file = join(import.meta.dirname, "../docs", name);
    if (!process.argv.includes("--check")) writeFileSync(file, text);
    else if (readFileSync(file, "utf8") !== text) {
      console.error(`docs/${name} is not up to date; run: node scripts/access-table.ts`);
      process.exitCode = 1;
    }
  }
}
