/** What a `connect` says of itself, in the words of the stages that judge it. Nothing here is proved. */
import {
  type BrowserSessions,
  type Credential,
  type DeviceAsk,
  type Presented,
  type ProvedDevice,
  type Role,
  within,
} from "./auth/mod.ts";
import { type ConnectParams, invalid, protocolVersion, type WireError } from "./control/mod.ts";
import type { Arrival } from "./network/mod.ts";

export function isRole(text: string): text is Role {
  return text === "operator" || text === "node";
}

export function signedFacts(params: ConnectParams, role: Role) {
  const { auth, client } = params;
  return {
    clientId: client.id,
    clientMode: client.mode,
    role,
    scopes: params.scopes ?? [],
    token: auth?.token ?? auth?.deviceToken ?? auth?.bootstrapToken ?? "",
    platform: client.platform,
    deviceFamily: client.deviceFamily,
  };
}

export function askOf(
  params: ConnectParams,
  role: Role,
  device: ProvedDevice,
  credential: Exclude<Credential, { readonly kind: "api-token" }>,
  arrival: Arrival,
): DeviceAsk {
  const { client } = params;
  const limit = credential.kind === "identity" ? credential.identity.limit : undefined;
  const isPage = ["webchat", "webchat-ui", "openclaw-control-ui", "openclaw-browser-copilot"].includes(
    client.id,
  );
  return {
    ...device,
    role,
    scopes: limit ? within(params.scopes ?? [], limit) : (params.scopes ?? []),
    ...(credential.kind === "identity" ? { identity: credential.identity } : {}),
    ...(client.displayName === undefined ? {} : { displayName: client.displayName }),
    platform: client.platform,
    ...(client.deviceFamily === undefined ? {} : { deviceFamily: client.deviceFamily }),
    clientId: client.id,
    clientMode: client.mode,
    credential: credential.kind === "browser-session" ? "device-token" : credential.kind,
    address: arrival.address,
    isLoopback: arrival.isLoopback,
    isLocal: arrival.isLocal || arrival.isOwnTailnet,
    isProxied: arrival.via === "proxy",
    fromBrowser: arrival.origin !== undefined || client.mode === "webchat" || isPage,
  };
}

export function presentedOf(
  params: ConnectParams,
  role: Role,
  deviceId: string | undefined,
  cookie: string,
  sessions: BrowserSessions,
): Omit<Presented, "isLocal"> {
  const browserSession = cookie === "" ? undefined : sessions.check(cookie);
  const { token, password, deviceToken, bootstrapToken } = params.auth ?? {};
  return {
    clientId: params.client.id,
    clientMode: params.client.mode,
    role,
    scopes: params.scopes ?? [],
    ...(token === undefined ? {} : { token }),
    ...(password === undefined ? {} : { password }),
    ...(deviceToken === undefined ? {} : { deviceToken }),
    ...(bootstrapToken === undefined ? {} : { bootstrapToken }),
    ...(browserSession === undefined ? {} : { browserSession }),
    ...(deviceId === undefined ? {} : { deviceId }),
  };
}

export function protocolMismatch(params: ConnectParams): WireError | undefined {
  const isNode = params.role === "node" && params.client.mode === "node";
  const oldest = params.client.mode === "probe" || isNode ? 3 : protocolVersion;
  if (params.minProtocol <= protocolVersion && params.maxProtocol >= oldest) return undefined;
  return invalid("protocol mismatch", {
    code: "PROTOCOL_MISMATCH",
    clientMinProtocol: params.minProtocol,
    clientMaxProtocol: params.maxProtocol,
    expectedProtocol: protocolVersion,
    minimumProbeProtocol: 3,
  });
}
