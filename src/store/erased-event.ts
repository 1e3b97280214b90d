import { hash } from "node:crypto";

/** What an erased message's event is still recognised by when the platform delivers it again. */
export function erasedEventId(eventId: string): string {
  return `erased:${hash("sha256", eventId)}`;
}
