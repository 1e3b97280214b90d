import { schema } from "../kernel/mod.ts";

const { array, integer, number, object, oneOf, open, optional, string } = schema;

const bytes = integer({ minimum: 0 });
const statsSchema = object({
  cpuCount: integer({ minimum: 1, maximum: 4096 }),
  loadAverage: optional(array(number({ minimum: 0 }), { minItems: 3, maxItems: 3 })),
  memoryTotalBytes: bytes,
  memoryFreeBytes: bytes,
  diskTotalBytes: optional(bytes),
  diskAvailableBytes: optional(bytes),
});
const aliveSchema = open(
  object({
    trigger: oneOf([
      "background",
      "silent_push",
      "bg_app_refresh",
      "significant_location",
      "manual",
      "connect",
    ]),
  }),
);
const execSchema = open(
  object({
    runId: string({ minLength: 1, maxLength: 256 }),
    sessionKey: string({ minLength: 1, maxLength: 512 }),
  }),
);

export type HostStats = schema.Static<typeof statsSchema> & { readonly updatedAtMs: number };

/** What a node reports, read; anything else is not handled. */
export type NodeReport =
  | { readonly kind: "stats"; readonly stats: schema.Static<typeof statsSchema> }
  | { readonly kind: "alive"; readonly trigger: string }
  /** Something about a command that it was asked to run; nothing of it is believed, only matched. */
  | { readonly kind: "exec"; readonly runId: string; readonly sessionKey: string }
  | { readonly kind: "invalid" }
  | { readonly kind: "unsupported" };

const execEvents = ["exec.started", "exec.finished", "exec.denied"];

export function readNodeEvent(event: string, payload: unknown, payloadJSON: string | undefined): NodeReport {
  const kind =
    event === "node.host.stats"
      ? statsSchema
      : event === "node.presence.alive"
        ? aliveSchema
        : execEvents.includes(event)
          ? execSchema
          : undefined;
  if (!kind) return { kind: "unsupported" };
  const value = payloadJSON === undefined ? payload : parsed(payloadJSON);
  if (schema.check(kind, value).length > 0) return { kind: "invalid" };
  if (kind === statsSchema) return { kind: "stats", stats: value as schema.Static<typeof statsSchema> };
  if (kind === aliveSchema) return { kind: "alive", trigger: (value as { trigger: string }).trigger };
  const { runId, sessionKey } = value as schema.Static<typeof execSchema>;
  return { kind: "exec", runId, sessionKey };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
