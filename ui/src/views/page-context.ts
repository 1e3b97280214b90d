import { createContext, type FunctionComponent } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { Page } from "../page.ts";
import type { State } from "../state.ts";

export const PageContext = createContext<Page | undefined>(undefined);

export type MarkdownView = FunctionComponent<{ readonly source: string }>;

/** Undefined until its chunk is loaded; replies are plain text until then. */
export const MarkdownContext = createContext<MarkdownView | undefined>(undefined);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("A view was rendered outside of PageContext.");
  return page;
}

export function usePageState(): State {
  const { store } = usePage();
  const [state, setState] = useState(store.state);
  useEffect(() => {
    // What changed between the render and this effect must not be missed.
    setState(store.state);
    return store.watch(() => setState(store.state));
  }, [store]);
  return state;
}

/** The gateway's time in Unix milliseconds, renewed every `everyMs`. */
export function useGatewayNowMs(everyMs: number): number {
  const page = usePage();
  const [nowMs, setNowMs] = useState(page.gatewayNowMs());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(page.gatewayNowMs()), everyMs);
    return () => clearInterval(timer);
  }, [page, everyMs]);
  return nowMs;
}
