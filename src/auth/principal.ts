import { isLimited, type Limits, unlimited } from "./limits.ts";
import { holds } from "./scopes.ts";

export type { Scope } from "./scopes.ts";

export type Role = "operator" | "node";

/** Proof of who is calling. Only this folder makes one. */
class Principal {
  /** Stable name for the record: "operator", "browser:3f2a...", "device:<id>", "token:<id>". */
  readonly id: string;
  readonly role: Role;
  /** What was asked for and granted, in the order of the request. */
  readonly scopes: readonly string[];
  /** How it was proved: "token", "password", "browser-session", "device-token", "bootstrap-token", "api-token", "none". */
  readonly method: string;
  /** The device that proved its key on this connection. */
  readonly deviceId: string | undefined;
  /** Whom a proxy or Tailscale said that it is; undefined where neither did. */
  readonly user: string | undefined;
  /** What it is kept to beyond its scopes. */
  readonly limits: Limits;

  private constructor(id: string, scopes: readonly string[], method: string, more: PrincipalFacts) {
    this.id = id;
    this.role = more.role ?? "operator";
    this.scopes = scopes;
    this.method = method;
    this.deviceId = more.deviceId;
    this.user = more.user;
    this.limits = more.limits ?? unlimited;
  }

  /** May do all that the owner may. */
  get isOwner(): boolean {
    return holds(this.scopes, "operator.admin") && !isLimited(this.limits);
  }

  static of(id: string, scopes: readonly string[], method: string, more: PrincipalFacts = {}): Principal {
    return new Principal(id, scopes, method, more);
  }
}

export type { Principal };

interface PrincipalFacts {
  readonly role?: Role;
  readonly deviceId?: string;
  readonly user?: string | undefined;
  readonly limits?: Limits;
}

/** For this folder only: mod.ts exports the type and not the class, so nobody else can call this. */
export function makePrincipal(
  id: string,
  scopes: readonly string[],
  method: string,
  more?: PrincipalFacts,
): Principal {
  return Principal.of(id, scopes, method, more);
}
