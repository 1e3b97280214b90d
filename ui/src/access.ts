import { type Desk, problemText } from "./desk.ts";
import { amount, type Fields, fields, firstText, items, text } from "./untrusted.ts";

/** A message that somebody might write. */
export interface AccessQuestion {
  readonly channel: string;
  readonly sender: string;
  /** Empty for the direct chat with the sender. */
  readonly group: string;
  readonly mention: boolean;
  readonly text: string;
}

export interface AccessStep {
  readonly rule: string;
  readonly outcome: "pass" | "refuse" | "note";
  readonly facts: string;
  /** "openclaw.json:12 channels.telegram.dmPolicy", or "". */
  readonly place: string;
}

export interface AccessChange {
  readonly text: string;
  readonly place: string;
}

export interface AccessAnswer {
  readonly admitted: boolean;
  readonly sentence: string;
  readonly steps: readonly AccessStep[];
  readonly needs: readonly AccessChange[];
  readonly losses: readonly AccessChange[];
}

/** Somebody who can reach a tool. */
export interface ToolReach {
  readonly sender: string;
  readonly where: string;
  readonly agent: string;
  readonly because: string;
  readonly place: string;
}

/** Questions about the rules in force; they change nothing. Undefined when there was no answer; a notice says why. */
export interface AccessDesk {
  explain(question: AccessQuestion): Promise<AccessAnswer | undefined>;
  whoCan(tool: string): Promise<readonly ToolReach[] | undefined>;
}

export function openAccess(desk: Desk): AccessDesk {
  async function ask<T>(method: string, params: Fields, read: (answer: Fields) => T): Promise<T | undefined> {
    try {
      return read(fields(await desk.call(method, params)));
    } catch (error) {
      desk.notify("problem", problemText("The rules could not be asked", error));
      return undefined;
    }
  }

  return {
    explain: ({ channel, sender, group, mention, text: said }) =>
      ask(
        "access.explain",
        { channel, sender, text: said, mention, ...(group === "" ? {} : { chat: group, kind: "group" }) },
        readAnswer,
      ),
    whoCan: (tool) =>
      ask("access.whoCan", { tool }, (answer) => items(answer.rows).map((row) => readReach(fields(row)))),
  };
}

function readAnswer(answer: Fields): AccessAnswer {
  return {
    admitted: answer.admitted === true,
    sentence: firstText(answer.sentence, answer.reason),
    steps: items(answer.steps).map((raw) => {
      const step = fields(raw);
      const outcome = step.outcome === "refuse" ? "refuse" : step.outcome === "pass" ? "pass" : "note";
      return { rule: text(step.rule), outcome, facts: text(step.facts), place: placeOf(step) };
    }),
    needs: changes(answer.needs),
    losses: changes(answer.losses),
  };
}

function changes(raw: unknown): AccessChange[] {
  return items(raw).map((item) => ({ text: text(fields(item).text), place: placeOf(fields(item)) }));
}

function readReach(row: Fields): ToolReach {
  const chat = [text(row.kind), text(row.chat), text(row.threadId)].filter((part) => part !== "");
  return {
    sender: text(row.sender),
    where: [text(row.channel), ...chat].filter((part) => part !== "").join(" "),
    agent: text(row.agentId),
    because: [text(row.because), ...items(row.needs).map(text)].filter((part) => part !== "").join("; "),
    place: placeOf(row),
  };
}

function placeOf(item: Fields): string {
  const line = amount(item.line);
  const file = text(item.file).split(/[\\/]/).at(-1) ?? "";
  const at = file === "" ? "" : `${file}${line === undefined ? "" : `:${line}`}`;
  return [at, text(item.path)].filter((part) => part !== "").join(" ");
}
