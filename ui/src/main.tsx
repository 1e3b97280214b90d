/**
 * The gateway's web page: talk to an agent, see what it does, and say what it may do.
 *
 * 1. Text from outside stays text; no HTML is made of it, and nothing is fetched because it was shown.
 * 2. No secret is kept: the sign-in fragment leaves the address bar at once, the session is a cookie that no
 *    script can read.
 * 3. The page talks to the gateway that served it and to no other.
 * 4. A message is sent once: its text stays in the box until the gateway has answered, and is sent again under
 *    the same key when the answer was lost.
 * 5. What is to be approved is shown whole, with every hidden character visible, before it can be allowed.
 * 6. Everything can be done with the keyboard, and is told to a screen reader.
 */
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
