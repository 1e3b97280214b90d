import { type AccessDesk, openAccess } from "./access.ts";
import { type Approvals, openApprovals } from "./approvals.ts";
import { type Chat, openChat } from "./chat.ts";
import { type Desk, gatewayNowMs } from "./desk.ts";
import { type Health, openHealth } from "./health.ts";
import { Link, type Socket, type SocketListener } from "./link.ts";
import type { Memory } from "./memory.ts";
import type { PageClock } from "./page-clock.ts";
import { openPairing, type Pairing } from "./pairing.ts";
import { openQuestions, type Questions } from "./questions.ts";
import { openSessions, type Sessions } from "./sessions.ts";
import type { SignInResult } from "./sign-in.ts";
import { firstState, type State } from "./state.ts";
import { Store } from "./store.ts";
import { amount, type Fields, fields, firstText, text } from "./untrusted.ts";

export interface PageDeps {
  readonly clock: PageClock;
  readonly memory: Memory;
  openSocket(listener: SocketListener): Socket;
  random(): number;
  newId(): string;
  askSignedIn(): Promise<"yes" | "no" | "unknown">;
  signIn(credential: { readonly ticket: string } | { readonly token: string }): Promise<SignInResult>;
  signOut(): Promise<void>;
}

/** All that the page can do; the views call this and nothing else. */
export interface Page {
  readonly store: Store<State>;
  readonly chat: Chat;
  readonly sessions: Sessions;
  readonly approvals: Approvals;
  readonly questions: Questions;
  readonly pairing: Pairing;
  readonly access: AccessDesk;
  readonly health: Health;
  /** With a ticket signs in; without one uses the session that the browser has, if any. */
  start(ticket: string | undefined): Promise<void>;
  signIn(credential: { readonly ticket: string } | { readonly token: string }): Promise<void>;
  signOut(): Promise<void>;
  openSession(key: string): void;
  /** Reconnects now instead of later. */
  hurry(): void;
  notify: Desk["notify"];
  dismiss(noticeId: number): void;
  gatewayNowMs(): number;
}

export function openPage(deps: PageDeps): Page {
  const store = new Store(firstState(text(deps.memory.read("session")) || "agent:main:main"));
  let notices = 0;
  const desk: Desk = {
    store,
    clock: deps.clock,
    memory: deps.memory,
    newId: deps.newId,
    call: (method, params) => link.request(method, params),
    notify(tone, words) {
      notices += 1;
      const id = notices;
      store.change((state) => ({ notices: [...state.notices.slice(-3), { id, tone, text: words }] }));
      if (tone === "info") deps.clock.after(6_000, () => dismiss(id));
    },
  };
  const chat = openChat(desk);
  const sessions = openSessions(desk);
  const approvals = openApprovals(desk);
  const questions = openQuestions(desk);
  const pairing = openPairing(desk);
  const access = openAccess(desk);
  const health = openHealth(desk);

  const link: Link = new Link(deps, {
    online(hello, gatewayTimeMs) {
      store.change((state) => ({
        link: { kind: "online" },
        gateway: readHello(hello, state, gatewayTimeMs, deps.clock.nowMs()),
      }));
      void desk.call("sessions.subscribe").catch(() => undefined);
      void chat.catchUp();
      chat.resend();
      void sessions.load();
      void approvals.load();
      void questions.load();
      void pairing.load();
      void health.load();
    },
    away: (reason, retryAtMs) => store.change(() => ({ link: { kind: "away", reason, retryAtMs } })),
    signedOut: (message) => store.change(() => signedOutState(message)),
    refused: (message) => store.change(() => ({ link: { kind: "refused", message } })),
    event,
    gap() {
      void chat.catchUp();
      void sessions.load();
      void approvals.load();
      void questions.load();
      void pairing.load();
    },
  });

  function event(name: string, payload: Fields): void {
    if (name === "chat" || name === "agent" || name === "session.message" || name === "session.tool")
      chat.event({ name, payload });
    else if (name === "sessions.changed") sessionsChanged(payload);
    else if (name.startsWith("exec.approval.")) approvals.event(name, payload);
    else if (name.startsWith("question.")) questions.event(name, payload);
    else if (name === "channels.pairing.changed") void pairing.load();
    else if (name === "health") health.event(payload);
  }

  function sessionsChanged(payload: Fields): void {
    sessions.changed(payload);
    const key = firstText(payload.sessionKey, payload.key);
    const emptied = payload.reason === "reset" || payload.reason === "delete";
    if (emptied && key === store.state.conversation.key) void chat.catchUp();
  }

  function dismiss(noticeId: number): void {
    store.change((state) => ({ notices: state.notices.filter((notice) => notice.id !== noticeId) }));
  }

  function enter(): void {
    store.change(() => ({ access: { kind: "signed-in" }, link: { kind: "connecting" } }));
    link.stop();
    link.start();
  }

  async function signIn(credential: { readonly ticket: string } | { readonly token: string }): Promise<void> {
    store.change(() => ({ access: { kind: "signed-out", message: "", busy: true } }));
    const result = await deps.signIn(credential);
    if (result.ok) return enter();
    // A used or outdated ticket does no harm to one who is signed in already.
    if ("ticket" in credential && (await deps.askSignedIn()) === "yes") return enter();
    store.change(() => ({ access: { kind: "signed-out", message: result.message, busy: false } }));
  }

  return {
    store,
    chat,
    sessions,
    approvals,
    questions,
    pairing,
    access,
    health,
    async start(ticket) {
      if (ticket !== undefined) return signIn({ ticket });
      const answer = await deps.askSignedIn();
      // When the gateway is down the link says so, and asks again when it is back.
      if (answer === "no") store.change(() => signedOutState(""));
      else enter();
    },
    signIn,
    async signOut() {
      link.stop();
      await deps.signOut();
      // Drafts belong to the one who wrote them, not to the next one at this screen.
      deps.memory.write("drafts", []);
      deps.memory.write("sending", []);
      store.change(() => ({ ...firstState("agent:main:main"), ...signedOutState("You are signed out.") }));
    },
    openSession(key) {
      if (key !== store.state.conversation.key) void chat.open(key);
    },
    hurry: () => link.hurry(),
    dismiss,
    notify: desk.notify,
    gatewayNowMs: () => gatewayNowMs(desk),
  };
}

function signedOutState(message: string): Partial<State> {
  return {
    access: { kind: "signed-out", message, busy: false },
    approvals: [],
    questions: [],
    pairing: [],
    channels: [],
  };
}

function readHello(
  hello: Fields,
  state: State,
  gatewayTimeMs: number | undefined,
  nowMs: number,
): State["gateway"] {
  const snapshot = fields(hello.snapshot);
  const defaults = fields(snapshot.sessionDefaults);
  const uptimeMs = amount(snapshot.uptimeMs);
  return {
    version: text(fields(hello.server).version),
    startedAtMs: uptimeMs === undefined ? undefined : nowMs - uptimeMs,
    mainKey: firstText(defaults.mainSessionKey, state.gateway.mainKey),
    agentId: firstText(defaults.defaultAgentId, state.gateway.agentId),
    provider: firstText(defaults.modelProvider, defaults.provider, state.gateway.provider),
    model: firstText(defaults.model, state.gateway.model),
    clockOffsetMs: gatewayTimeMs === undefined ? 0 : gatewayTimeMs - nowMs,
  };
}
