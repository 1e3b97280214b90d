import type { OpenClawConfig } from "../config/mod.ts";
import type { Problem } from "../kernel/mod.ts";
import { patternProblems } from "./mentions.ts";
import type { Path } from "./senders.ts";
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

/** Each `toolsBySender`, wherever it stands: rooms have many names. */
function toolProblems(config: OpenClawConfig): Problem[] {
  const found: Problem[] = [];
  const visit = (value: unknown, path: Path): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      const at = [...path, Array.isArray(value) ? Number(key) : key];
      if (key === "toolsBySender") found.push(...senderToolProblems(member, at));
      else visit(member, at);
    }
  };
  visit(config.tools, ["tools"]);
  visit(config.agents, ["agents"]);
  visit(config.channels, ["channels"]);
  return found;
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
