import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { demoProvider, modelInUse } from "../model-in-use.ts";
import type { State } from "../state.ts";
import { Announcer } from "./announcer.tsx";
import { Banners, Notices } from "./banners.tsx";
import { Composer } from "./composer.tsx";
import { Icon } from "./icon.tsx";
import { usePage } from "./page-context.ts";
import { ApprovalsPanel, GatewayPanel, KeysPanel, PairingPanel, QuestionsPanel } from "./panels.tsx";
import { currentTitle, SessionMenu } from "./session-menu.tsx";
import { type Panel, Sidebar, withCurrent } from "./sidebar.tsx";
import { Thread } from "./thread.tsx";
import { useTheme } from "./use-theme.ts";

export function Shell({ state }: { readonly state: State }) {
  const page = usePage();
  const [panel, setPanel] = useState<Panel>();
  const [drawer, setDrawer] = useState(false);
  const [theme, toggleTheme] = useTheme();
  const closePanel = () => setPanel(undefined);
  const waiting = state.approvals.length + state.questions.length;
  const AccessPanel = useAccessPanel(panel === "access");

  const openSession = (key: string) => {
    page.openSession(key);
    setDrawer(false);
    focusMessage();
  };
  const step = (by: number) => {
    const rows = withCurrent(state);
    const next = rows[rows.findIndex((row) => row.key === state.conversation.key) + by];
    if (next) openSession(next.key);
  };
  const closeDrawer = () => {
    setDrawer(false);
    document.querySelector<HTMLElement>(".menu-button")?.focus();
  };
  const newSession = () => openSession(page.sessions.newKey());

  useEffect(() => {
    document.title = waiting > 0 ? `(${waiting}) OpenClaw` : "OpenClaw";
  }, [waiting]);

  useEffect(() => {
    // On a touch screen this would bring up the keyboard over what there is to read.
    if (matchMedia("(hover: hover)").matches) focusMessage();
  }, []);

  useEffect(() => {
    // In a wide window there is no drawer, so none may be left open.
    const wide = matchMedia("(min-width: 801px)");
    const widened = () => setDrawer(false);
    wide.addEventListener("change", widened);
    return () => wide.removeEventListener("change", widened);
  }, []);

  useEffect(() => {
    if (drawer) document.querySelector<HTMLElement>("#sidebar button")?.focus();
  }, [drawer]);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      // A dialog has its own keys.
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const act = shortcut(event);
      if (!act) return;
      event.preventDefault();
      if (act === "escape") {
        if (drawer) closeDrawer();
        else if (state.conversation.runs.length > 0) void page.chat.stop();
      } else if (act === "new") newSession();
      else if (act === "previous") step(-1);
      else if (act === "next") step(1);
      else if (act === "message") focusMessage();
      else setPanel(act);
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });

  return (
    <div class={drawer ? "shell drawer-open" : "shell"}>
      <a class="skip" href="#message">
        Skip to the message box
      </a>
      <Sidebar
        state={state}
        theme={theme}
        newSession={newSession}
        openSession={openSession}
        openPanel={(opened) => {
          setDrawer(false);
          setPanel(opened);
        }}
        toggleTheme={toggleTheme}
        signOut={() => void page.signOut()}
      />
      {drawer && (
        <button type="button" class="drawer-cover" aria-label="Close the menu" onClick={closeDrawer} />
      )}
      <main class="main" inert={drawer}>
        <header class="topbar">
          <button
            type="button"
            class="button ghost square menu-button"
            aria-label="Open the menu"
            aria-controls="sidebar"
            aria-expanded={drawer}
            onClick={() => setDrawer(true)}
          >
            <Icon name="menu" />
          </button>
          <h2 class="topbar-title">
            <bdi>{currentTitle(state)}</bdi>
          </h2>
          <ModelName state={state} />
          {state.approvals.length > 0 && (
            <button
              type="button"
              class="button warn"
              onClick={() => setPanel("approvals")}
              aria-haspopup="dialog"
            >
              <Icon name="shield" />
              <span class="wide-only">Approvals</span>
              <span class="count">{state.approvals.length}</span>
            </button>
          )}
          {state.questions.length > 0 && (
            <button
              type="button"
              class="button warn"
              aria-label={`Questions ${state.questions.length}`}
              onClick={() => setPanel("questions")}
              aria-haspopup="dialog"
            >
              <Icon name="person" />
              <span class="wide-only">Questions</span>
              <span class="count">{state.questions.length}</span>
            </button>
          )}
          <SessionMenu key={state.conversation.key} state={state} />
        </header>
        <Banners state={state} />
        <Thread state={state} />
        <Composer state={state} />
      </main>
      <Notices notices={state.notices} />
      <Announcer state={state} />
      {panel === "approvals" && <ApprovalsPanel state={state} onClose={closePanel} />}
      {panel === "questions" && <QuestionsPanel state={state} onClose={closePanel} />}
      {panel === "pairing" && <PairingPanel state={state} onClose={closePanel} />}
      {panel === "access" && AccessPanel && <AccessPanel state={state} onClose={closePanel} />}
      {panel === "gateway" && <GatewayPanel state={state} onClose={closePanel} />}
      {panel === "keys" && <KeysPanel onClose={closePanel} />}
    </div>
  );
}

type AccessView = FunctionComponent<{ readonly state: State; onClose(): void }>;

/** Loaded when it is opened first: most visits never need it. */
function useAccessPanel(isOpen: boolean): AccessView | undefined {
  const page = usePage();
  const [loaded, setLoaded] = useState<{ readonly view: AccessView }>();
  useEffect(() => {
    if (!isOpen || loaded) return;
    import("./access-panel.tsx").then(
      (module) => setLoaded({ view: module.default }),
      () =>
        page.notify("problem", "This part of the page could not be loaded. Reload the page and try again."),
    );
  }, [isOpen, loaded, page]);
  return loaded?.view;
}

function ModelName({ state }: { readonly state: State }) {
  if (demoProvider(state)) return null;
  const { model } = modelInUse(state);
  return model === "" ? null : <span class="model-name wide-only">{model}</span>;
}

function focusMessage(): void {
  document.getElementById("message")?.focus();
}

type Act = "escape" | "new" | "previous" | "next" | "message" | Panel;

/** By the key's place, since Alt makes other letters on some keyboards. */
const altActs: Readonly<Record<string, Act>> = {
  KeyN: "new",
  KeyA: "approvals",
  KeyQ: "questions",
  KeyG: "gateway",
  KeyM: "message",
  ArrowUp: "previous",
  ArrowDown: "next",
};

function shortcut(event: KeyboardEvent): Act | undefined {
  if (event.isComposing || event.ctrlKey || event.metaKey) return undefined;
  if (event.altKey) return Object.hasOwn(altActs, event.code) ? altActs[event.code] : undefined;
  if (event.key === "Escape") return "escape";
  const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea");
  return event.key === "?" && !typing ? "keys" : undefined;
}
