import type { State } from "./state.ts";

/** Which model answers in the open conversation, as far as the gateway has told. */
export function modelInUse(state: State): { readonly provider: string; readonly model: string } {
  const row = state.sessions.find((one) => one.key === state.conversation.key);
  if (row && (row.provider !== "" || row.model !== "")) return { provider: row.provider, model: row.model };
  if (state.gateway.provider !== "" || state.gateway.model !== "") return state.gateway;
  const reply = state.conversation.items.findLast(
    (item) => item.kind === "assistant" && item.provider !== undefined,
  );
  if (reply?.kind !== "assistant") return { provider: "", model: "" };
  return { provider: reply.provider ?? "", model: reply.model ?? "" };
}

/** Nobody should take the built-in demo for a real model. */
export function demoProvider(state: State): boolean {
  const { provider, model } = modelInUse(state);
  return provider === "demo" || model.startsWith("demo/");
}
