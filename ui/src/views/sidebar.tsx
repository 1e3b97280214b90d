import { keyTitle, type SessionRow } from "../sessions.ts";
import type { State } from "../state.ts";
import { agoWords } from "../time-words.ts";
import { Icon, Mark } from "./icon.tsx";
import { useGatewayNowMs } from "./page-context.ts";

export type Panel = "approvals" | "questions" | "pairing" | "access" | "gateway" | "keys";

interface Props {
  readonly state: State;
  readonly theme: "light" | "dark";
  newSession(): void;
  openSession(key: string): void;
  openPanel(panel: Panel): void;
  toggleTheme(): void;
  signOut(): void;
}

export function Sidebar(props: Props) {
  const { state } = props;
  const nowMs = useGatewayNowMs(30_000);
  return (
    <aside class="sidebar" id="sidebar" aria-label="Conversations and gateway">
      <div class="brand">
        <Mark />
        <h1>OpenClaw</h1>
      </div>
      <button
        type="button"
        class="button new-session"
        onClick={props.newSession}
        title="New conversation (Alt+N)"
      >
        <Icon name="plus" />
        New conversation
      </button>
      <nav class="sessions" aria-label="Conversations">
        <SessionList state={state} nowMs={nowMs} openSession={props.openSession} />
      </nav>
      <div class="side-links">
        <SideLink
          name="Approvals"
          icon="shield"
          count={state.approvals.length}
          onClick={() => props.openPanel("approvals")}
        />
        <SideLink
          name="Access requests"
          icon="person"
          count={state.pairing.length}
          onClick={() => props.openPanel("pairing")}
        />
        <SideLink name="Who may talk" icon="key" count={0} onClick={() => props.openPanel("access")} />
        <SideLink name="Gateway" icon="pulse" count={0} onClick={() => props.openPanel("gateway")}>
          <LinkDot state={state} />
        </SideLink>
      </div>
      <div class="side-foot">
        <button
          type="button"
          class="button ghost square"
          aria-label={props.theme === "dark" ? "Use the light theme" : "Use the dark theme"}
          title="Theme"
          onClick={props.toggleTheme}
        >
          <Icon name={props.theme === "dark" ? "sun" : "moon"} />
        </button>
        <button
          type="button"
          class="button ghost square"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={() => props.openPanel("keys")}
        >
          <Icon name="keys" />
        </button>
        <button type="button" class="button ghost sign-out" onClick={props.signOut}>
          <Icon name="leave" />
          Sign out
        </button>
      </div>
    </aside>
  );
}

interface ListProps {
  readonly state: State;
  readonly nowMs: number;
  openSession(key: string): void;
}

function SessionList({ state, nowMs, openSession }: ListProps) {
  const rows = withCurrent(state);
  if (state.sessionsProblem !== "" && state.sessions.length === 0)
    return <p class="problem-text">{state.sessionsProblem}</p>;
  if (state.sessionsLoaded && state.sessions.length === 0 && state.conversation.items.length === 0)
    return <p class="hint">Your conversations, here and in your chat apps, will be listed here.</p>;
  return (
    <ul>
      {rows.map((row) => {
        const isCurrent = row.key === state.conversation.key;
        return (
          <li key={row.key}>
            <button
              type="button"
              class={isCurrent ? "session current" : "session"}
              aria-current={isCurrent ? "page" : undefined}
              onClick={() => openSession(row.key)}
            >
              <span class="session-title">
                {row.running && <span class="dot busy" role="img" aria-label="Running" />}
                <bdi>{row.title}</bdi>
              </span>
              <span class="session-time">{row.updatedAtMs > 0 ? agoWords(row.updatedAtMs, nowMs) : ""}</span>
              {row.preview !== "" && <bdi class="session-preview">{row.preview.slice(0, 120)}</bdi>}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** A new conversation exists for the gateway only from its first message on. */
export function withCurrent(state: State): readonly SessionRow[] {
  const { key } = state.conversation;
  if (!state.sessionsLoaded || state.sessions.some((row) => row.key === key)) return state.sessions;
  const row: SessionRow = {
    key,
    label: "",
    title: keyTitle(key),
    preview: "",
    updatedAtMs: 0,
    running: false,
    unread: false,
    isMain: key === state.gateway.mainKey,
    provider: "",
    model: "",
  };
  return [row, ...state.sessions];
}

interface SideLinkProps {
  readonly name: string;
  readonly icon: "shield" | "person" | "key" | "pulse";
  readonly count: number;
  readonly children?: preact.ComponentChildren;
  onClick(): void;
}

function SideLink({ name, icon, count, children, onClick }: SideLinkProps) {
  return (
    <button type="button" class="side-link" onClick={onClick} aria-haspopup="dialog">
      <Icon name={icon} />
      <span>{name}</span>
      {children}
      {count > 0 && (
        <span class="count">
          {count}
          <span class="visually-hidden"> waiting</span>
        </span>
      )}
    </button>
  );
}

export function LinkDot({ state }: { readonly state: State }) {
  const { kind } = state.link;
  const words = kind === "online" ? "Connected" : kind === "connecting" ? "Connecting" : "Not connected";
  const tone = kind === "online" ? "good" : kind === "connecting" ? "busy" : "bad";
  return (
    <span class="link-state">
      <span class={`dot ${tone}`} aria-hidden="true" />
      {words}
    </span>
  );
}
