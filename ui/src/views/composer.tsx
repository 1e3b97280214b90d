import { useLayoutEffect, useRef } from "preact/hooks";
import type { State } from "../state.ts";
import { Icon } from "./icon.tsx";
import { usePage } from "./page-context.ts";

export function Composer({ state }: { readonly state: State }) {
  const page = usePage();
  const { key } = state.conversation;
  const box = useRef<HTMLTextAreaElement>(null);
  const sending = state.sending.get(key);
  const draft = state.drafts.get(key) ?? sending?.text ?? "";
  const running = state.conversation.runs.length > 0;
  const online = state.link.kind === "online";

  // The height follows the text.
  useLayoutEffect(() => {
    const shown = box.current;
    if (!shown) return;
    shown.style.height = "auto";
    shown.style.height = `${shown.scrollHeight}px`;
  }, [draft, key]);

  const submit = (event: Event) => {
    event.preventDefault();
    if (!sending) page.chat.send(key);
    box.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    // While an input method composes, Enter chooses a word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    submit(event);
  };

  return (
    <form class="composer" onSubmit={submit} aria-label="Write a message">
      <div class="column">
        {sending?.state === "waiting" && (
          <p class="composer-state" role="status">
            Not confirmed by the gateway yet. It is sent once, as soon as the connection is back.
            <button type="button" class="button small" onClick={() => page.chat.cancel(key)}>
              Do not wait
            </button>
          </p>
        )}
        <div class="composer-box">
          <label class="visually-hidden" for="message">
            Message
          </label>
          <textarea
            ref={box}
            id="message"
            rows={1}
            placeholder="Message the agent"
            value={draft}
            readOnly={sending !== undefined}
            aria-describedby="composer-keys"
            enterkeyhint="send"
            onInput={(event) => page.chat.setDraft(key, event.currentTarget.value)}
            onKeyDown={pressed}
          />
          {running && (
            <button
              type="button"
              class="button square"
              aria-label="Stop the run"
              title="Stop (Esc)"
              disabled={!online}
              onClick={() => void page.chat.stop()}
            >
              <Icon name="stop" />
            </button>
          )}
          <button
            type="submit"
            class="button primary square"
            aria-label={sending ? "Sending" : "Send"}
            title="Send (Enter)"
            disabled={sending !== undefined || draft.trim() === ""}
          >
            <Icon name="send" />
          </button>
        </div>
        <p id="composer-keys" class="composer-keys">
          {online ? "" : "Not connected: a message waits here until it is. "}
          <span>
            <kbd>Enter</kbd> sends · <kbd>Shift</kbd>+<kbd>Enter</kbd> new line{running && " · "}
            {running && <kbd>Esc</kbd>}
            {running && " stops"}
          </span>
        </p>
      </div>
    </form>
  );
}
