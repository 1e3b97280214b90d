import { InputError } from "../kernel/mod.ts";
import type { StoredCommand } from "./command-records.ts";
import type { RunningCommand } from "./tool.ts";

/** A command of an earlier gateway: it runs no more, and what it printed can still be read. */
export function storedCommand(stored: StoredCommand, forget: () => void): RunningCommand {
  const { id, command = "(not kept)", startedAtMs } = stored;
  const exit = stored.exit ?? { code: null, signal: null, timedOut: false, lost: true };
  const refuse = () => {
    throw new InputError(`Command ${id} takes no more input. It ended with the gateway that ran it.`);
  };
  return {
    id,
    command,
    startedAtMs,
    exit,
    hasTerminal: false,
    output: () => ({ text: "", droppedChars: 0 }),
    poll: () => "",
    lines: stored.lines,
    write: refuse,
    paste: refuse,
    closeInput() {},
    kill: async () => {},
    wait: async () => {},
    remove() {
      stored.remove();
      forget();
    },
  };
}
