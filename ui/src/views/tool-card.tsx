import type { ToolItem } from "../conversation.ts";
import { durationWords } from "../time-words.ts";
import { fields, text } from "../untrusted.ts";
import { Icon } from "./icon.tsx";
import { Clip, Visible } from "./visible.tsx";

type Status = ToolItem["status"] | "waiting";

const statusWords: Readonly<Record<Status, string>> = {
  running: "Running",
  waiting: "Waiting for approval",
  done: "Done",
  failed: "Failed",
  stopped: "No result",
};

export function ToolCard({ item, isWaiting }: { readonly item: ToolItem; readonly isWaiting: boolean }) {
  const status: Status = isWaiting && item.status === "running" ? "waiting" : item.status;
  const command = text(fields(item.args).command);
  return (
    <section class={`tool tool-${status}`} aria-label={`Tool ${item.name || "call"}`}>
      <header class="tool-head">
        <Icon name={command === "" ? "tool" : "terminal"} />
        <strong class="tool-name">
          <Visible source={item.name || "tool"} />
        </strong>
        <span class="tool-time">{runTime(item)}</span>
        <span class={`pill pill-${status}`}>{statusWords[status]}</span>
      </header>
      {command !== "" && <Clip source={command} label="Command" maxLines={6} className="command" />}
      {restOfArguments(item.args, command) !== "" && (
        <Clip source={restOfArguments(item.args, command)} label="Arguments" maxLines={8} />
      )}
      {item.output !== "" && (
        <details class="tool-output" open={item.status === "failed"}>
          <summary>Output · {sizeWords(item.output)}</summary>
          <Clip source={item.output} label="Output" maxLines={24} />
        </details>
      )}
    </section>
  );
}

function restOfArguments(args: unknown, command: string): string {
  if (args === undefined || args === null) return "";
  if (typeof args === "string") return args;
  const rest =
    command === ""
      ? args
      : Object.fromEntries(Object.entries(fields(args)).filter(([name]) => name !== "command"));
  if (typeof rest === "object" && Object.keys(rest).length === 0) return "";
  return JSON.stringify(rest, null, 2) ?? "";
}

function runTime(item: ToolItem): string {
  if (item.startedAtMs === undefined || item.endedAtMs === undefined) return "";
  const tookMs = item.endedAtMs - item.startedAtMs;
  if (tookMs < 0) return "";
  return tookMs < 1_000 ? `${tookMs} ms` : durationWords(tookMs);
}

function sizeWords(output: string): string {
  const lines = output.trimEnd().split("\n").length;
  return lines === 1 ? "1 line" : `${lines.toLocaleString()} lines`;
}
