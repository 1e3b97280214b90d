import type { Scope } from "./scopes.ts";

export type { Scope } from "./scopes.ts";

export type Role = "operator" | "node";

/** Proof of who is calling. Only this folder makes one. */
class Principal {
  /** Stable name for the record: "operator", "browser:3f2a...", "device:<id>". */
  readonly id: string;
  readonly role: Role;
  /** What was asked for and granted, in the order of the request. */
  readonly scopes: readonly string[];
  /** How it was proved: "token", "password", "browser-session", "device-token", "bootstrap-token", "none". */
  readonly method: string;
  /** The device that proved its key on this connection. */
  readonly deviceId: string | undefined;

  private constructor(
    id: string,
    scopes: readonly string[],
    method: string,
    role: Role,
    deviceId: string | undefined,
  ) {
    this.id = id;
    this.role = role;
    this.scopes = scopes;
    this.method = method;
    this.deviceId = deviceId;
  }

  static of(
    id: string,
    scopes: readonly (Scope | string)[],
    method: string,
    role: Role = "operator",
    deviceId?: string,
  ): Principal {
    return new Principal(id, scopes, method, role, deviceId);
  }
}

export type { Principal };

/** For this folder only: mod.ts exports the type and not the class, so nobody else can call this. */
export function makePrincipal(
  id: string,
  scopes: readonly string[],
  method: string,
  role?: Role,
  deviceId?: string,
): Principal {
  return Principal.of(id, scopes, method, role, deviceId);
}
