import type { AgentEvent, AttachmentBlock, ChatEvent } from "../control/protocol.ts";
import { filesOf } from "./chat-files.ts";
import type { Style } from "./style.ts";
import { duration } from "./table.ts";
import { textFlow } from "./text-flow.ts";
import { clip, visibleLine } from "./visible.ts";

/** Where the view writes: rows that stay, and one row that is rewritten until something stays. */
export interface ViewOutput {
  rows(rows: readonly string[]): void;
  live(row: string): void;
}

/** Turns a conversation's events into rows. */
export interface ChatView {
  chat(event: ChatEvent): void;
  agent(event: AgentEvent): void;
  /** The connection was lost: what these runs still say is shown whole, once they end. */
  interrupted(): void;
  /** A run that ended out of sight. */
  finished(runId: string, text: string, files: readonly AttachmentBlock[]): void;
}

interface RunState {
  /** What of the answer is on the screen. */
  shown: string;
  quiet: boolean;
  begun: boolean;
  readonly tools: Map<string, { readonly title: string; readonly startedAt: number }>;
}

export function chatView(ports: {
  readonly output: ViewOutput;
  readonly style: Style;
  readonly columns: () => number;
  /** What is shown of files that go with a reply. */
  readonly fileRows: (files: readonly AttachmentBlock[]) => readonly string[];
  readonly ended: (runId: string) => void;
}): ChatView {
  const { output, style } = ports;
  const states = new Map<string, RunState>();
  const ended = new Set<string>();
  let flow = textFlow(ports.columns() - 4);
  let flowing: string | undefined;

  function stateOf(runId: string): RunState {
    let state = states.get(runId);
    if (!state) {
      state = { shown: "", quiet: false, begun: false, tools: new Map() };
      states.set(runId, state);
    }
    return state;
  }

  function say(runId: string, text: string): void {
    const state = stateOf(runId);
    if (flowing !== runId) {
      endFlow();
      flow = textFlow(ports.columns() - 4);
      flowing = runId;
      state.begun = false;
    }
    output.rows(flow.push(text).map((row) => marked(state, row)));
    output.live(flow.rest === "" ? "" : markOf(state) + flow.rest);
  }

  function markOf(state: RunState): string {
    return state.begun ? "  " : `${style.cyan("●")} `;
  }

  function marked(state: RunState, row: string): string {
    const text = markOf(state) + row;
    state.begun = true;
    return text.trimEnd();
  }

  function endFlow(): void {
    if (flowing === undefined) return;
    const state = stateOf(flowing);
    const rows = flow.end().map((row) => marked(state, row));
    flowing = undefined;
    output.live("");
    output.rows(rows);
  }

  function finish(
    runId: string,
    text: string,
    note: string | undefined,
    files: readonly AttachmentBlock[] = [],
  ): void {
    if (ended.has(runId)) return;
    ended.add(runId);
    const state = stateOf(runId);
    const rest = missing(state.shown, text);
    if (rest !== "") say(runId, rest);
    endFlow();
    output.live("");
    output.rows(ports.fileRows(files).map((row) => `  ${row}`));
    if (note !== undefined) output.rows([`  ${note}`]);
    output.rows([""]);
    states.delete(runId);
    ports.ended(runId);
  }

  return {
    chat(event) {
      if (ended.has(event.runId)) return;
      const state = stateOf(event.runId);
      const whole = (event.message?.content ?? [])
        .map((part) => (part.type === "text" ? part.text : ""))
        .join("");
      switch (event.state) {
        case "delta":
          if (state.quiet) return;
          if (event.replace) {
            endFlow();
            if (state.shown !== "") output.rows([style.dim("  the model was cut off; it starts again")]);
            state.shown = "";
          }
          if (event.deltaText) {
            state.shown += event.deltaText;
            say(event.runId, event.deltaText);
          }
          return;
        case "final":
          return finish(event.runId, whole, undefined, filesOf(event.message?.content ?? []));
        case "aborted":
          return finish(event.runId, whole, style.yellow("stopped"));
        case "error":
          return finish(
            event.runId,
            "",
            style.red(`✗ ${visibleLine(event.errorMessage ?? "the run failed")}`),
          );
        default:
          return;
      }
    },
    agent(event) {
      if (event.stream !== "item" || ended.has(event.runId)) return;
      const { toolCallId, title: rawTitle, phase, status, error, startedAt, endedAt } = event.data;
      const state = stateOf(event.runId);
      const id = String(toolCallId);
      if (phase === "start") {
        const title = visibleLine(String(rawTitle));
        endFlow();
        state.tools.set(id, { title, startedAt: Number(startedAt ?? event.ts) });
        output.live(clip(`  ${style.dim("…")} ${title}`, ports.columns() - 1));
        return;
      }
      if (phase !== "end") return;
      const tool = state.tools.get(id) ?? { title: visibleLine(String(rawTitle)), startedAt: event.ts };
      state.tools.delete(id);
      const ms = Math.max(0, Number(endedAt ?? event.ts) - tool.startedAt);
      const time = style.dim(ms < 1000 ? `${ms} ms` : duration(ms));
      const failed = status === "failed";
      const mark = failed ? style.red("✗") : style.green("✓");
      output.live("");
      output.rows([
        `  ${mark} ${clip(tool.title, ports.columns() - 20)}  ${time}`,
        ...(failed && error
          ? [clip(`    ${visibleLine(String(error).replaceAll(/\s+/g, " "))}`, ports.columns() - 1)]
          : []),
      ]);
      const [running] = state.tools.values();
      if (running) output.live(clip(`  ${style.dim("…")} ${running.title}`, ports.columns() - 1));
    },
    interrupted() {
      endFlow();
      output.live("");
      for (const state of states.values()) {
        state.quiet = true;
        state.shown = "";
        state.tools.clear();
      }
    },
    finished: (runId, text, files) => finish(runId, text, undefined, files),
  };
}

/** What of the whole answer is not on the screen yet: nothing where the end of what was shown is the answer. */
function missing(shown: string, whole: string): string {
  if (whole.startsWith(shown)) return whole.slice(shown.length);
  return shown.endsWith(whole) || shown.trimEnd().endsWith(whole.trimEnd()) ? "" : `\n${whole}`;
}
