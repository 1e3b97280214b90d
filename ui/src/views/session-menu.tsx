import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { keyTitle } from "../sessions.ts";
import type { State } from "../state.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { usePage } from "./page-context.ts";

type Step = "closed" | "menu" | "rename" | "reset" | "delete";

export function currentTitle(state: State): string {
  const { key } = state.conversation;
  return state.sessions.find((row) => row.key === key)?.title ?? keyTitle(key);
}

/** What can be done with the open conversation. */
export function SessionMenu({ state }: { readonly state: State }) {
  const page = usePage();
  const [step, setStep] = useState<Step>("closed");
  const frame = useRef<HTMLDivElement>(null);
  const { key } = state.conversation;
  const close = () => setStep("closed");
  useEffect(() => {
    if (step !== "menu") return;
    frame.current?.querySelector<HTMLElement>(".menu button")?.focus();
    const outside = (event: Event) => {
      if (event.target instanceof Node && !frame.current?.contains(event.target)) setStep("closed");
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [step]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only catches the Escape of the buttons inside
    <div
      class="menu-frame"
      ref={frame}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || step !== "menu") return;
        event.stopPropagation();
        close();
        frame.current?.querySelector("button")?.focus();
      }}
    >
      <button
        type="button"
        class="button ghost square"
        aria-label="Conversation actions"
        aria-expanded={step === "menu"}
        onClick={() => setStep(step === "menu" ? "closed" : "menu")}
      >
        <Icon name="more" />
      </button>
      {step === "menu" && (
        <div class="menu">
          <button type="button" onClick={() => setStep("rename")}>
            Rename…
          </button>
          <button type="button" onClick={() => setStep("reset")}>
            Reset…
          </button>
          {key !== state.gateway.mainKey && (
            <button type="button" class="danger-text" onClick={() => setStep("delete")}>
              Delete…
            </button>
          )}
        </div>
      )}
      {step === "rename" && <Rename state={state} onClose={close} />}
      {step === "reset" && (
        <Confirm
          title="Reset this conversation?"
          words="The agent starts afresh and no longer knows what was said here."
          action="Reset"
          onClose={close}
          run={async () => {
            if (await page.sessions.reset(key)) await page.chat.catchUp();
          }}
        />
      )}
      {step === "delete" && (
        <Confirm
          title="Delete this conversation?"
          words={
            <>
              “<bdi>{currentTitle(state)}</bdi>” and its record are removed. This cannot be undone.
            </>
          }
          action="Delete"
          onClose={close}
          run={async () => {
            if (await page.sessions.remove(key)) page.openSession(state.gateway.mainKey);
          }}
        />
      )}
    </div>
  );
}

function Rename({ state, onClose }: { readonly state: State; onClose(): void }) {
  const page = usePage();
  const { key } = state.conversation;
  const [label, setLabel] = useState(state.sessions.find((row) => row.key === key)?.label ?? "");
  const submit = async (event: Event) => {
    event.preventDefault();
    if (label.trim() !== "" && (await page.sessions.rename(key, label.trim()))) onClose();
  };
  return (
    <Dialog title="Rename the conversation" onClose={onClose}>
      <form onSubmit={submit} class="stack">
        <label for="session-name">Name</label>
        <input
          id="session-name"
          maxLength={64}
          value={label}
          onInput={(event) => setLabel(event.currentTarget.value)}
        />
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={label.trim() === ""}>
            Rename
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface ConfirmProps {
  readonly title: string;
  readonly words: ComponentChildren;
  readonly action: string;
  run(): Promise<void>;
  onClose(): void;
}

function Confirm({ title, words, action, run, onClose }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    await run();
    onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{words}</p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="button danger" disabled={busy} onClick={() => void confirm()}>
          {action}
        </button>
      </div>
    </Dialog>
  );
}
