import { demoProvider } from "../model-in-use.ts";
import type { Notice, State } from "../state.ts";
import { durationWords } from "../time-words.ts";
import { visibleLine } from "../visible-text.ts";
import { Icon } from "./icon.tsx";
import { useGatewayNowMs, usePage } from "./page-context.ts";

export function Banners({ state }: { readonly state: State }) {
  return (
    <>
      <LinkBanner state={state} />
      {demoProvider(state) && <DemoBanner />}
    </>
  );
}

function LinkBanner({ state }: { readonly state: State }) {
  const page = usePage();
  const { link } = state;
  const nowMs = useGatewayNowMs(1_000) - state.gateway.clockOffsetMs;
  return (
    <div role="status">
      {link.kind === "refused" && (
        <p class="banner bad">
          <Icon name="alert" />
          <span>{link.message}. Reload the page; if that does not help, sign out and use a new link.</span>
          <button type="button" class="button small" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      )}
      {link.kind === "away" && (
        <p class="banner warn">
          <Icon name="alert" />
          <span>
            {awayWords(link.reason)} Nothing you write is lost.{" "}
            <span aria-hidden="true">Next try in {durationWords(link.retryAtMs - nowMs)}.</span>
          </span>
          <button type="button" class="button small" onClick={() => page.hurry()}>
            Try now
          </button>
        </p>
      )}
    </div>
  );
}

function awayWords(reason: string): string {
  if (/restart/i.test(reason)) return "The gateway is restarting.";
  if (/stopping/i.test(reason)) return "The gateway was stopped. Start it again on its machine.";
  if (reason !== "") return `The gateway closed the connection (${visibleLine(reason)}). Reconnecting…`;
  return "No connection to the gateway. Reconnecting…";
}

function DemoBanner() {
  return (
    <div class="banner demo">
      <span class="badge demo">Demo model (offline)</span>
      <span>
        Canned answers, no AI. To connect a real model, run <code>openclaw onboard</code> where the gateway
        runs.
      </span>
    </div>
  );
}

export function Notices({ notices }: { readonly notices: readonly Notice[] }) {
  const page = usePage();
  return (
    <div class="notices" role="log" aria-label="Notices" aria-live="polite">
      {notices.map((notice) => (
        <p key={notice.id} class={`notice ${notice.tone}`}>
          <span>{notice.text}</span>
          <button
            type="button"
            class="button ghost square"
            aria-label="Dismiss"
            onClick={() => page.dismiss(notice.id)}
          >
            <Icon name="close" />
          </button>
        </p>
      ))}
    </div>
  );
}
