import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { Powers, RunningCommand, Tool, ToolOutput } from "../../sandbox/tool.ts";
import { keysToText } from "./keys.ts";

const actions = [
  "list",
  "poll",
  "log",
  "write",
  "send-keys",
  "submit",
  "paste",
  "kill",
  "clear",
  "remove",
] as const;
type Action = (typeof actions)[number];
const maxPollMs = 120_000;
const defaultLogLines = 200;

const parameters = s.object({
  action: s.oneOf(actions, {
    description:
      "list: all commands of this conversation. poll: new output. log: pages through all kept output (offset, limit). write: send data. paste: send data as one piece, so that line ends in it submit nothing. submit: send data and Enter. send-keys: send keys. kill: end it and all that it started. clear: forget all that have ended. remove: end and forget one.",
  }),
  sessionId: s.optional(s.string({ description: "Which command (from exec).", minLength: 1, maxLength: 64 })),
  data: s.optional(s.string({ description: "For write, paste and submit.", maxLength: 100_000 })),
  eof: s.optional(s.boolean({ description: "For write: close the input afterwards." })),
  keys: s.optional(
    s.array(s.string({ maxLength: 1000 }), {
      description: 'For send-keys: like ["Up", "Enter"], ["C-c"], ["M-x"]; anything else is typed as it is.',
      minItems: 1,
      maxItems: 200,
    }),
  ),
  timeout: s.optional(
    s.integer({
      description: "For poll: wait up to so many milliseconds for its end.",
      minimum: 0,
      maximum: maxPollMs,
    }),
  ),
  offset: s.optional(s.integer({ description: "For log: first line, from 1.", minimum: 1 })),
  limit: s.optional(s.integer({ description: "For log: how many lines.", minimum: 1, maximum: 2000 })),
});
type Args = Static<typeof parameters>;

/** Looks after commands that exec left running. */
export function openProcess(): Tool {
  return {
    spec: {
      name: "process",
      description: "Looks after the commands that exec started: see their output, write to them, end them.",
      parameters,
    },
    plan(args) {
      const { action, sessionId } = args as Args;
      if (isAboutAll(action)) return [{ kind: "process", action }];
      const input = typedText(args as Args);
      const processId = requireId(action, sessionId);
      return [{ kind: "process", action, processId, ...(input === undefined ? {} : { input }) }];
    },
    async run(args, powers) {
      const asked = args as Args;
      if (isAboutAll(asked.action)) return all(asked.action, powers);
      const id = requireId(asked.action, asked.sessionId);
      const command = powers.commands.get(id);
      if (!command)
        throw new InputError(
          `There is no command ${JSON.stringify(id)}. Use action list to see which there are.`,
        );
      return one(asked, command, powers);
    },
  };
}

/** What the call would type into a running program; undefined when it only looks or ends. */
function typedText({ action, data, keys }: Args): string | undefined {
  if (action === "write" || action === "paste" || action === "submit") return data ?? "";
  return action === "send-keys" ? (keys ?? []).join(" ") : undefined;
}

function isAboutAll(action: Action): boolean {
  return action === "list" || action === "clear";
}

function requireId(action: Action, sessionId: string | undefined): string {
  if (sessionId === undefined) throw new InputError(`Action ${action} needs the sessionId of a command.`);
  return sessionId;
}

function all(action: Action, { commands }: Powers): ToolOutput {
  if (action === "clear") {
    const over = commands.list().filter((command) => command.exit !== undefined);
    for (const command of over) command.remove();
    return said(`Forgot ${over.length} ended commands.`, { removed: over.length });
  }
  const rows = commands
    .list()
    .map((command) => `${command.id}  ${state(command)}  ${command.command.slice(0, 200)}`);
  return said(rows.length === 0 ? "No commands." : rows.join("\n"), { count: rows.length });
}

async function one(asked: Args, command: RunningCommand, powers: Powers): Promise<ToolOutput> {
  const about = () => ({
    sessionId: command.id,
    status: command.exit ? "ended" : "running",
    exitCode: command.exit?.code ?? null,
  });
  switch (asked.action) {
    case "poll": {
      if (asked.timeout) await command.wait(asked.timeout, powers.signal);
      const output = command.poll();
      return {
        text: `[${state(command)}]\n${output || "(no new output)"}`,
        isError: false,
        origin: "command",
        details: about(),
      };
    }
    case "log":
      return {
        text: `[${state(command)}]\n${await log(command, asked)}`,
        isError: false,
        origin: "command",
        details: about(),
      };
    case "paste":
      command.paste(requireData(asked));
      return said("Sent.", about());
    case "write":
      command.write(requireData(asked));
      if (asked.eof === true) command.closeInput();
      return said("Sent.", about());
    case "submit":
      command.write(`${asked.data ?? ""}${lineEnd(command)}`);
      return said("Sent.", about());
    case "send-keys":
      if (!asked.keys) throw new InputError('Action send-keys needs keys, like ["Enter"].');
      command.write(keysToText(asked.keys, lineEnd(command)));
      return said("Sent.", about());
    case "kill":
      await command.kill();
      return said(`Command ${command.id}: ${state(command)}.`, about());
    case "remove":
      await command.kill();
      command.remove();
      return said(`Forgot command ${command.id}.`, about());
    default:
      throw new InputError(`Action ${asked.action} takes no sessionId.`);
  }
}

function requireData(asked: Args): string {
  if (asked.data === undefined && asked.eof !== true)
    throw new InputError(`Action ${asked.action} needs data.`);
  return asked.data ?? "";
}

async function log(command: RunningCommand, { offset, limit = defaultLogLines }: Args): Promise<string> {
  const { first, lines, total } = await command.lines(offset, limit);
  if (lines.length === 0) return total === 0 ? "(no output)" : `(there are only ${total} lines)`;
  const last = first - 1 + lines.length;
  const more = last < total ? `; go on with offset ${last + 1}` : "";
  return `${lines.join("\n")}\n[lines ${first}-${last} of ${total}${more}]`;
}

/** Enter is a carriage return, which a terminal turns into a line end; a pipe has nobody who would. */
function lineEnd({ hasTerminal }: RunningCommand): string {
  return hasTerminal ? "\r" : "\n";
}

function state({ exit }: RunningCommand): string {
  if (!exit) return "running";
  if (exit.lost) return "ended with the gateway that ran it";
  if (exit.timedOut) return "ended: it took too long";
  return exit.code === null ? `ended by ${exit.signal ?? "a fault"}` : `exit code ${exit.code}`;
}

function said(text: string, details: NonNullable<ToolOutput["details"]>): ToolOutput {
  return { text, isError: false, details };
}
