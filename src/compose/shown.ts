import type { ShownPort } from "../control/mod.ts";
import type { Entry } from "../session/mod.ts";
import type { Logging } from "./logging.ts";

const hint = "Parts that look like secrets are hidden here; what runs is the command as it was asked for.";

/**
 * Commands, and what tools said, as people are shown them: on the page, in a terminal, in a chat, in the copies of
 * conversations. What runs, what an answer is bound to, and what the model is told of its own calls stay as they are.
 */
export function createShown(hiding: Pick<Logging, "redact" | "redactValue" | "redactOutput">): ShownPort {
  const { redact, redactValue } = hiding;
  return {
    approval(approval) {
      const { request } = approval;
      const { command, env, standing, proposal } = redactValue({
        command: request.command,
        env: request.env,
        standing: request.standing,
        proposal: request.proposal,
      }) as Pick<typeof request, "command" | "env" | "standing" | "proposal">;
      const isHidden = command !== request.command;
      return {
        ...approval,
        request: {
          ...request,
          command,
          env,
          ...(standing ? { standing } : {}),
          ...(proposal ? { proposal } : {}),
          warningText: redact(request.warningText) + (isHidden ? ` ${hint}` : ""),
        },
      };
    },
    entry(entry) {
      const { body } = entry;
      return body.type === "message"
        ? { ...entry, body: { ...body, message: shownMessage(body.message, hiding) } }
        : entry;
    },
  };
}

type Message = Extract<Entry["body"], { type: "message" }>["message"];

/** What people and models say to each other stays as it was said. */
function shownMessage(
  message: Message,
  { redactValue, redactOutput }: Pick<Logging, "redactValue" | "redactOutput">,
): Message {
  switch (message.role) {
    case "user":
      return message;
    case "assistant":
      return {
        ...message,
        content: message.content.map((part) =>
          part.type === "toolCall" ? { ...part, arguments: redactValue(part.arguments) } : part,
        ),
      };
    case "toolResult":
      return {
        ...message,
        content: message.content.map((part) => ({
          ...part,
          text: redactOutput(part.text) as string,
        })),
      };
  }
}
