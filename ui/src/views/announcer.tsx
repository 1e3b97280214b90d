import { useEffect, useRef, useState } from "preact/hooks";
import type { AssistantItem, Item } from "../conversation.ts";
import { nextSentences } from "../speech.ts";
import type { State } from "../state.ts";

/** Tells screen readers what happens: the reply in whole sentences, tools, and that an answer is needed. */
export function Announcer({ state }: { readonly state: State }) {
  const spoken = useRef({ id: "", length: 0 });
  const [words, setWords] = useState("");
  const live = state.conversation.items.findLast(isReply);
  const liveText = live?.text ?? "";
  const ended = live?.state !== "streaming";

  useEffect(() => {
    if (!live) return;
    const isNew = spoken.current.id !== live.id;
    // Old replies that a history brings are there to be read, not to be announced.
    if (isNew) spoken.current = { id: live.id, length: ended ? liveText.length : 0 };
    const next = nextSentences(liveText, spoken.current.length, ended);
    if (next.trim() === "") return;
    spoken.current.length += next.length;
    setWords(next);
  }, [live, liveText, ended]);

  const waiting = state.approvals.length;
  const asked = state.questions.length;
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite" data-announces="reply">
        {words}
      </div>
      <div class="visually-hidden" role="alert" data-announces="approvals">
        {waiting > 0 &&
          `${waiting === 1 ? "One approval is" : `${waiting} approvals are`} waiting for you. Press Alt A.`}
      </div>
      <div class="visually-hidden" role="alert" data-announces="questions">
        {asked > 0 &&
          `${asked === 1 ? "One question is" : `${asked} questions are`} waiting for you. Press Alt Q.`}
      </div>
    </>
  );
}

function isReply(item: Item): item is AssistantItem {
  return item.kind === "assistant";
}
