import type { Probe } from "./platform.ts";

/**
 * The answer of a platform that was asked who we are; `troubleOf` makes words of what went wrong. What a person has to
 * set right is a refusal; all else may pass by itself.
 */
export async function probe(
  ask: () => Promise<string>,
  troubleOf: (error: unknown) => { readonly state: "reconnecting" | "failed"; readonly detail: string },
): Promise<Probe> {
  try {
    return { outcome: "known", identity: await ask() };
  } catch (error) {
    const { state, detail } = troubleOf(error);
    const said = detail.replace(/; trying again (?:in|every) .*$/, "");
    return { outcome: state === "failed" ? "refused" : "unreachable", detail: said };
  }
}
