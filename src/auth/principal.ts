import type { Scope } from "./scopes.ts";

export type { Scope } from "./scopes.ts";

/** Proof of who is calling. Only this folder makes one. */
class Principal {
  /** Stable name for the record: "operator", "browser:3f2a...". */
  readonly id: string;
  readonly role: "operator";
  /** What was asked for and granted, in the order of the request. */
  readonly scopes: readonly string[];
  /** How it was proved: "token", "password", "browser-session", "none". */
  readonly method: string;

  private constructor(id: string, scopes: readonly string[], method: string) {
    this.id = id;
    this.role = "operator";
    this.scopes = scopes;
    this.method = method;
  }

  static of(id: string, scopes: readonly (Scope | string)[], method: string): Principal {
    return new Principal(id, scopes, method);
  }
}

export type { Principal };

/** For this folder only: mod.ts exports the type and not the class, so nobody else can call this. */
export function makePrincipal(id: string, scopes: readonly string[], method: string): Principal {
  return Principal.of(id, scopes, method);
}
