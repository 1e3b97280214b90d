import { useEffect, useState } from "preact/hooks";
import type { Page } from "../page.ts";
import { Mark } from "./icon.tsx";
import { MarkdownContext, type MarkdownView, PageContext, usePageState } from "./page-context.ts";
import { Shell } from "./shell.tsx";
import { SignInView } from "./sign-in-view.tsx";

export function App({ page }: { readonly page: Page }) {
  const [markdown, setMarkdown] = useState<{ readonly view: MarkdownView }>();
  useEffect(() => {
    import("./markdown.tsx").then(
      ({ Markdown }) => setMarkdown({ view: Markdown }),
      // Replies stay readable as plain text.
      () => undefined,
    );
  }, []);
  return (
    <PageContext.Provider value={page}>
      <MarkdownContext.Provider value={markdown?.view}>
        <Entrance />
      </MarkdownContext.Provider>
    </PageContext.Provider>
  );
}

function Entrance() {
  const state = usePageState();
  if (state.access.kind === "signed-in") return <Shell state={state} />;
  if (state.access.kind === "signed-out") return <SignInView access={state.access} />;
  return (
    <main class="entrance" aria-busy="true">
      <Mark />
      <p class="quiet">Opening…</p>
    </main>
  );
}
