import { type Model, type ModelChoice, modelChoice } from "../agent/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { ModelRow } from "../control/mod.ts";
import { type Clock, ModelFault, type Random, Secret } from "../kernel/mod.ts";
import { knownProviders, openModel, type ProviderApi, type ProviderSettings } from "../providers/mod.ts";

/** The providers of the current config, opened when first used. */
export interface Models {
  /** Throws a ModelFault that says which setting is missing. */
  open(provider: string): Promise<Model>;
  rows(): readonly ModelRow[];
  choice(reference: string, contextTokens: number | undefined): ModelChoice;
  /** Keys in use, for the redactor. */
  secrets(): readonly string[];
  /** The config changed: providers are opened again when they are next used. */
  reset(): void;
}

export function createModels(ports: {
  readonly config: () => OpenClawConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
}): Models {
  const open = new Map<string, Promise<Model>>();
  const choices = new Map<string, ModelChoice>();

  function settingsOf(id: string): ProviderSettings {
    if (id === "demo") return settings(id, "demo", "", undefined, {});
    const configured = ports.config().models?.providers?.[id];
    const known = knownProviders[id];
    const api = configured?.api ?? known?.api ?? (configured ? "openai-completions" : undefined);
    const baseUrl = configured?.baseUrl ?? known?.baseUrl;
    if (api === undefined || baseUrl === undefined) {
      throw new ModelFault(
        "badRequest",
        `${id}: no such provider; add models.providers.${id} (baseUrl, api, apiKey), or choose another model`,
      );
    }
    const key = keyOf(id);
    if (
      key === undefined &&
      (known?.envKeys.length ?? 0) > 0 &&
      configured?.apiKey === undefined &&
      configured?.baseUrl === undefined
    ) {
      throw new ModelFault(
        "auth",
        `${id}: no key; set ${known?.envKeys.join(" or ")} in the gateway's environment, or models.providers.${id}.apiKey`,
      );
    }
    const headers = Object.fromEntries(
      Object.entries(configured?.headers ?? {}).filter(
        (pair): pair is [string, string] => typeof pair[1] === "string",
      ),
    );
    return settings(id, api as ProviderApi, baseUrl, key, headers);
  }

  function keyOf(id: string): Secret | undefined {
    const configured = ports.config().models?.providers?.[id]?.apiKey;
    if (typeof configured === "string" && configured !== "") return new Secret(configured);
    for (const name of knownProviders[id]?.envKeys ?? []) {
      const value = ports.env[name];
      if (value !== undefined && value.trim() !== "") return new Secret(value.trim());
    }
    return undefined;
  }

  return {
    open(id) {
      let model = open.get(id);
      if (!model) {
        model = Promise.resolve().then(() => openModel(settingsOf(id), ports));
        open.set(id, model);
        model.catch(() => open.delete(id));
      }
      return model;
    },
    rows() {
      const rows: ModelRow[] = Object.entries(ports.config().models?.providers ?? {}).flatMap(
        ([provider, entry]) =>
          (entry.models ?? []).map((model) => ({
            id: model.id,
            name: model.name ?? model.id,
            provider,
            ...(model.contextWindow === undefined ? {} : { contextWindow: model.contextWindow }),
            available: true,
          })),
      );
      for (const [provider, known] of Object.entries(knownProviders)) {
        if (
          provider === "demo" ||
          known.defaultModel === undefined ||
          rows.some((row) => row.provider === provider)
        )
          continue;
        rows.push({
          id: known.defaultModel,
          name: known.defaultModel,
          provider,
          available: keyOf(provider) !== undefined,
        });
      }
      return [...rows, { id: "demo", name: "Demo model (offline)", provider: "demo", available: true }];
    },
    choice(reference, contextTokens) {
      const key = `${reference}\n${contextTokens ?? ""}`;
      let choice = choices.get(key);
      if (!choice) {
        choice = modelChoice(ports.config(), reference, contextTokens);
        choices.set(key, choice);
      }
      return choice;
    },
    secrets: () =>
      Object.keys({ ...knownProviders, ...ports.config().models?.providers }).flatMap(
        (id) => keyOf(id)?.reveal() ?? [],
      ),
    reset() {
      open.clear();
      choices.clear();
    },
  };
}

function settings(
  id: string,
  api: ProviderApi,
  baseUrl: string,
  apiKey: Secret | undefined,
  headers: Readonly<Record<string, string>>,
): ProviderSettings {
  return {
    id,
    api,
    baseUrl,
    ...(apiKey ? { apiKey } : {}),
    headers,
    connectTimeoutMs: 15_000,
    firstByteTimeoutMs: 120_000,
    stallTimeoutMs: 60_000,
  };
}
