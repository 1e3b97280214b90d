import type {
  AgentEvent,
  ApprovalInfo,
  AttachmentBlock,
  ChatEvent,
  EventFrame,
  QuestionRecord,
  SessionInfo,
} from "../control/protocol.ts";
import { uuid } from "../kernel/mod.ts";
import { approvalText } from "./approvals-command.ts";
import { fileRows, filesOf } from "./chat-files.ts";
import { type ChatLink, openLink, type PendingMessage } from "./chat-link.ts";
import { openChatQuestions } from "./chat-questions.ts";
import { type ChatScreen, openScreen } from "./chat-screen.ts";
import { type ChatView, chatView } from "./chat-view.ts";
import { GatewayRefusal } from "./client.ts";
import { type CommandContext, define } from "./define.ts";
import { CommandFailure } from "./failure.ts";
import { modelName, sessionRows } from "./sessions-command.ts";
import { gatewayTarget } from "./target.ts";
import { clip, visibleLine } from "./visible.ts";

const localHelp = `/new          a fresh conversation in this session
/sessions     the conversations
/switch <n>   go to one of them, by its number or key
/stop         stop the reply that is being written (Ctrl-C does the same)
/status       model, session and tokens
/quit         leave (Ctrl-D, or Ctrl-C twice)`;

const passedOn = new Set(["/status", "/whoami", "/approve"]);

export const chatCommand = define({
  help: {
    usage: "chat [options]",
    about: `Talk to an agent in this terminal: replies as they are written, tool calls as they happen, and a question
before each command that is not allowed yet. What a program asks you is answered by number or text; /later puts it
aside, /cancel ends it. Lines of a pipe are sent one after the other.

${localHelp}`,
    options: [
      ["--session <key>", "the conversation (the agent's main one)"],
      ["--agent <id>", "the agent (the default one)"],
      ["--message <text>", "send this first"],
    ],
    example: "openclaw chat --session errands",
  },
  options: { session: "text", agent: "text", message: "text" },
  run: chat,
});

interface History {
  readonly sessionKey: string;
  readonly messages: readonly HistoryMessage[];
  readonly defaults: { readonly modelProvider: string; readonly model: string };
  readonly sessionInfo?: SessionInfo;
}

interface HistoryMessage {
  readonly role: string;
  readonly content: string | readonly ({ readonly type: "text"; readonly text: string } | AttachmentBlock)[];
  readonly __openclaw?: { readonly runId?: string };
}

async function chat(
  context: CommandContext<{ session: "text"; agent: "text"; message: "text" }>,
): Promise<number> {
  const { cli, style, options } = context;
  const scopes = ["operator.read", "operator.write", "operator.approvals", "operator.questions"];
  const questions: ApprovalInfo[] = [];
  let sessionKey = "";
  let keys: readonly string[] = [];
  let askedAtMs = 0;
  let interruptedAtMs = Number.NEGATIVE_INFINITY;
  let leaving = false;
  let failure: Error | undefined;
  let changed = () => {};
  const state: { screen?: ChatScreen; view?: ChatView } = {};

  const places = { stateFolder: cli.paths.root, gatewayUrl: (await gatewayTarget(cli, options)).url };
  const link: ChatLink = await openLink({
    clock: cli.clock,
    connect: () => context.connect(scopes, ["approvals"]),
    event: (event) => onEvent(event),
    lost() {
      state.view?.interrupted();
      note(style.yellow("The connection was lost; trying again. What you sent is kept."));
    },
    back() {
      note(style.green("Connected again."));
      void refreshQuestions().catch(() => {});
    },
    endedMeanwhile: (message) => void showEnded(message).catch(() => link.settle(message.runId)),
    refused(message, why) {
      note(style.red(`✗ ${visibleLine(message.text).slice(0, 60)}: ${why}`));
      changed();
    },
    failed(error) {
      failure = error;
      leaving = true;
      screen.close();
      changed();
    },
  });
  const screen = openScreen(cli);
  const view = chatView({
    output: screen,
    style,
    columns: screen.columns,
    fileRows: (files) => fileRows(files, places),
    ended: (runId) => {
      link.settle(runId);
      changed();
    },
  });
  const asking = openChatQuestions({
    rows: screen.rows,
    style,
    now: () => cli.clock.now(),
    isTerminal: screen.isTerminal,
    isHeld: () => questions.length > 0,
    resolve: (id, end) => link.request("question.resolve", { id, ...end }),
    changed: () => prompt(),
  });
  Object.assign(state, { screen, view });
  // Timers of the clock keep no process alive; while a lost gateway is waited for, nothing else would.
  const alive = setInterval(() => {}, 60_000);

  try {
    await enter(options.session ?? (options.agent === undefined ? "main" : `agent:${options.agent}:main`));
    screen.onInterrupt(interrupt);
    if (options.message !== undefined) await say(options.message);
    for (;;) {
      // A pipe's next line is its next message, or the answer to a question: it waits for what it answers.
      while (!screen.isTerminal && questions.length === 0 && link.latest() && !leaving)
        await somethingChanged();
      const line = leaving ? undefined : await screen.next();
      if (line === undefined) break;
      const question = questions[0];
      if (question) await answer(question, line);
      else if (asking.prompt !== undefined && !/^\/(?:quit|exit)$/.test(line.trim())) await answerAsked(line);
      else if (line.trim() !== "") await obey(line.trim());
    }
    if (failure) throw failure;
    if (questions.length > 0 && !screen.isTerminal) {
      cli.stderr("openclaw: an approval still waits: openclaw approvals pending\n");
      return 1;
    }
    return 0;
  } finally {
    clearInterval(alive);
    screen.close();
    link.close();
  }

  function note(text: string): void {
    (state.screen ?? { rows: (rows: readonly string[]) => cli.stdout(rows.join("\n")) }).rows([text]);
  }

  function somethingChanged(): Promise<void> {
    return new Promise((resolve) => {
      changed = resolve;
    });
  }

  function prompt(): void {
    if (questions.length > 0) {
      const offered = allowed(questions[0] as ApprovalInfo);
      const always = offered.includes("allow-always") ? "  a[l]ways" : "";
      screen.prompt(style.yellow(`[a]llow once${always}  [d]eny › `), { fresh: true });
    } else if (asking.prompt !== undefined) {
      askedAtMs = cli.clock.monotonic();
      screen.prompt(style.yellow(asking.prompt), { fresh: true });
    } else screen.prompt(style.cyan("› "));
  }

  async function enter(wanted: string): Promise<void> {
    const history = (await link.request("chat.history", { sessionKey: wanted, limit: 6 })) as History;
    sessionKey = history.sessionKey;
    const model = history.sessionInfo ?? history.defaults;
    const name = modelName(model.modelProvider ?? "", model.model ?? "");
    screen.rows([
      `${style.bold(visibleLine(sessionKey))}  ${style.dim(visibleLine(name))}${screen.isTerminal ? style.dim("  /help") : ""}`,
      ...(screen.isTerminal ? recent(history.messages) : []),
      "",
    ]);
    // A connection that is lost right now is taken up again, and asks for them then.
    await refreshQuestions().catch((error) => {
      if (!(error instanceof CommandFailure) || error.exitCode !== 3) throw error;
    });
    prompt();
  }

  /** The last few messages, a row each. */
  function recent(messages: readonly HistoryMessage[]): string[] {
    return messages.flatMap((message) => {
      const files = blocksOf(message).map(({ fileName }) => `[${fileName}]`);
      const text = visibleLine([textOf(message), ...files].join(" ").replaceAll(/\s+/g, " ").trim());
      if (text === "" || (message.role !== "user" && message.role !== "assistant")) return [];
      return [style.dim(clip(`${message.role === "user" ? "›" : "●"} ${text}`, screen.columns() - 1))];
    });
  }

  async function say(text: string): Promise<void> {
    await link.send({ runId: uuid(cli.random), sessionKey, text });
  }

  async function obey(line: string): Promise<void> {
    const [name = "", ...args] = line.split(/\s+/);
    if (!name.startsWith("/") || passedOn.has(name)) return say(line);
    try {
      switch (name) {
        case "/help":
          return screen.rows([...localHelp.split("\n"), ""]);
        case "/quit":
        case "/exit":
          leaving = true;
          return;
        case "/stop":
          return await stop(undefined);
        case "/new":
        case "/reset":
          return await fresh(line.slice(name.length).trim());
        case "/sessions":
          return await sessions();
        case "/switch":
          return await enter(keys[Number(args[0]) - 1] ?? args[0] ?? "main");
        default:
          screen.rows([`There is no command ${visibleLine(name)}; /help lists them.`, ""]);
      }
    } catch (error) {
      screen.rows([style.red(`✗ ${(error as Error).message}`), ""]);
    }
  }

  async function sessions(): Promise<void> {
    const answered = (await link.request("sessions.list", { limit: 20 })) as {
      sessions: readonly SessionInfo[];
    };
    keys = answered.sessions.map((session) => session.key);
    const now = cli.clock.now();
    const text = sessionRows(answered.sessions, { now, columns: screen.columns() - 4, style }).trimEnd();
    screen.rows([
      ...text
        .split("\n")
        .map((row, index) => `${index === 0 ? "   " : String(index).padStart(2).padEnd(3)}${row}`),
      "",
    ]);
  }

  /** Forgetting a conversation needs more than the right to write, so it gets a connection of its own. */
  async function fresh(first: string): Promise<void> {
    const admin = await context.connect(["operator.admin"]);
    try {
      await admin.request("sessions.reset", { key: sessionKey });
    } finally {
      admin.close();
    }
    screen.rows([style.dim("A fresh conversation."), ""]);
    if (first !== "") await say(first);
  }

  async function stop(runId: string | undefined): Promise<void> {
    await link.request("chat.abort", { sessionKey, ...(runId === undefined ? {} : { runId }) });
  }

  function interrupt(): void {
    const now = cli.clock.monotonic();
    const again = now - interruptedAtMs < 2000;
    interruptedAtMs = now;
    if (again) {
      leaving = true;
      screen.close();
      changed();
      return;
    }
    const running = link.latest();
    if (running) {
      screen.rows([style.dim("stopping; Ctrl-C again leaves")]);
      void stop(undefined).catch((error: Error) => screen.rows([style.red(`✗ ${error.message}`)]));
    } else screen.rows([style.dim("Ctrl-C again, or /quit, leaves")]);
  }

  // --- approvals -------------------------------------------------------------------------------------------------

  function allowed(question: ApprovalInfo): readonly string[] {
    const { allowedDecisions } = question.request;
    return Array.isArray(allowedDecisions) ? (allowedDecisions as string[]) : ["allow-once", "deny"];
  }

  function ask(question: ApprovalInfo): void {
    if (question.request.sessionKey !== sessionKey) return;
    if (questions.some((other) => other.id === question.id)) return;
    questions.push(question);
    if (questions.length === 1) show(question);
    changed();
  }

  function show(question: ApprovalInfo): void {
    askedAtMs = cli.clock.monotonic();
    screen.rows([
      style.bold("The agent asks to run a command:"),
      ...approvalText(question, cli.clock.now(), style).trimEnd().split("\n").slice(1),
    ]);
    prompt();
  }

  async function answer(question: ApprovalInfo, line: string): Promise<void> {
    // Enter that was on its way when the question came up is no answer to it.
    if (screen.isTerminal && cli.clock.monotonic() - askedAtMs < 300) return;
    const word = line.trim().toLowerCase();
    // The rule that was shown beside "--these".
    const keepsThese = word === "these" && question.request.proposal !== undefined;
    const decision = decisionOf(keepsThese ? "allow-always" : word, allowed(question));
    if (decision === undefined) {
      screen.rows([`Answer with ${allowed(question).join(", ")}, or the letter in brackets.`]);
      return;
    }
    try {
      await link.request("exec.approval.resolve", {
        id: question.id,
        decision,
        ...(keepsThese ? { keep: "proposal" } : {}),
      });
      answered(question.id, decision);
    } catch (error) {
      screen.rows([style.red(`✗ ${(error as Error).message}`)]);
      answered(question.id, undefined);
    }
  }

  function answered(id: string, decision: string | undefined): void {
    const at = questions.findIndex((question) => question.id === id);
    if (at < 0) return;
    questions.splice(at, 1);
    if (decision !== undefined) screen.rows([style.dim(`  ${visibleLine(decision)}`)]);
    if (at === 0 && questions[0]) show(questions[0]);
    else {
      if (questions.length === 0) asking.show();
      prompt();
    }
    changed();
  }

  async function refreshQuestions(): Promise<void> {
    const waiting = (await link.request("exec.approval.list")) as readonly ApprovalInfo[];
    questions.length = 0;
    for (const question of waiting) ask(question);
    asking.replace(await askedHere());
    if (questions.length === 0) prompt();
  }

  // --- questions of programs -----------------------------------------------------------------------------------------

  async function askedHere(): Promise<readonly QuestionRecord[]> {
    try {
      const listed = (await link.request("question.list")) as { questions: readonly QuestionRecord[] };
      return listed.questions.filter((one) => one.sessionKey === sessionKey);
    } catch (error) {
      // A gateway, or a credential, that has none.
      if (error instanceof GatewayRefusal) return [];
      throw error;
    }
  }

  async function answerAsked(line: string): Promise<void> {
    // As with a command: Enter that was on its way is no answer.
    if (cli.clock.monotonic() - askedAtMs >= 300) await asking.answer(line);
  }

  // --- what the gateway tells --------------------------------------------------------------------------------------

  function onEvent(event: EventFrame): void {
    const payload = event.payload as
      | { sessionKey?: string; id?: string; decision?: string; status?: string }
      | undefined;
    if (event.event === "exec.approval.requested") ask(event.payload as ApprovalInfo);
    else if (event.event === "exec.approval.resolved") answered(payload?.id ?? "", payload?.decision);
    else if (event.event === "question.resolved") asking.ended(payload?.id ?? "", payload?.status ?? "");
    else if (payload?.sessionKey !== sessionKey) return;
    else if (event.event === "question.requested") asking.asked(event.payload as QuestionRecord);
    else if (event.event === "chat") view.chat(event.payload as ChatEvent);
    else if (event.event === "agent") view.agent(event.payload as AgentEvent);
  }

  async function showEnded(message: PendingMessage): Promise<void> {
    const history = (await link.request("chat.history", {
      sessionKey: message.sessionKey,
      limit: 50,
    })) as History;
    const last = history.messages.findLast(
      (item) => item.role === "assistant" && item.__openclaw?.runId === message.runId,
    );
    if (last) view.finished(message.runId, textOf(last), blocksOf(last));
    else view.finished(message.runId, "The reply is no longer in the transcript.", []);
  }
}

function decisionOf(word: string, offered: readonly string[]): string | undefined {
  const named = { a: "allow-once", l: "allow-always", d: "deny" }[word] ?? word;
  return offered.includes(named) ? named : undefined;
}

function textOf(message: HistoryMessage): string {
  if (typeof message.content === "string") return message.content;
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function blocksOf({ content }: HistoryMessage): AttachmentBlock[] {
  return typeof content === "string" ? [] : filesOf(content);
}
