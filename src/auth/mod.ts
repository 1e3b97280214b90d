/**
 * Who is this? Takes what a connection presents, gives a Principal or a reason.
 *
 * 1. A Principal is made here only, from a credential that was checked.
 * 2. Secrets are compared in constant time; an empty one equals nothing.
 * 3. Scopes come from the kind of credential and client, never from the claim alone.
 * 4. A sign-in ticket works once and expires.
 * 5. Ten wrong secrets in 60 s from one address lock it out; missing ones do not count; loopback is slowed, not locked.
 */
export * from "./browser.ts";
export * from "./connect.ts";
export * from "./lockout.ts";
export type { Principal, Scope } from "./principal.ts";
export { holds, operatorScopes } from "./scopes.ts";
export { type AuthSettings, authSettings } from "./settings.ts";
