import { admit, admitted, refuse, type Verdict } from "../kernel/mod.ts";
import { apiTokenParts } from "./api-token-records.ts";
import { type CredentialClass, checkSecret, type KnownCredentials } from "./connect.ts";
import { makePrincipal, type Principal } from "./principal.ts";
import { type Identity, within } from "./proxy-caller.ts";
import { knownScopes, type Scope } from "./scopes.ts";
import type { AuthSettings } from "./settings.ts";

/** What a request without a connection (HTTP) presents. */
export interface PresentedRequest {
  readonly token?: string;
  readonly password?: string;
  /** What the request asks to be narrowed to; undefined: it names nothing. */
  readonly scopes: readonly string[] | undefined;
  /** What a proxy says of who it is; absent where it has no say. */
  readonly identity: Verdict<Identity> | undefined;
  /** Direct from this machine. */
  readonly isLocal: boolean;
  /** Present where the page itself may ask; `session` is the id of the browser session whose valid cookie came along. */
  readonly page?: { readonly session: string | undefined };
}

/** What a caller has whom nobody named. */
const openScopes: readonly Scope[] = ["operator.read", "operator.write"];

/** What the shared secret stands for. */
const ownerScopes: readonly Scope[] = [
  "operator.admin",
  "operator.approvals",
  "operator.pairing",
  "operator.read",
  "operator.talk.secrets",
  "operator.write",
];

/**
 * The principal of one request: whom the proxy signed in, an API token's, or the operator, whose the shared secret is.
 * The same settings, tokens and lists decide as for a connection (see {@link authenticateConnect}).
 */
export function authenticateRequest(
  presented: PresentedRequest,
  settings: AuthSettings,
  known: Pick<KnownCredentials, "apiToken">,
): Verdict<Principal> {
  const { identity } = presented;
  const { page } = presented;
  if (identity?.ok) return admit(principalOfUser(identity.value, page !== undefined));
  // Where the proxy says who comes in, a token is for this machine itself, as the password is.
  const isTaken = settings.mode !== "trusted-proxy" || presented.isLocal;
  const candidate = candidateOf(presented);
  if (isTaken && apiTokenParts(candidate)) {
    const found = known.apiToken(candidate);
    return found ? admit(found) : refuse("auth.api_token_invalid");
  }
  // Whoever gives a secret is who the secret says; the cookie stands for the operator who signed the page in.
  if (isTaken && candidate === "" && page?.session !== undefined)
    return admit(makePrincipal(`browser:${page.session}`, ownerScopes, "browser-session"));
  const proved = checkSecret(presented, settings);
  // Somebody whom the proxy should have signed in learns why it did not.
  if (!admitted(proved)) return identity && proved.reason === "auth.secret_missing" ? identity : proved;
  // Whoever proves the shared secret is the operator, whatever narrower scopes the request names; without a secret
  // the request gets what it names, and nothing that the operator's own hand should do when it names none.
  const open = presented.scopes === undefined ? openScopes : knownScopes(presented.scopes);
  return admit(makePrincipal("operator", proved.value === "none" ? open : ownerScopes, proved.value));
}

/** Guesses at one kind of credential lock out no other. */
export function requestClass(presented: Pick<PresentedRequest, "token" | "password">): CredentialClass {
  return apiTokenParts(candidateOf(presented)) ? "api" : "shared";
}

function candidateOf({ token, password }: Pick<PresentedRequest, "token" | "password">): string {
  return token ?? password ?? "";
}

/**
 * Somebody whom the proxy signed in. Who is named in allowUsers stands for the operator; when that list is not set,
 * nobody has said that everybody whom the proxy knows is the owner. On his page he has what the config gives him, as on
 * its connection.
 */
function principalOfUser(identity: Identity, onPage: boolean): Principal {
  const { user, limit } = identity;
  const own = identity.isNamed ? ownerScopes : [...openScopes, ...identity.scopes];
  const base = onPage ? identity.scopes : own;
  return makePrincipal(`user:${user}`, within(base, limit), identity.method, { user });
}
