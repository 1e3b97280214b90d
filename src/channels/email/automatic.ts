import { type Header, valuesOf } from "./headers.ts";

/**
 * Why a message must not be answered: a machine wrote it, or it went to a list. Two machines that answer each other
 * never stop (RFC 3834). Undefined for what a person wrote to us.
 */
export function automaticReason(headers: readonly Header[], from: string | undefined): string | undefined {
  const first = (name: string) => valuesOf(headers, name)[0]?.toLowerCase();
  const submitted = first("auto-submitted")
    ?.replace(/[;(].*/s, "")
    .trim();
  if (submitted !== undefined && submitted !== "no") return "it was sent automatically (Auto-Submitted)";
  if (/^\s*(?:bulk|junk|list|auto[_-]?reply)\b/.test(first("precedence") ?? ""))
    return "it is bulk mail (Precedence)";
  for (const name of ["list-id", "list-post", "list-unsubscribe", "mailing-list", "feedback-id"]) {
    if (first(name) !== undefined) return `it came from a list (${name})`;
  }
  for (const name of ["x-autoreply", "x-autorespond", "x-auto-response-suppress", "x-failed-recipients"]) {
    if (first(name) !== undefined) return `it was sent automatically (${name})`;
  }
  if (valuesOf(headers, "return-path").some((value) => /^<\s*>/.test(value)))
    return "it is a bounce (empty return path)";
  if (/^multipart\/report\b/.test(first("content-type") ?? "")) return "it is a report";
  if (from !== undefined && /^(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply)[@+._-]/i.test(from)) {
    return "nobody reads answers at its address";
  }
  return undefined;
}
