import type { OpenClawConfig } from "../../config/mod.ts";
import { InputError, Secret } from "../../kernel/mod.ts";
import type { HookTarget } from "./hook-delivery.ts";

/** What of the HTTP API is there, and within which bounds. */
export interface ApiSettings {
  readonly chatCompletions: EndpointSettings;
  readonly responses: EndpointSettings;
  readonly tools: { readonly allow: readonly string[]; readonly deny: readonly string[] };
  /** May a caller without operator.admin name a session? Owners may unless this is false. */
  readonly sessionKeyOverride: boolean | undefined;
  /** Undefined: hooks are off. */
  readonly hooks: HookSettings | undefined;
}

export interface EndpointSettings {
  readonly enabled: boolean;
  readonly maxBodyBytes: number;
}

export interface HookSettings {
  readonly token: Secret;
  /** Starts with "/" and does not end with one. */
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Undefined: all agents. Empty: none. */
  readonly allowedAgentIds: readonly string[] | undefined;
  readonly defaultSessionKey: string | undefined;
  readonly allowRequestSessionKey: boolean;
  /** Lower case. Undefined: any. Empty: none. */
  readonly allowedSessionKeyPrefixes: readonly string[] | undefined;
  readonly mappings: readonly HookMapping[];
}

export interface HookMapping {
  /** Names it in the record and in what the agent reads. */
  readonly name: string;
  readonly path: string | undefined;
  readonly source: string | undefined;
  readonly action: "agent" | "wake";
  readonly agentId: string | undefined;
  readonly sessionKey: string | undefined;
  readonly isolated: boolean;
  readonly template: string;
  readonly forEach: string | undefined;
  readonly model: string | undefined;
  readonly timeoutSeconds: number | undefined;
  /** Where its replies go. Placeholders in it are filled in by the payload. */
  readonly target: HookTarget;
  /** The operator vouches for what this hook carries: it is not fenced. */
  readonly unfenced: boolean;
}

const maxApiBodyBytes = 20 * 1024 * 1024;
const maxHookBodyBytes = 256 * 1024;

const gmail: HookMapping = {
  name: "gmail",
  path: "gmail",
  source: undefined,
  action: "agent",
  agentId: undefined,
  sessionKey: undefined,
  isolated: true,
  template:
    "New mail from {{messages[0].from}}\nSubject: {{messages[0].subject}}\n{{messages[0].snippet}}\n{{messages[0].body}}",
  forEach: undefined,
  model: undefined,
  timeoutSeconds: undefined,
  target: {},
  unfenced: false,
};

/** Throws an InputError that names the setting for what this gateway cannot do yet: it would be dropped silently. */
export function apiSettings(config: OpenClawConfig): ApiSettings {
  const { endpoints, allowSessionKeyOverride } = config.gateway?.http ?? {};
  const endpoint = (
    section: { readonly enabled?: boolean; readonly maxBodyBytes?: number } | undefined,
  ): EndpointSettings => ({
    enabled: section?.enabled === true,
    maxBodyBytes: Math.min(section?.maxBodyBytes ?? maxApiBodyBytes, maxApiBodyBytes),
  });
  return Object.freeze({
    chatCompletions: endpoint(endpoints?.chatCompletions),
    responses: endpoint(endpoints?.responses),
    tools: {
      allow: lower(config.gateway?.tools?.allow),
      deny: lower(config.gateway?.tools?.deny),
    },
    sessionKeyOverride: allowSessionKeyOverride,
    hooks: hookSettings(config.hooks),
  });
}

/** Secrets that the API checks, for the redactor. */
export function apiSecrets(config: OpenClawConfig): readonly string[] {
  const token = config.hooks?.token;
  return typeof token === "string" && token !== "" ? [token] : [];
}

function hookSettings(hooks: OpenClawConfig["hooks"]): HookSettings | undefined {
  if (hooks?.enabled !== true) return undefined;
  const { token } = hooks;
  if (typeof token !== "string" || token.trim() === "") {
    throw new InputError("hooks.token: hooks need a token, other than the gateway's own");
  }
  if (hooks.transformsDir !== undefined) {
    throw new InputError(
      "hooks.transformsDir: transform modules are not available yet; remove it, or use templates",
    );
  }
  const path = `/${(hooks.path ?? "/hooks").split("/").filter(Boolean).join("/")}`;
  if (path === "/" || !/^[\w./-]+$/.test(path)) {
    throw new InputError(`hooks.path: ${JSON.stringify(hooks.path)} is no path of its own; use "/hooks"`);
  }
  const presets = (hooks.presets ?? []).map(() => gmail);
  return Object.freeze({
    token: new Secret(token),
    path,
    maxBodyBytes: Math.min(hooks.maxBodyBytes ?? maxHookBodyBytes, maxHookBodyBytes),
    allowedAgentIds: hooks.allowedAgentIds,
    defaultSessionKey: hooks.defaultSessionKey,
    allowRequestSessionKey: hooks.allowRequestSessionKey === true,
    allowedSessionKeyPrefixes:
      hooks.allowedSessionKeyPrefixes === undefined ? undefined : lower(hooks.allowedSessionKeyPrefixes),
    mappings: [...(hooks.mappings ?? []).map(mappingOf), ...presets],
  });
}

type ConfiguredMapping = NonNullable<NonNullable<OpenClawConfig["hooks"]>["mappings"]>[number];

function mappingOf(mapping: ConfiguredMapping, index: number): HookMapping {
  const at = `hooks.mappings[${index}]`;
  if (mapping.transform !== undefined) {
    throw new InputError(
      `${at}.transform: transform modules are not available yet; remove it, or use templates`,
    );
  }
  const action = mapping.action ?? "agent";
  if (action === "wake" && mapping.deliver === true) {
    throw new InputError(`${at}.deliver: a wake has no reply of its own; use action "agent"`);
  }
  const template = action === "agent" ? mapping.messageTemplate : mapping.textTemplate;
  const [key, other] =
    action === "agent" ? ["messageTemplate", "textTemplate"] : ["textTemplate", "messageTemplate"];
  const used = template ?? mapping[other as "messageTemplate" | "textTemplate"];
  if (used === undefined || used.trim() === "") {
    throw new InputError(`${at}.${key}: say what the agent is told, for example "{{payload.title}}"`);
  }
  if (mapping.match?.path === undefined && mapping.match?.source === undefined) {
    throw new InputError(`${at}.match: say which calls it is for (match.path or match.source)`);
  }
  return {
    name: mapping.name ?? mapping.id ?? mapping.match.path ?? mapping.match.source ?? `mapping-${index}`,
    path: mapping.match.path?.split("/").filter(Boolean).join("/"),
    source: mapping.match.source,
    action,
    agentId: mapping.agentId,
    sessionKey: mapping.sessionKey,
    isolated: mapping.sessionMode === "isolated",
    template: used,
    forEach: mapping.forEach,
    model: mapping.model,
    timeoutSeconds: mapping.timeoutSeconds,
    target: {
      deliver: action === "wake" ? false : mapping.deliver,
      channel: mapping.channel,
      to: mapping.to === undefined ? undefined : String(mapping.to),
      accountId: mapping.accountId,
    },
    unfenced: mapping.allowUnsafeExternalContent === true,
  };
}

function lower(list: readonly string[] | undefined): readonly string[] {
  return (list ?? []).map((item) => item.trim().toLowerCase()).filter((item) => item !== "");
}
