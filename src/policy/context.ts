import type { Refusal } from "../kernel/mod.ts";
import type { Tool } from "../sandbox/tool.ts";
import type { SsrfSettings } from "./address.ts";
import type { CommandRules } from "./command-rules.ts";
import type { Effect } from "./effect.ts";
import type { ElevatedCaller } from "./elevated.ts";
import type { NodeCommandFacts } from "./node-command.ts";
import type { Question } from "./question.ts";
import type { SandboxFacts } from "./sandbox-entry.ts";
import type { PolicySettings } from "./settings.ts";

/** All that a call is judged by. */
export interface PolicyContext {
  readonly settings: PolicySettings;
  readonly tool: Pick<Tool, "spec" | "plan"> | undefined;
  readonly commands: CommandRules;
  readonly ssrf: SsrfSettings;
  /** For a command on a node: what the node said of it when it prepared it. */
  readonly node?: NodeCommandFacts;
  /** Who would have a command leave its sandbox. Absent: nobody may. */
  readonly caller?: ElevatedCaller;
  /** There for every call of a sandboxed session, whether or not its sandbox can be used. */
  readonly sandbox?: SandboxFacts;
}

/** What a judged effect comes to: itself and what it brings with it, and the question that stands before it. */
export type Judged =
  | Refusal
  | {
      readonly effects: readonly Effect[];
      readonly ask?: Question["approval"];
      /** The question may go to a second model before a person. */
      readonly canReview?: boolean;
    };
