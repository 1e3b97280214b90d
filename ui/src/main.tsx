import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/conversation.css";
import { render } from "preact";
import { storageMemory } from "./memory.ts";
import { openPage } from "./page.ts";
import { browserClock } from "./page-clock.ts";
import { askSignedIn, signIn, signOut, takeTicket } from "./sign-in.ts";
import { App } from "./views/app.tsx";
import { applyKeptTheme } from "./views/use-theme.ts";

const ticket = takeTicket(location, history);
applyKeptTheme();

const page = openPage({
  clock: browserClock,
  memory: storageMemory(tabStorage()),
  openSocket(listener) {
    const url = new URL(document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = "";
    url.hash = "";
    const socket = new WebSocket(url);
    socket.onmessage = (event) => listener.message(event.data);
    socket.onclose = (event) => listener.closed(event.code, event.reason);
    return socket;
  },
  random: () => Math.random(),
  newId: freshId,
  askSignedIn,
  signIn,
  signOut,
});

addEventListener("online", () => page.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") page.hurry();
});
// A sign-in link pasted into a tab that is open already changes only the fragment.
addEventListener("hashchange", () => {
  const late = takeTicket(location, history);
  if (late !== undefined) void page.signIn({ ticket: late });
});

const root = document.getElementById("page");
if (root) render(<App page={page} />, root);
void page.start(ticket);

/** `crypto.randomUUID` exists only on https and localhost; a gateway on a home network may be plain http. */
function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function tabStorage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}
