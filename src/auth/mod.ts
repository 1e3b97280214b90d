/**
 * Who is this? Takes what a connection presents, gives a Principal or a reason.
 *
 * 1. A Principal is made here only, from a credential that was checked.
 * 2. Secrets are compared in constant time; an empty one equals nothing.
 * 3. Scopes come from the kind of credential and client, never from the claim alone.
 * 4. A sign-in ticket works once and expires.
 * 5. Ten wrong secrets in 60 s from one address lock it out; missing ones do not count; loopback is slowed, not locked.
 *    Shared secrets, device tokens and setup codes are counted apart.
 * 6. A device is whoever signs this connection's challenge with the key behind its id, within two minutes.
 * 7. A device gets what was approved for it, and nothing by asking: without a question only a program on this
 *    machine with the shared secret, a fresh node from a trusted range, or the holder of a setup code comes in.
 * 8. A device token is worth something only with its device's signature, and exactly its grant. It is not stored.
 * 9. What was revoked, removed or replaced ends at once, with its connections and what it began, stays so until a
 *    person approves again, and leaves nothing behind: no ticket, no code, no session.
 * 10. Nobody approves, rotates or revokes more than he holds; a device without admin manages only itself.
 * 11. paired.json that cannot be read pairs nobody.
 * 12. A setup code works once, for ten minutes, for a node.
 * 13. A proxy signs somebody in only when the network layer trusts it, it is not on this machine unless that was
 *     allowed, and it names one user who may come in; then nothing else signs in whoever is elsewhere.
 * 14. A signed assertion counts for our issuer and audience, in its time, by a published key of its own algorithm.
 * 15. A login of the tailnet counts when tailscaled names it for the caller's address, and replaces no device.
 * 16. An API token gives its scopes within its limits, while it and whoever made it last; api-tokens.json that cannot
 *     be read gives nothing. It pairs no device and opens no browser session.
 * 17. Nobody makes a token that reaches further than he does, and a limited token hands out no rights of another kind.
 */
export {
  type ApiTokenFile,
  type ApiTokens,
  type ApiTokenView,
  openApiTokens,
  type TokenMaker,
  type WantedToken,
} from "./api-tokens.ts";
export * from "./browser.ts";
export * from "./connect.ts";
export {
  type ClaimedDevice,
  type ProvedDevice,
  type SignedFacts,
  signedTexts,
  verifyDevice,
} from "./device.ts";
export type * from "./device-administration.ts";
export type { DeviceAdmission } from "./device-door.ts";
export type { DeviceAsk, PairingNeed, PairingSettings } from "./device-pairing.ts";
export type { DeviceToken, PairedDevice, PendingPairing } from "./device-records.ts";
export type { DeviceEvent, DeviceFiles, IssuedToken } from "./device-registry.ts";
export type { DevicesPorts } from "./device-waiting.ts";
export { type Devices, openDevices } from "./devices.ts";
export { gatewayIdentity } from "./gateway-identity.ts";
export {
  type Limits,
  mayCall,
  mayHear,
  mayUseAgent,
  type Reach,
  type RoleName,
  roles,
  toolsOf,
} from "./limits.ts";
export * from "./lockout.ts";
export type { Principal, Role, Scope } from "./principal.ts";
export { createProxyCallers, type Identity, type ProxyCallers, within } from "./proxy-caller.ts";
export { type IdentitySettings, identitySettings, staysSignedIn } from "./proxy-settings.ts";
export { authenticateRequest, requestClass } from "./request.ts";
export { holds, operatorScopes } from "./scopes.ts";
export { type AuthSettings, authSettings, pairingSettings } from "./settings.ts";
export { createSetupCodes, type SetupAccess, type SetupCodes, type SetupCompletion } from "./setup-codes.ts";
