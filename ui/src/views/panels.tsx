import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { modelInUse } from "../model-in-use.ts";
import type { PairingRequest } from "../pairing.ts";
import type { State } from "../state.ts";
import { durationWords } from "../time-words.ts";
import { ApprovalCard } from "./approval-card.tsx";
import { Dialog } from "./dialog.tsx";
import { useGatewayNowMs, usePage } from "./page-context.ts";
import { QuestionCard } from "./question-card.tsx";
import { LinkDot } from "./sidebar.tsx";
import { Visible } from "./visible.tsx";

interface Props {
  readonly state: State;
  onClose(): void;
}

export function ApprovalsPanel({ state, onClose }: Props) {
  return (
    <Dialog title="Approvals" wide onClose={onClose}>
      {state.approvals.length === 0 ? (
        <p class="quiet">
          Nothing waits for you. When an agent wants to run something that needs your word, it appears here
          and in its conversation.
        </p>
      ) : (
        <ul class="stack">
          {state.approvals.map((approval) => (
            <li key={approval.id}>
              <ApprovalCard approval={approval} />
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

export function QuestionsPanel({ state, onClose }: Props) {
  return (
    <Dialog title="Questions" wide onClose={onClose}>
      {state.questions.length === 0 ? (
        <p class="quiet">
          Nobody waits for an answer of yours. When a program asks you something, it appears here and in its
          conversation.
        </p>
      ) : (
        <ul class="stack">
          {state.questions.map((asked) => (
            <li key={asked.id}>
              <QuestionCard asked={asked} />
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

export function PairingPanel({ state, onClose }: Props) {
  return (
    <Dialog title="Access requests" wide onClose={onClose}>
      <p class="quiet">
        {state.pairing.length === 0
          ? "Nobody asks to be let in. When somebody new writes to the agent in a chat app, they get a code, and the request appears here."
          : "Approve only people you know, and only when they tell you the same code. They will be able to write to your agent in direct messages."}
      </p>
      <ul class="stack">
        {state.pairing.map((request) => (
          <PairingCard key={`${request.channel}/${request.accountId}/${request.code}`} request={request} />
        ))}
      </ul>
    </Dialog>
  );
}

function PairingCard({ request }: { readonly request: PairingRequest }) {
  const page = usePage();
  const nowMs = useGatewayNowMs(10_000);
  return (
    <li class="pairing">
      <p>
        <strong>
          <Visible source={request.senderName || request.senderId} />
        </strong>{" "}
        <span class="quiet">
          {request.senderName !== "" && <Visible source={request.senderId} />} on{" "}
          <Visible source={request.channel} />
          {request.accountId !== "" && request.accountId !== "default" && (
            <Visible source={` (${request.accountId})`} />
          )}
        </span>
      </p>
      <p>
        Code <code class="pairing-code">{request.code}</code>
        {request.expiresAtMs !== undefined && (
          <span class="quiet"> expires in {durationWords(request.expiresAtMs - nowMs)}</span>
        )}
      </p>
      <div class="approval-actions">
        <button
          type="button"
          class="button primary"
          disabled={request.answering}
          onClick={() => void page.pairing.answer(request, true)}
        >
          Approve
        </button>
        <button
          type="button"
          class="button"
          disabled={request.answering}
          onClick={() => void page.pairing.answer(request, false)}
        >
          Dismiss
        </button>
      </div>
    </li>
  );
}

export function GatewayPanel({ state, onClose }: Props) {
  const page = usePage();
  useEffect(() => page.health.followChannels(), [page]);
  const isLinking = state.link.kind === "online" && state.channels.some(({ linkCode }) => linkCode !== "");
  const LinkCode = useLinkCode(isLinking);
  const nowMs = useGatewayNowMs(1_000) - state.gateway.clockOffsetMs;
  const { provider, model } = modelInUse(state);
  const { startedAtMs, version } = state.gateway;
  return (
    <Dialog title="Gateway" onClose={onClose}>
      <dl class="facts">
        <div>
          <dt>Connection</dt>
          <dd>
            <LinkDot state={state} />
          </dd>
        </div>
        <div>
          <dt>Health</dt>
          <dd>
            {state.healthy === undefined ? "not told yet" : state.healthy ? "in order" : "reports a problem"}
          </dd>
        </div>
        <div>
          <dt>Version</dt>
          <dd>{version || "unknown"}</dd>
        </div>
        <div>
          <dt>Running for</dt>
          <dd>{startedAtMs === undefined ? "unknown" : durationWords(nowMs - startedAtMs)}</dd>
        </div>
        <div>
          <dt>Model</dt>
          <dd>
            {provider === "demo" && <span class="badge demo">Demo model (offline)</span>}{" "}
            <Visible source={[provider, model].filter(Boolean).join(" / ") || "none connected"} />
          </dd>
        </div>
      </dl>
      <h3>Channels</h3>
      {state.channels.length === 0 ? (
        <p class="quiet">
          No chat app is connected. Add one under <code>channels</code> in the gateway's configuration.
        </p>
      ) : (
        <ul class="channels">
          {state.channels.map((channel) => (
            <li key={`${channel.id}/${channel.accountId}`}>
              <span class={`dot ${channel.tone}`} aria-hidden="true" />
              <span>
                <Visible source={channel.label} />
                {channel.identity !== "" && (
                  <span class="quiet">
                    {" "}
                    <Visible source={channel.identity} />
                  </span>
                )}
                {channel.accountId !== "" && channel.accountId !== "default" && (
                  <span class="quiet">
                    {" "}
                    <Visible source={channel.accountId} />
                  </span>
                )}
              </span>
              <span class="quiet">
                <Visible source={channel.state} />
              </span>
              {channel.problem !== "" && (
                <p class="problem-text">
                  <Visible source={channel.problem} />
                </p>
              )}
              {isLinking && LinkCode && channel.linkCode !== "" && (
                <LinkCode label={channel.label} code={channel.linkCode} />
              )}
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

type LinkCodeView = FunctionComponent<{ readonly label: string; readonly code: string }>;

/** Loaded when there is something to scan: most visits never need it. */
function useLinkCode(isNeeded: boolean): LinkCodeView | undefined {
  const page = usePage();
  const [loaded, setLoaded] = useState<{ readonly view: LinkCodeView }>();
  useEffect(() => {
    if (!isNeeded || loaded) return;
    import("./link-code.tsx").then(
      (module) => setLoaded({ view: module.default }),
      () => page.notify("problem", "The code to scan could not be shown. Reload the page and try again."),
    );
  }, [isNeeded, loaded, page]);
  return loaded?.view;
}

const shortcuts = [
  ["Enter", "Send the message"],
  ["Shift Enter", "New line"],
  ["Esc", "Stop the run, or close what is open"],
  ["Alt N", "New conversation"],
  ["Alt ↑ / Alt ↓", "Previous or next conversation"],
  ["Alt A", "Approvals"],
  ["Alt Q", "Questions"],
  ["Alt G", "Gateway"],
  ["Alt M", "Go to the message box"],
  ["?", "This list (outside of a text box)"],
] as const;

export function KeysPanel({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="keys">
        {shortcuts.map(([keys, words]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
