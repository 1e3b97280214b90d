import { type Schema, schema } from "../kernel/mod.ts";
import { type ConnectParams, clientIds, clientModes, type RequestFrame, type WireError } from "./protocol.ts";

const { any, array, boolean, integer, object, oneOf, optional, record, string } = schema;

const requestSchema = object({
  type: oneOf(["req"]),
  id: string({ minLength: 1 }),
  method: string({ minLength: 1 }),
  params: optional(any()),
  traceparent: optional(string({ maxLength: 128 })),
  expectedProfileId: optional(string({ minLength: 1, maxLength: 128 })),
});

const word = string({ minLength: 1 });

const connectSchema: Schema<ConnectParams> = object({
  minProtocol: integer({ minimum: 1 }),
  maxProtocol: integer({ minimum: 1 }),
  client: object({
    id: oneOf(clientIds),
    version: word,
    platform: word,
    mode: oneOf(clientModes),
    displayName: optional(word),
    buildId: optional(string({ minLength: 1, maxLength: 96 })),
    deviceFamily: optional(word),
    modelIdentifier: optional(word),
    timeZone: optional(string({ minLength: 1, maxLength: 64 })),
    instanceId: optional(word),
  }),
  role: optional(word),
  scopes: optional(array(word)),
  caps: optional(array(word)),
  commands: optional(array(word)),
  permissions: optional(record(boolean())),
  pathEnv: optional(string()),
  computerUse: optional(any()),
  workerRuns: optional(any()),
  auth: optional(
    object({
      token: optional(string()),
      password: optional(string()),
      deviceToken: optional(string()),
      bootstrapToken: optional(string()),
      approvalRuntimeToken: optional(string()),
      agentRuntimeIdentityToken: optional(string()),
    }),
  ),
  device: optional(
    object({
      id: word,
      publicKey: word,
      signature: word,
      signedAt: integer({ minimum: 0 }),
      nonce: string(),
    }),
  ),
  locale: optional(string()),
  userAgent: optional(string()),
}) as Schema<ConnectParams>;

export type ParsedFrame =
  | { readonly ok: true; readonly frame: RequestFrame }
  /** Not JSON at all: nothing to answer. */
  | { readonly ok: false; readonly garbage: true }
  /** JSON, but not a request; `id` is what to answer to. */
  | {
      readonly ok: false;
      readonly garbage: false;
      readonly id: string;
      readonly isObject: boolean;
      readonly error: WireError;
    };

// Text that is not UTF-8 is not JSON either: decoded with "fatal", so that nothing is replaced silently.
const decoder = new TextDecoder("utf-8", { fatal: true });

export function parseFrame(bytes: Buffer): ParsedFrame {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    return { ok: false, garbage: true };
  }
  const problems = isTooDeep(value, bytes.length)
    ? [{ path: ["params"], kind: "value" as const, message: `nest at most ${maxDepth} levels deep` }]
    : schema.check(requestSchema, value);
  if (problems.length === 0) return { ok: true, frame: value as RequestFrame };
  const id = (value as { id?: unknown } | null)?.id;
  return {
    ok: false,
    garbage: false,
    id: (typeof id === "string" && id !== "") || typeof id === "number" ? (id as string) : "invalid",
    isObject: typeof value === "object" && value !== null && (value as { type?: unknown }).type === "req",
    error: invalid(`invalid request frame: ${problems.map(schema.problemText).join("; ")}`),
  };
}

// Everything that walks a value by calling itself would run out of stack somewhere beyond this.
const maxDepth = 200;

/** A level takes two bytes at least: short frames need no look. */
function isTooDeep(value: unknown, bytes: number): boolean {
  if (bytes < 2 * maxDepth) return false;
  let level: object[] = [{ value }];
  for (let depth = 0; depth <= maxDepth; depth++) {
    const next: object[] = [];
    for (const node of level)
      for (const item of Array.isArray(node) ? node : Object.values(node))
        if (typeof item === "object" && item !== null) next.push(item);
    if (next.length === 0) return false;
    level = next;
  }
  return true;
}

export function parseConnect(
  params: unknown,
): { readonly ok: true; readonly params: ConnectParams } | { readonly ok: false; readonly error: WireError } {
  const problems = schema.check(connectSchema, params ?? {});
  if (problems.length > 0) {
    return {
      ok: false,
      error: invalid(`invalid connect params: ${problems.map(schema.problemText).join("; ")}`),
    };
  }
  return { ok: true, params: params as ConnectParams };
}

export function invalid(message: string, details?: Readonly<Record<string, unknown>>): WireError {
  return { code: "INVALID_REQUEST", message, ...(details ? { details } : {}) };
}

export function unavailable(
  message: string,
  details?: Readonly<Record<string, unknown>>,
  retryAfterMs?: number,
): WireError {
  return {
    code: "UNAVAILABLE",
    message,
    ...(details ? { details } : {}),
    ...(retryAfterMs === undefined ? {} : { retryable: true, retryAfterMs }),
  };
}

export function unknownAgent(agentId: string): MethodError {
  const message = `unknown agent id ${JSON.stringify(agentId)}; agents.list shows them`;
  return new MethodError(invalid(message, { code: "UNKNOWN_AGENT_ID", agentId }));
}

/** Thrown by a method to answer with this error. */
export class MethodError extends Error {
  readonly wire: WireError;
  /** Sent beside the error, where the wire wants both. */
  readonly payload: unknown;
  constructor(wire: WireError, payload?: unknown) {
    super(wire.message);
    this.name = "MethodError";
    this.wire = wire;
    this.payload = payload;
  }
}
