import { InputError, schema } from "../kernel/mod.ts";
import type { Role } from "./principal.ts";

const { array, boolean, integer, object, oneOf, open, optional, string } = schema;

const role = oneOf(["operator", "node"]);
const word = string({ minLength: 1, maxLength: 512 });
const time = integer({ minimum: 0 });

/** How a device came in. */
export const approvals = ["silent", "owner", "trusted-cidr", "trusted-proxy", "setup-code"] as const;
export type ApprovedVia = (typeof approvals)[number];

const tokenSchema = open(
  object({
    role,
    scopes: array(word),
    /** Hex SHA-256 of the token; the token itself is nowhere. */
    hash: string({ pattern: "^[0-9a-f]{64}$" }),
    /** Drawn anew for each token, so that a device that was removed and paired again gets another one. */
    generation: word,
    createdAtMs: time,
    rotatedAtMs: optional(time),
    lastUsedAtMs: optional(time),
    revokedAtMs: optional(time),
  }),
);

const deviceSchema = open(
  object({
    deviceId: string({ pattern: "^[0-9a-f]{64}$" }),
    publicKey: word,
    displayName: optional(word),
    operatorLabel: optional(word),
    platform: optional(word),
    deviceFamily: optional(word),
    clientId: optional(word),
    clientMode: optional(word),
    roles: array(role),
    scopes: array(word),
    /** What it is kept to as an operator, whatever it asks for; absent: to its scopes alone. */
    operatorRole: optional(oneOf(["owner", "admin", "viewer"])),
    approvedVia: oneOf(approvals),
    createdAtMs: time,
    approvedAtMs: time,
    lastSeenAtMs: optional(time),
    tokens: array(tokenSchema),
  }),
);

const pendingSchema = open(
  object({
    requestId: string({ pattern: "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$" }),
    deviceId: string({ pattern: "^[0-9a-f]{64}$" }),
    publicKey: word,
    displayName: optional(word),
    platform: optional(word),
    deviceFamily: optional(word),
    clientId: optional(word),
    clientMode: optional(word),
    role,
    roles: array(role),
    scopes: array(word),
    remoteIp: optional(word),
    isRepair: boolean(),
    ts: time,
    expiresAtMs: time,
  }),
);

export type DeviceToken = schema.Static<typeof tokenSchema>;
export type PairedDevice = schema.Static<typeof deviceSchema>;
/** A device that waits for an operator's yes. */
export type PendingPairing = schema.Static<typeof pendingSchema>;

const pairedFile = open(object({ devices: array(deviceSchema) }));
const pendingFile = open(object({ requests: array(pendingSchema) }));

/** The devices of paired.json, by id. Throws an InputError for any other shape: guessing could admit somebody. */
export function parsePaired(value: unknown): Map<string, PairedDevice> {
  if (value === undefined) return new Map();
  const { devices } = shaped(
    pairedFile,
    value,
    'paired.json has an unknown shape; expected {"devices": [...]}',
  );
  const map = new Map(devices.map((device) => [device.deviceId, device]));
  // With two entries of one device, removing one by hand would seem to revoke it and would not.
  if (map.size !== devices.length) throw new InputError("paired.json lists one deviceId twice; remove one");
  return map;
}

/** The requests of pending.json, by request id. */
export function parsePending(value: unknown): Map<string, PendingPairing> {
  if (value === undefined) return new Map();
  const { requests } = shaped(
    pendingFile,
    value,
    'pending.json has an unknown shape; expected {"requests": [...]}; remove it to start over',
  );
  return new Map(requests.map((request) => [request.requestId, request]));
}

function shaped<T>(expected: schema.Schema<T>, value: unknown, message: string): T {
  const [problem] = schema.check(expected, value);
  if (problem) throw new InputError(`${message} (${schema.problemText(problem)})`);
  return value as T;
}

export function tokenOf(device: PairedDevice | undefined, wanted: Role): DeviceToken | undefined {
  return device?.tokens.find((item) => item.role === wanted);
}
