import { type Reason, reasons, reasonText } from "../kernel/mod.ts";

/** The sentence of a recorded outcome, where it is a reason that we know; else nothing. */
export function reasonSentence(outcome: string | undefined): string {
  return outcome !== undefined && Object.hasOwn(reasons, outcome) ? reasonText(outcome as Reason) : "";
}
