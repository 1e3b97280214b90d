import { badRequest } from "./answers.ts";

/** One message of a request, as much of it as an agent can be told. */
export interface Turn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly text: string;
}

/** Puts text that nobody vouches for behind a fence. `origin` says where it came from. */
export type Fence = (text: string, origin: string, place: string) => string;

const textParts = new Set(["text", "input_text", "output_text", "refusal"]);

/**
 * The text of a message's content: a string, or parts of text. Pictures and files are refused: nothing is fetched
 * (attack A-168) and nothing is dropped silently.
 */
export function contentText(content: unknown, param: string): string {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) return "";
  if (!Array.isArray(content)) throw badRequest(`\`${param}\` must be a string or a list of parts.`, param);
  return content
    .map((part: unknown, index) => {
      const { type, text, refusal } = (typeof part === "object" && part !== null ? part : {}) as {
        readonly [key: string]: unknown;
      };
      const value = type === "refusal" ? refusal : text;
      if (typeof type === "string" && textParts.has(type) && typeof value === "string") return value;
      const what = typeof type === "string" ? JSON.stringify(type.slice(0, 40)) : "this kind";
      throw badRequest(
        `Parts of ${what} are not supported yet; send text, or put the file into the agent's workspace and name it.`,
        `${param}[${index}]`,
      );
    })
    .join("\n");
}

/**
 * What the agent reads for a request that brings a whole conversation. One user's message stands as it is. Otherwise
 * the instructions, what was said before, and the message to answer follow each other; results of tools are fenced.
 *
 * For a caller who is not the owner everything but its own last words is fenced: history is a claim, and a forged
 * "system" or "assistant" line must not count as one (attack A-215).
 */
export function conversationText(turns: readonly Turn[], isOwner: boolean, fence: Fence): string {
  const asked = turns.slice(lastAnswer(turns) + 1).filter((turn) => turn.role === "user");
  if (asked.length === 0 || asked.every((turn) => turn.text.trim() === "")) {
    throw badRequest(
      "The conversation must end with a user's message (what follows the last answer).",
      "messages",
    );
  }
  const message = asked.map((turn) => turn.text).join("\n\n");
  if (turns.length === asked.length) return message;

  const system = turns.filter((turn) => turn.role === "system").map((turn) => turn.text);
  const before = turns.filter((turn) => turn.role !== "system" && !asked.includes(turn));
  const claimed = isOwner
    ? [
        ...(system.length > 0 ? [`Instructions from the caller:\n${system.join("\n\n")}`] : []),
        ...(before.length > 0 ? [`The conversation so far:\n${lines(before, fence)}`] : []),
      ]
    : [fence(claim(turns, asked), "conversation claimed by the caller", "claimed")];
  return [...claimed, `The message to answer:\n${message}`].join("\n\n");
}

/** The turns after the last answer: all that is new in a session that keeps its own transcript. */
export function newTurns(turns: readonly Turn[]): readonly Turn[] {
  return turns.slice(lastAnswer(turns) + 1);
}

function lastAnswer(turns: readonly Turn[]): number {
  return turns.findLastIndex((turn) => turn.role === "assistant");
}

function lines(turns: readonly Turn[], fence: Fence): string {
  return turns
    .map((turn, index) =>
      turn.role === "tool"
        ? `Tool result:\n${fence(turn.text, "tool result from the caller", String(index))}`
        : `${turn.role === "user" ? "User" : "Assistant"}: ${turn.text.replaceAll("\n", "\n  ")}`,
    )
    .join("\n");
}

function claim(turns: readonly Turn[], asked: readonly Turn[]): string {
  return turns
    .filter((turn) => !asked.includes(turn))
    .map((turn) => `${turn.role}: ${turn.text}`)
    .join("\n");
}
