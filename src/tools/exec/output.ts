import type { RunningCommand } from "../../sandbox/tool.ts";

/** All output in memory, with a note of how to read what came before it. */
export function outputText(command: RunningCommand): string {
  const { text, droppedChars } = command.output();
  if (droppedChars === 0) return text;
  const how = `process, action log, sessionId ${command.id}, offset 1`;
  return `[${droppedChars} characters came before this; to read them: ${how}]\n${text}`;
}
