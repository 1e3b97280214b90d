import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { CommandFailure } from "./failure.ts";
import type { Cli } from "./mod.ts";

/** Questions to the person at the terminal, one at a time. Each rejects when the input ends. */
export interface Answers {
  say(text: string): void;
  /** What was typed, or `usual` for nothing. */
  text(question: string, usual: string): Promise<string>;
  /** Asked again until it is one of `choices`. */
  choice(question: string, choices: readonly string[], usual: string): Promise<string>;
  yes(question: string, usual: boolean): Promise<boolean>;
  /** As `text`, but what is typed is not shown and not kept in any history. */
  hidden(question: string): Promise<string>;
  close(): void;
}

export function openAnswers(cli: Cli): Answers {
  const isTerminal = cli.input.isTTY === true;
  let muted = false;
  const output = new Writable({
    write(chunk, _encoding, done) {
      if (!muted) cli.output.write(chunk);
      done();
    },
  });
  const rl = createInterface({ input: cli.input, output, terminal: isTerminal, historySize: 0 });
  const lines: string[] = [];
  let ended = false;
  let wake = () => {};
  rl.on("line", (line) => {
    lines.push(line);
    wake();
  });
  rl.on("close", () => {
    ended = true;
    wake();
  });
  rl.on("SIGINT", () => rl.close());

  async function ask(question: string): Promise<string> {
    // Of a pipe that has ended, lines may still wait to be read.
    if (ended) cli.stdout(question);
    else {
      rl.setPrompt(question);
      rl.prompt();
    }
    return nextLine();
  }

  async function nextLine(): Promise<string> {
    while (lines.length === 0) {
      if (ended) throw new CommandFailure(1, "the input ended before all was answered; nothing was changed");
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return (lines.shift() ?? "").trim();
  }

  const text = async (question: string, usual: string) => {
    const typed = await ask(`${question}${usual === "" ? "" : ` [${usual}]`}: `);
    return typed === "" ? usual : typed;
  };

  return {
    say: (line) => cli.stdout(`${line}\n`),
    text,
    async choice(question, choices, usual) {
      for (;;) {
        const typed = await text(question, usual);
        if (choices.includes(typed)) return typed;
        cli.stdout(`Please one of: ${choices.join(", ")}\n`);
      }
    },
    async yes(question, usual) {
      const typed = (await ask(`${question} [${usual ? "Y/n" : "y/N"}]: `)).toLowerCase();
      return typed === "" ? usual : typed === "y" || typed === "yes";
    },
    async hidden(question) {
      cli.stdout(`${question}: `);
      rl.setPrompt("");
      // Only a terminal echoes; a pipe has nothing to hide from.
      muted = isTerminal;
      try {
        return await nextLine();
      } finally {
        muted = false;
        cli.stdout("\n");
      }
    },
    close: () => rl.close(),
  };
}
