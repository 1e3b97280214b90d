import type { RunningCommand } from "../../sandbox/tool.ts";

/** All kept output, with a note of what was dropped before it. */
export function outputText(command: RunningCommand): string {
  const { text, droppedChars } = command.output();
  return droppedChars > 0 ? `[the first ${droppedChars} characters were dropped]\n${text}` : text;
}
