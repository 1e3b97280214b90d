import type { ApiTokens, ApiTokenView, Limits, RoleName, Scope, WantedToken } from "../../auth/mod.ts";
import { InputError, type Refusal, reasonText, schema, type Verdict } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { WireError } from "../protocol.ts";

const { array, integer, object, oneOf, optional, string } = schema;

export interface TokenControlParts {
  readonly tokens: ApiTokens;
  readonly roles: Readonly<Record<RoleName, { readonly scopes: readonly Scope[]; readonly limits: Limits }>>;
  readonly scopes: readonly Scope[];
  readonly nowMs: () => number;
}

const words = array(string({ minLength: 1, maxLength: 200 }), { maxItems: 200 });

const createParams = object({
  name: string({ minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9][A-Za-z0-9._ -]*$" }),
  role: optional(oneOf(["owner", "admin", "viewer"])),
  scopes: optional(words),
  methods: optional(words),
  tools: optional(words),
  agents: optional(words),
  channels: optional(words),
  /** From now on. */
  expiresInMs: optional(integer({ minimum: 1000, maximum: 10 * 365 * 24 * 3600 * 1000 })),
});
export type TokenOrder = schema.Static<typeof createParams>;

/** tokens.create, tokens.list, tokens.revoke. */
export function tokenMethods(parts: TokenControlParts): Method[] {
  const { tokens } = parts;
  return [
    method({
      name: "tokens.create",
      scope: "operator.admin",
      params: createParams,
      admin: (params) => ({ action: "tokens.create", facts: { name: params.name } }),
      run: async (params, call) => {
        const made = done(await tokens.create(call.principal, wantedToken(params, parts)));
        return { ...made.view, token: made.token.reveal() };
      },
    }),
    method({
      name: "tokens.list",
      scope: "operator.admin",
      params: object({}),
      run: (_params, call): { tokens: readonly ApiTokenView[] } => ({ tokens: tokens.list(call.principal) }),
    }),
    method({
      name: "tokens.revoke",
      scope: "operator.admin",
      params: object({ token: string({ minLength: 1, maxLength: 64 }) }),
      admin: (params) => ({ action: "tokens.revoke", facts: { token: params.token } }),
      run: async (params, call) => ({
        revoked: done(await tokens.revoke(call.principal, params.token)).map(({ id, name }) => ({
          id,
          name,
        })),
      }),
    }),
  ];
}

/** The token that an order asks for. Throws an InputError for one that says nothing of what it may do. */
export function wantedToken(
  order: TokenOrder,
  parts: Pick<TokenControlParts, "roles" | "scopes" | "nowMs">,
): WantedToken {
  const { name, role, scopes, methods, tools, agents, channels, expiresInMs } = order;
  if ((role === undefined) === (scopes === undefined))
    throw new InputError("say what the token may do: either a role (owner, admin, viewer) or scopes");
  const unknown = scopes?.find((scope) => !(parts.scopes as readonly string[]).includes(scope));
  if (unknown !== undefined)
    throw new InputError(
      `there is no scope ${JSON.stringify(unknown)}; there are: ${parts.scopes.join(", ")}`,
    );
  const given = role === undefined ? { scopes: scopes ?? [], limits: {} } : parts.roles[role];
  return {
    name,
    scopes: given.scopes,
    ...given.limits,
    ...(methods === undefined ? {} : { methods }),
    ...(tools === undefined ? {} : { tools: tools.map((tool) => tool.toLowerCase()) }),
    ...(agents === undefined ? {} : { agents }),
    ...(channels === undefined ? {} : { channels }),
    ...(expiresInMs === undefined ? {} : { expiresAtMs: parts.nowMs() + expiresInMs }),
  };
}

function done<T>(verdict: Verdict<T>): T {
  if (verdict.ok) return verdict.value;
  throw new MethodError(refusal(verdict));
}

function refusal({ reason, detail }: Refusal): WireError {
  const message = `${reasonText(reason)} (${detail})`;
  return reason === "auth.token_too_wide"
    ? { code: "FORBIDDEN", message, details: { code: "TOKEN_TOO_WIDE", beyond: detail } }
    : invalid(message, { reason });
}
