import { createInterface, type Interface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import type { Cli } from "./mod.ts";
import { widthOf } from "./visible.ts";

/** The terminal, or the pipe, that a conversation is shown on. Everything written to it is harmless already. */
export interface ChatScreen {
  rows(rows: readonly string[]): void;
  /** One row below all others that is rewritten; "" takes it away. At most a row wide. A pipe shows none. */
  live(row: string): void;
  /** Changes the prompt. What was being typed is put aside and comes back with the next prompt. */
  prompt(text: string, options?: { readonly fresh?: boolean }): void;
  /** The next line that was entered; undefined when there are no more. */
  next(): Promise<string | undefined>;
  /** True where a person types, false for a pipe, whose lines are read one at a time. */
  readonly isTerminal: boolean;
  readonly columns: () => number;
  onInterrupt(action: () => void): void;
  close(): void;
}

export function openScreen(cli: Cli): ChatScreen {
  const isTerminal = cli.input.isTTY === true && cli.output.isTTY === true && cli.env.TERM !== "dumb";
  const rl = createInterface({
    input: cli.input,
    ...(isTerminal ? { output: cli.output, terminal: true, historySize: 200 } : { terminal: false }),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  const lines = queueOf(rl, isTerminal ? (line) => screen.entered(line) : () => {});
  const screen = isTerminal ? terminalScreen(cli, rl) : pipeScreen(cli);
  return {
    ...screen,
    next: lines.next,
    isTerminal,
    onInterrupt(action) {
      if (isTerminal) rl.on("SIGINT", action);
      else cli.onInterrupt(action);
    },
    close() {
      screen.live("");
      screen.leave();
      rl.close();
    },
  };
}

type Surface = Pick<ChatScreen, "rows" | "live" | "prompt" | "columns"> & {
  entered(line: string): void;
  leave(): void;
};

function pipeScreen(cli: Cli): Surface {
  return {
    rows: (rows) => cli.stdout(rows.map((row) => `${row}\n`).join("")),
    live: () => {},
    prompt: () => {},
    // A pipe has no edge: what reads it breaks lines itself.
    columns: () => 100_000,
    entered: () => {},
    leave: () => {},
  };
}

/** Rows go above the prompt: what is below them (the live row, the prompt) is taken away and drawn again. */
function terminalScreen(cli: Cli, rl: Interface): Surface {
  let live = "";
  let putAside = "";
  const write = (text: string) => void cli.output.write(text);
  const columns = () => cli.output.columns ?? 80;

  /** Takes away the live row and the prompt. */
  function takeAway(): void {
    const up = rl.getCursorPos().rows + (live === "" ? 0 : 1);
    write(`\r${up > 0 ? `\x1b[${up}A` : ""}\x1b[J`);
    // Readline redraws from as many rows further up as it last saw its cursor, and pasted text it did not see.
    Object.assign(rl, { prevRows: 0 });
  }

  function putBack(): void {
    if (live !== "") write(`${live}\n`);
    rl.prompt(true);
  }

  return {
    columns,
    rows(rows) {
      if (rows.length === 0) return;
      takeAway();
      write(rows.map((row) => `${row}\n`).join(""));
      putBack();
    },
    live(row) {
      if (row === live) return;
      takeAway();
      live = row;
      putBack();
    },
    prompt(text, options = {}) {
      if (options.fresh && rl.line !== "") {
        // A half-typed message must not become the answer to a question that came up meanwhile.
        putAside = rl.line;
        rl.write(null, { ctrl: true, name: "e" });
        rl.write(null, { ctrl: true, name: "u" });
      }
      takeAway();
      rl.setPrompt(text);
      putBack();
      if (!options.fresh && putAside !== "") {
        const back = putAside;
        putAside = "";
        rl.write(back);
      }
    },
    /** Enter was pressed: the line is written again, above the live row, which it would cut in two. */
    entered(line) {
      const text = rl.getPrompt() + line;
      const rows = Math.floor(Math.max(0, widthOf(stripVTControlCharacters(text)) - 1) / columns()) + 1;
      const up = rows + (live === "" ? 0 : 1);
      write(`\r\x1b[${up}A\x1b[J${text}\n`);
      if (live !== "") write(`${live}\n`);
      rl.prompt();
    },
    leave: takeAway,
  };
}

function queueOf(rl: Interface, entered: (line: string) => void) {
  const lines: string[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  rl.on("line", (line) => {
    entered(line);
    lines.push(line);
    wake?.();
  });
  rl.on("close", () => {
    ended = true;
    wake?.();
  });
  return {
    async next(): Promise<string | undefined> {
      while (lines.length === 0 && !ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return lines.shift();
    },
  };
}
