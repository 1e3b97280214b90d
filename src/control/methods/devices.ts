import type { Devices, DeviceView, PendingPairing, SetupAccess, SetupCodes } from "../../auth/mod.ts";
import { type Refusal, reasonText, schema, type Verdict } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { WireError } from "../protocol.ts";

const { array, boolean, object, oneOf, open, optional, string } = schema;

export interface DeviceControlParts {
  readonly devices: Devices;
  readonly setupCodes: SetupCodes;
  /** The gateway's own identity. */
  readonly identity: () => { readonly deviceId: string; readonly publicKey: string };
  /** Where a new device finds this gateway. Throws an InputError when nothing but this machine can reach it. */
  readonly gatewayUrl: (publicUrl: string | undefined) => { readonly url: string; readonly source: string };
  readonly authMode: () => "token" | "password" | "none" | "trusted-proxy";
}

const requestId = string({ minLength: 1, maxLength: 128 });
const deviceId = string({ minLength: 1, maxLength: 128 });
const role = string({ minLength: 1, maxLength: 32 });
const scopes = array(string({ minLength: 1, maxLength: 64 }), { maxItems: 64 });

/** device.pair.*, device.token.*, device.scopes.*, gateway.identity.get. */
export function deviceMethods(parts: DeviceControlParts): Method[] {
  return [...pairingMethods(parts), ...tokenMethods(parts), ...upgradeMethods(parts), ...setupMethods(parts)];
}

function pairingMethods({ devices }: DeviceControlParts): Method[] {
  return [
    method({
      name: "device.pair.list",
      scope: "operator.pairing",
      params: object({}),
      run: (_params, call) => {
        const { pending, paired } = devices.list(call.principal);
        return { pending: pending.map(pendingInfo), paired: paired.map(pairedInfo) };
      },
    }),
    method({
      name: "device.pair.approve",
      scope: "operator.pairing",
      params: object({ requestId, operatorRole: optional(oneOf(["owner", "admin", "viewer"])) }),
      admin: ({ requestId: id, operatorRole }) => ({
        action: "device.pair.approve",
        facts: { requestId: id, ...(operatorRole === undefined ? {} : { operatorRole }) },
      }),
      run: async (params, call) => {
        const { requestId: id, operatorRole } = params;
        const device = granted(await devices.approve(call.principal, id, operatorRole));
        const { lastSeenAtMs: _lastSeenAtMs, ...info } = pairedInfo(device);
        return { requestId: params.requestId, device: info };
      },
    }),
    method({
      name: "device.pair.reject",
      scope: "operator.pairing",
      params: object({ requestId }),
      admin: (params) => ({ action: "device.pair.reject", facts: { requestId: params.requestId } }),
      run: async (params, call) => {
        const request = granted(await devices.reject(call.principal, params.requestId));
        return { requestId: params.requestId, deviceId: request.deviceId };
      },
    }),
    method({
      name: "device.pair.remove",
      scope: "operator.pairing",
      params: object({ deviceId }),
      admin: (params) => ({ action: "device.pair.remove", facts: { deviceId: params.deviceId } }),
      run: async (params, call) => {
        granted(await devices.remove(call.principal, params.deviceId));
        return { deviceId: params.deviceId };
      },
    }),
    method({
      name: "device.pair.rename",
      scope: "operator.pairing",
      params: object({ deviceId, label: string({ minLength: 1, maxLength: 64 }) }),
      admin: (params) => ({
        action: "device.pair.rename",
        facts: { deviceId: params.deviceId, label: params.label },
      }),
      run: async (params, call) => {
        granted(await devices.rename(call.principal, params.deviceId, params.label));
        return { deviceId: params.deviceId, label: params.label };
      },
    }),
  ];
}

function tokenMethods({ devices }: DeviceControlParts): Method[] {
  return [
    method({
      name: "device.token.rotate",
      scope: "operator.pairing",
      params: object({ deviceId, role, scopes: optional(scopes) }),
      admin: (params) => ({
        action: "device.token.rotate",
        facts: { deviceId: params.deviceId, role: params.role },
      }),
      run: async (params, call) => {
        const { principal } = call;
        const changed = await devices.rotate(principal, params.deviceId, params.role, params.scopes);
        if (!changed.ok) throw denied("device token rotation denied");
        const tokenDelivery = changed.value.token === undefined ? "withheld-cross-device" : "in-band";
        return { ...changed.value, tokenDelivery };
      },
    }),
    method({
      name: "device.token.revoke",
      scope: "operator.pairing",
      params: object({ deviceId, role }),
      admin: (params) => ({
        action: "device.token.revoke",
        facts: { deviceId: params.deviceId, role: params.role },
      }),
      run: async (params, call) => {
        const changed = await devices.revoke(call.principal, params.deviceId, params.role);
        if (!changed.ok) throw denied("device token revocation denied");
        return { deviceId: params.deviceId, role: params.role, revokedAtMs: changed.value.revokedAtMs };
      },
    }),
  ];
}

function upgradeMethods({ devices }: DeviceControlParts): Method[] {
  return [
    method({
      name: "device.scopes.requestUpgrade",
      scope: undefined,
      params: object({
        scopes: array(string({ minLength: 1, maxLength: 64 }), { minItems: 1, maxItems: 64 }),
      }),
      run: async (params, call) => ({
        requestId: granted(await devices.requestUpgrade(call.principal, params.scopes)).requestId,
      }),
    }),
    method({
      name: "device.scopes.waitUpgrade",
      scope: undefined,
      params: object({ requestId }),
      run: async (params, call) => {
        const outcome = granted(await devices.waitUpgrade(call.principal, params.requestId));
        return { ...outcome, requestId: params.requestId };
      },
    }),
  ];
}

function setupMethods(parts: DeviceControlParts): Method[] {
  return [
    method({
      name: "device.pair.setupCode",
      scope: "operator.admin",
      params: object({
        publicUrl: optional(string({ minLength: 1, maxLength: 512 })),
        preferRemoteUrl: optional(boolean()),
        includeQr: optional(boolean()),
        bootstrapProfile: optional(oneOf(["limited", "node"])),
        joinUrl: optional(boolean()),
      }),
      admin: (params) => ({
        action: "device.pair.setupCode",
        facts: { access: params.bootstrapProfile ?? "full" },
      }),
      run: (params) => {
        const { url, source } = parts.gatewayUrl(params.publicUrl);
        const access: SetupAccess = params.bootstrapProfile ?? "full";
        const { token, setupId, expiresAtMs } = parts.setupCodes.issue(access);
        // The bootstrap token and the address, never the shared secret: a photographed code is worth ten minutes.
        const code = { url, bootstrapToken: token.reveal(), expiresAtMs };
        return {
          setupId,
          expiresAtMs,
          setupCode: Buffer.from(JSON.stringify(code)).toString("base64url"),
          gatewayUrl: url,
          auth: parts.authMode() === "password" ? "password" : "token",
          urlSource: source,
          access,
        };
      },
    }),
    method({
      name: "device.pair.setupStatus",
      scope: "operator.admin",
      params: object({ setupId: string({ minLength: 1, maxLength: 128 }) }),
      run: (params) => parts.setupCodes.status(params.setupId),
    }),
    method({
      name: "gateway.identity.get",
      scope: "operator.read",
      params: open(object({})),
      run: () => parts.identity(),
    }),
  ];
}

/** A row of `device.pair.list`, and the payload of `device.pair.requested`. */
export function pendingInfo(request: PendingPairing) {
  const { expiresAtMs: _expiresAtMs, ...info } = request;
  return { ...info, silent: false };
}

/** What the file holds beyond these fields is the operator's own business. */
function pairedInfo(device: DeviceView) {
  return {
    deviceId: device.deviceId,
    publicKey: device.publicKey,
    ...(device.displayName === undefined ? {} : { displayName: device.displayName }),
    ...(device.operatorLabel === undefined ? {} : { operatorLabel: device.operatorLabel }),
    ...(device.platform === undefined ? {} : { platform: device.platform }),
    ...(device.deviceFamily === undefined ? {} : { deviceFamily: device.deviceFamily }),
    ...(device.clientId === undefined ? {} : { clientId: device.clientId }),
    ...(device.clientMode === undefined ? {} : { clientMode: device.clientMode }),
    role: device.role,
    roles: device.roles,
    scopes: device.scopes,
    approvedVia: device.approvedVia,
    createdAtMs: device.createdAtMs,
    approvedAtMs: device.approvedAtMs,
    ...(device.lastSeenAtMs === undefined ? {} : { lastSeenAtMs: device.lastSeenAtMs }),
    connected: device.connected,
    tokens: device.tokens,
  };
}

function granted<T>(verdict: Verdict<T>): T {
  if (verdict.ok) return verdict.value;
  throw new MethodError(refusalError(verdict));
}

function refusalError(refusal: Refusal): WireError {
  switch (refusal.reason) {
    case "auth.scope_missing":
      return {
        code: "FORBIDDEN",
        message: `missing scope: ${refusal.detail}`,
        details: {
          code: "MISSING_SCOPE",
          missingScope: refusal.detail,
          requiredScopes: ["operator.pairing", refusal.detail],
        },
      };
    case "auth.pairing_request_unknown":
      return invalid("unknown requestId");
    case "auth.device_unknown":
      return invalid("unknown deviceId");
    case "auth.pairing_full":
      return unavailable(reasonText(refusal.reason));
    default:
      return invalid(reasonText(refusal.reason));
  }
}

function denied(message: string): MethodError {
  return new MethodError({ code: "FORBIDDEN", message });
}
