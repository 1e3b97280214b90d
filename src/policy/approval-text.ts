import type { Approval } from "./approval.ts";

/** What nobody would read whole in a chat is not offered there. */
const maxCommandChars = 1500;

/** What would break a line, take no room or turn its order around: whoever reads must see that it is there. */
const unseen = /[\p{C}\p{Zl}\p{Zp}\u00a0\u115f\u1160\u180e\u2000-\u200f\u3164\uffa0]|\u034f/gu;

export interface ApprovalNotice {
  readonly text: string;
  /** Answers to choose from; none where the whole cannot be shown. */
  readonly choices: readonly { readonly label: string; readonly command: string }[];
}

/** A question as a chat shows it: what will happen, then what made it ask. `redact` takes secrets out. */
export function approvalNotice(
  { id, request, expiresAtMs }: Approval,
  now: number,
  redact: (text: string) => string,
): ApprovalNotice {
  const shown = (text: string) => seen(redact(text));
  const command = shown(request.command);
  const minutes = Math.max(1, Math.round((expiresAtMs - now) / 60_000));
  const head = `Agent ${shown(request.agentId)} asks to run this ${places[request.host]}, in ${shown(request.cwd)}:`;
  if (command.length > maxCommandChars)
    return {
      text: `${head}\n(${command.length} characters, too long to be judged in a chat)\nWhy it asks: ${shown(request.warningText)}\nAnswer it on the page, or with: openclaw approvals pending`,
      choices: [],
    };
  // Behind "$ " no command can begin a line with what ends a block of code.
  const env = Object.entries(request.env).map(([name, value]) => `$ with ${shown(`${name}=${value}`)}\n`);
  const letters = foreignLetters(request.command);
  const lines = [
    head,
    `\`\`\`\n${env.join("")}$ ${command}\n\`\`\``,
    `Why it asks: ${shown(request.warningText)}`,
    ...(letters === "" ? [] : [`Look closely: it holds letters outside plain ASCII (${letters}).`]),
    ...(request.standing ? [`"Always" keeps: ${shown(request.standing.text)}`] : []),
    ...(request.proposal
      ? [`You allowed commands like it before. "Always these" keeps: ${shown(request.proposal.text)}`]
      : []),
    `It waits ${minutes} min (${id}).`,
  ];
  return { text: lines.join("\n"), choices: choicesOf(id, request) };
}

const places: Readonly<Record<Approval["request"]["host"], string>> = {
  gateway: "on the gateway's machine",
  node: "on a node",
  sandbox: "in its sandbox",
};

function choicesOf(
  id: string,
  { allowedDecisions, proposal }: Pick<Approval["request"], "allowedDecisions" | "proposal">,
): ApprovalNotice["choices"] {
  const labels = { "allow-once": "Allow once", "allow-always": "Always", deny: "Deny" } as const;
  return [
    ...allowedDecisions.map((decision) => ({
      label: labels[decision],
      command: `/approve ${id} ${decision}`,
    })),
    ...(proposal ? [{ label: "Always these", command: `/approve ${id} allow-always these` }] : []),
  ];
}

/** Exact, on one line: nothing that is there can be overlooked. */
function seen(text: string): string {
  return text.toWellFormed().replace(unseen, (character) => {
    if (character === "\n") return "\\n";
    return `\\u{${(character.codePointAt(0) as number).toString(16)}}`;
  });
}

function foreignLetters(text: string): string {
  const found = new Set([...text].filter((character) => (character.codePointAt(0) as number) > 0x7f));
  return [...found]
    .slice(0, 10)
    .map(
      (character) => `U+${(character.codePointAt(0) as number).toString(16).padStart(4, "0").toUpperCase()}`,
    )
    .join(", ");
}
