import type { OpenClawConfig } from "../config/mod.ts";
import type { Problem } from "../kernel/mod.ts";
import { agentsOf, patternProblems } from "./mentions.ts";
import type { Path } from "./senders.ts";
import type { ChannelSection } from "./settings.ts";
import { senderToolProblems } from "./tool-limits.ts";

/**
 * What is wrong with who may talk, whatever the platform: such a config is not taken. Messages follow "must". What
 * only a platform can tell (a name where its ids are numbers) comes with its settings.
 */
export function accessFindings(config: OpenClawConfig): Problem[] {
  return [
    ...patternProblems(config),
    ...ownerProblems(config),
    ...toolProblems(config),
    ...groupReferenceProblems(config),
  ];
}

/** An owner without a channel would be whoever has that id on any of them; "*" would make everybody one. */
function ownerProblems(config: OpenClawConfig): Problem[] {
  return (config.commands?.ownerAllowFrom ?? []).flatMap((entry, index): Problem[] =>
    /^[a-z][a-z0-9-]*:(?!\*$)\s*\S/i.test(String(entry).trim())
      ? []
      : [
          {
            path: ["commands", "ownerAllowFrom", index],
            kind: "value",
            message: 'name channel and sender id, such as "telegram:123456789" ("*" makes nobody an owner)',
          },
        ],
  );
}

function toolProblems(config: OpenClawConfig): Problem[] {
  return [
    ...senderToolProblems(config.tools?.toolsBySender, ["tools", "toolsBySender"]),
    ...agentsOf(config).flatMap(({ agent, at }) =>
      senderToolProblems(agent.tools?.toolsBySender, [...at, "tools", "toolsBySender"]),
    ),
    ...sectionsOf(config).flatMap(({ section, at }) => [
      ...roomToolProblems(section.groups, [...at, "groups"]),
      ...roomToolProblems(section.direct, [...at, "direct"]),
    ]),
  ];
}

type Rooms = Readonly<
  Record<
    string,
    {
      readonly toolsBySender?: Readonly<Record<string, unknown>>;
      readonly topics?: Rooms;
    }
  >
>;

function roomToolProblems(rooms: Rooms | undefined, at: Path): Problem[] {
  return Object.entries(rooms ?? {}).flatMap(([id, room]) => [
    ...senderToolProblems(room.toolsBySender, [...at, id, "toolsBySender"]),
    ...roomToolProblems(room.topics, [...at, id, "topics"]),
  ]);
}

/** Each `accessGroup:<name>` anywhere under channels and commands names a group that is there. */
function groupReferenceProblems(config: OpenClawConfig): Problem[] {
  const groups = config.accessGroups ?? {};
  const found: Problem[] = [];
  const visit = (value: unknown, path: Path): void => {
    const name = typeof value === "string" ? /^\s*accessGroup:(.*)$/s.exec(value)?.[1]?.trim() : undefined;
    if (name !== undefined && !Object.hasOwn(groups, name)) {
      const known = Object.keys(groups);
      const there = known.length === 0 ? "accessGroups has none" : `accessGroups has ${known.join(", ")}`;
      found.push({ path, kind: "value", message: `name a group that is there: ${there}` });
    }
    if (typeof value !== "object" || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      visit(member, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  };
  visit(config.channels, ["channels"]);
  visit(config.commands, ["commands"]);
  return found;
}

function sectionsOf(config: OpenClawConfig): { readonly section: ChannelSection; readonly at: Path }[] {
  const sections: Readonly<Record<string, unknown>> = config.channels ?? {};
  return Object.entries(sections).flatMap(([id, value]) => {
    if (id === "defaults" || id === "modelByChannel") return [];
    const section = value as ChannelSection;
    const at = ["channels", id];
    const accounts = Object.entries(section.accounts ?? {});
    return [
      { section, at },
      ...accounts.map(([name, own]) => ({ section: own, at: [...at, "accounts", name] })),
    ];
  });
}
