import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { demoProvider } from "../model-in-use.ts";
import type { State } from "../state.ts";
import { ApprovalCard } from "./approval-card.tsx";
import { Icon, Mark } from "./icon.tsx";
import { ItemRow } from "./item-row.tsx";
import { usePage } from "./page-context.ts";
import { QuestionCard } from "./question-card.tsx";

const nearEndPixels = 80;

export function Thread({ state }: { readonly state: State }) {
  const { conversation } = state;
  const frame = useRef<HTMLElement>(null);
  const following = useRef(true);
  const byHand = useRef(false);
  const lastTop = useRef(0);
  const [atEnd, setAtEnd] = useState(true);
  const approvals = state.approvals.filter((one) => one.sessionKey === conversation.key);
  const questions = state.questions.filter((one) => one.sessionKey === conversation.key);

  // Another conversation starts at its end, and who writes wants to see what comes of it.
  const last = conversation.items.at(-1);
  const sentId = last?.kind === "user" && last.sendKey !== undefined ? last.id : "";
  useEffect(() => {
    following.current = true;
    lastTop.current = 0;
    setAtEnd(true);
    if (frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [conversation.key, sentId]);

  // Whenever it grows, but only for a reader who is at the end: nobody is torn away from what they read.
  useLayoutEffect(() => {
    const shown = frame.current;
    const content = shown?.firstElementChild;
    if (!shown || !content) return;
    const grown = new ResizeObserver(() => {
      if (following.current) shown.scrollTop = shown.scrollHeight;
    });
    grown.observe(content);
    grown.observe(shown);
    return () => grown.disconnect();
  }, []);

  // The event of a scroll of our own may come after the next growth, and then looks like a reader who is far
  // from the end. Only a way up, or a hand on it, is a reader's.
  const scrolled = () => {
    const shown = frame.current;
    if (!shown) return;
    const isNear = shown.scrollHeight - shown.scrollTop - shown.clientHeight < nearEndPixels;
    const wentUp = shown.scrollTop < lastTop.current - 4;
    lastTop.current = shown.scrollTop;
    if (isNear) following.current = true;
    else if (wentUp || byHand.current) following.current = false;
    byHand.current = false;
    setAtEnd(following.current);
  };
  const touched = () => {
    byHand.current = true;
  };

  /** Who unfolds something wants to read it from its beginning. */
  const unfolds = (event: Event) => {
    if (!(event.target instanceof Element) || !event.target.closest("summary, .clip button")) return;
    following.current = false;
    byHand.current = true;
    requestAnimationFrame(() => requestAnimationFrame(scrolled));
  };

  const jump = () => {
    following.current = true;
    frame.current?.scrollTo({ top: frame.current.scrollHeight });
    frame.current?.focus();
  };

  return (
    <section
      class="thread"
      ref={frame}
      onScroll={scrolled}
      onWheel={touched}
      onTouchMove={touched}
      onClickCapture={unfolds}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      aria-label="Conversation"
    >
      <div class="column">
        {conversation.status === "loading" && <Skeleton />}
        {conversation.status === "failed" && <Failed problem={conversation.problem ?? ""} />}
        {conversation.status === "ready" &&
          conversation.items.length + approvals.length + questions.length === 0 && <Welcome state={state} />}
        {conversation.earlierLeftOut && (
          <p class="notice-row">
            Only the newest 200 entries are shown. Earlier ones are kept by the gateway.
          </p>
        )}
        {conversation.items.map((item) => (
          <ItemRow
            key={`${item.kind}:${item.id}`}
            item={item}
            isWaiting={item.kind === "tool" && approvals.some((one) => one.toolCallId === item.callId)}
          />
        ))}
        {approvals.map((approval) => (
          <ApprovalCard key={approval.id} approval={approval} />
        ))}
        {questions.map((asked) => (
          <QuestionCard key={asked.id} asked={asked} />
        ))}
        <Working state={state} hasApproval={approvals.length > 0} />
      </div>
      {!atEnd && (
        <button type="button" class="button jump" onClick={jump}>
          <Icon name="down" />
          Newest
        </button>
      )}
    </section>
  );
}

function Working({ state, hasApproval }: { readonly state: State; readonly hasApproval: boolean }) {
  const { runs, items } = state.conversation;
  const last = items.at(-1);
  if (runs.length === 0 || (last?.kind === "assistant" && last.state === "streaming")) return null;
  const phase = runs.at(-1)?.phase ?? "";
  const words = hasApproval || phase === "waiting-approval" ? "Waiting for your approval" : phaseWords(phase);
  return (
    <p class="working">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {words}
    </p>
  );
}

function phaseWords(phase: string): string {
  if (phase === "retrying") return "The model did not answer; trying again";
  if (phase === "using-tool") return "Using a tool";
  return "Thinking";
}

function Skeleton() {
  return (
    <div class="skeleton" role="status" aria-label="Loading the conversation">
      <i />
      <i />
      <i />
    </div>
  );
}

function Failed({ problem }: { readonly problem: string }) {
  const page = usePage();
  return (
    <div class="empty" role="alert">
      <p class="problem-text">{problem}</p>
      <button type="button" class="button" onClick={() => void page.chat.catchUp()}>
        Try again
      </button>
    </div>
  );
}

const suggestions = ["What can you do?", "List the files here", "Run `date`"];

function Welcome({ state }: { readonly state: State }) {
  const page = usePage();
  const take = (words: string) => {
    page.chat.setDraft(state.conversation.key, words);
    document.getElementById("message")?.focus();
  };
  return (
    <div class="empty">
      <Mark />
      <h2>What should we do?</h2>
      <p class="quiet">
        {demoProvider(state)
          ? "The demo model shows how the gateway works, with tools and approvals, without any account."
          : "Write below. When the agent wants to use a tool, you see exactly what it does."}
      </p>
      <ul class="suggestions">
        {suggestions.map((words) => (
          <li key={words}>
            <button type="button" class="button" onClick={() => take(words)}>
              {words}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
