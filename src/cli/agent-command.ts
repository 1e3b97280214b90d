import type { AgentEvent, AttachmentBlock, ChatEvent } from "../control/protocol.ts";
import { uuid } from "../kernel/mod.ts";
import { fileRows } from "./chat-files.ts";
import { GatewayRefusal } from "./client.ts";
import { define } from "./define.ts";
import { UsageError } from "./failure.ts";
import { gatewayTarget } from "./target.ts";
import { visibleLine, visibleText } from "./visible.ts";

interface Accepted {
  readonly runId: string;
  readonly sessionKey: string;
}

/** A text, or a file: with a name, and with an address where the gateway has it. */
interface Payload {
  readonly text: string;
  readonly mediaUrl: string | null;
  readonly fileName?: string;
  readonly mimeType?: string;
  readonly sizeBytes?: number;
}

interface Final {
  readonly summary: string;
  readonly result: { readonly payloads: readonly Payload[] };
}

export const agentCommand = define({
  help: {
    usage: "agent --message <text> [options]",
    about: "Sends one message to an agent, waits for the answer and prints it. Ctrl-C stops the agent.",
    options: [
      ["--message <text>", 'the message; "-" reads it from standard input'],
      ["--session-key <key>", "the conversation (the agent's main one)"],
      ["--agent <id>", "the agent (the default one)"],
      [
        "--timeout <seconds>",
        "give up waiting after this long (the agent goes on); 0 waits without end (600)",
      ],
    ],
    example: 'openclaw agent --message "What is on my list today?"',
  },
  options: { message: "text", "session-key": "text", agent: "text" },
  ownTimeout: true,
  run: async (context) => {
    const { cli, options } = context;
    const message = options.message === "-" ? (await cli.stdin()).trim() : options.message;
    if (message === undefined || message.trim() === "")
      throw new UsageError("--message is missing or empty\nTry: openclaw agent --help");
    const seconds = options.timeout ?? 600;
    const runId = uuid(cli.random);
    // Starting a fresh conversation is a change to it, so the gateway wants more than the right to write.
    const resets = /^\/(?:new|reset)\b/i.test(message.trim());
    const client = await context.connect([resets ? "operator.admin" : "operator.write"]);
    let sessionKey: string | undefined;
    let streamed = "";
    let interrupted = false;
    client.onEvent((event) => {
      const run = event.payload as AgentEvent | undefined;
      if (event.event === "agent" && run?.runId === runId && run.data.phase === "waiting-approval")
        cli.stderr("the agent asks to run a command and waits for your answer: openclaw approvals pending\n");
      const chat = event.payload as ChatEvent | undefined;
      if (event.event !== "chat" || chat?.runId !== runId || options.json || !cli.isTTY) return;
      if (chat.replace) {
        if (streamed !== "") cli.stdout("\n[the answer starts again]\n");
        streamed = "";
      }
      if (chat.state !== "delta" || !chat.deltaText) return;
      streamed += chat.deltaText;
      cli.stdout(visibleText(chat.deltaText));
    });
    cli.onInterrupt(() => {
      interrupted = true;
      cli.stderr("\nstopping the agent\n");
      void client.request("chat.abort", { sessionKey: sessionKey ?? "main", runId }).catch(() => {});
    });
    try {
      const final = (await client.request(
        "agent",
        {
          message,
          idempotencyKey: runId,
          timeout: seconds,
          ...(options["session-key"] === undefined ? {} : { sessionKey: options["session-key"] }),
          ...(options.agent === undefined ? {} : { agentId: options.agent }),
        },
        {
          // The gateway's own timeout answers first, and says what it was.
          timeoutMs: seconds === 0 ? 0 : seconds * 1000 + 5000,
          accepted: (payload) => {
            sessionKey = (payload as Accepted).sessionKey;
          },
        },
      )) as Final;
      const { payloads } = final.result;
      const text = payloads.flatMap((payload) => (payload.fileName ? [] : payload.text)).join("\n");
      const { url: gatewayUrl } = await gatewayTarget(cli, options);
      const rows = fileRows(payloads.flatMap(blockOf), { stateFolder: cli.paths.root, gatewayUrl });
      context.print(final, () =>
        [visibleText(streamed === "" ? text : text.slice(common(streamed, text))), ...rows, ""].join("\n"),
      );
      return final.summary === "aborted" || interrupted ? 1 : 0;
    } catch (error) {
      if (!(error instanceof GatewayRefusal)) throw error;
      if (options.json)
        context.print({ ok: false, error: error.wire, payload: error.payload ?? null }, () => "");
      cli.stderr(`${streamed === "" ? "" : "\n"}openclaw: ${visibleLine(error.wire.message)}\n`);
      return 1;
    }
  },
});

function blockOf({ fileName, mimeType = "", sizeBytes = 0, mediaUrl }: Payload): AttachmentBlock[] {
  if (fileName === undefined) return [];
  return [
    {
      type: "attachment",
      ...{ fileName, mimeType, sizeBytes },
      ...(mediaUrl === null ? {} : { url: mediaUrl }),
    },
  ];
}

/** How much of the answer is on the terminal already; all of it when the two differ. */
function common(streamed: string, text: string): number {
  return text.startsWith(streamed) ? streamed.length : text.length;
}
