import { invalid, MethodError } from "./frames.ts";
import type { ControlParts } from "./parts.ts";

/** The channel that was named; without a name the only one that there is. */
export function channelOf(parts: ControlParts, named: string | undefined): string {
  const configured = [...new Set(parts.channels().map((item) => item.id))];
  const [only] = configured;
  if (only === undefined) {
    throw new MethodError(
      invalid("Error: Channel is required (no configured channels detected). Configure one in channels.*"),
    );
  }
  if (named === undefined && configured.length > 1)
    throw new MethodError(invalid(`Error: Channel is required; configured: ${configured.join(", ")}`));
  if (named !== undefined && !configured.includes(named))
    throw new MethodError(
      invalid(`unknown channel ${JSON.stringify(named)}; configured: ${configured.join(", ")}`),
    );
  return named ?? only;
}
