import type { Clock, Secret } from "../../kernel/mod.ts";
import { appKey } from "./app-key.ts";
import { appJwt, InstallationTokens } from "./app-token.ts";
import type { BotIdentity } from "./inbound.ts";
import { ApiFault, type Rest } from "./rest.ts";
import type { GithubAuth } from "./settings.ts";
import { isId } from "./wire.ts";

/** Where GitHub lists what it posted to a webhook, and by which token it is asked. */
export interface DeliveryLog {
  /** Without a trailing slash: "/app/hook/deliveries". */
  readonly path: string;
  readonly token: string;
}

/** Who we are to GitHub. Everything rejects with an {@link ApiFault}. */
export interface Credentials {
  whoAmI(signal: AbortSignal): Promise<BotIdentity>;
  tokenFor(repository: string): Promise<string>;
  /** False where no other token could be had. */
  forget(repository: string): boolean;
  /** Of every webhook that posts to `webhookPath`, as far as it is known. */
  deliveryLogs(webhookPath: string, signal: AbortSignal): Promise<readonly DeliveryLog[]>;
}

export function openCredentials(auth: GithubAuth, rest: Rest, clock: Clock): Credentials {
  return auth.kind === "app" ? ofApp(auth, rest, clock) : ofUser(auth.token, auth.repositories, rest);
}

function ofApp(auth: Extract<GithubAuth, { readonly kind: "app" }>, rest: Rest, clock: Clock): Credentials {
  const key = appKey(auth.privateKey);
  const jwt = () => appJwt(auth.appId, key, clock);
  const tokens = new InstallationTokens({ rest, clock, jwt, installationId: auth.installationId });
  return {
    async whoAmI(signal) {
      const { value } = await rest.call({ method: "GET", path: "/app", token: jwt(), signal });
      const { id, slug } = (value ?? {}) as { readonly id?: unknown; readonly slug?: unknown };
      if (!isId(id) || typeof slug !== "string") throw unreadable();
      return { appId: id, login: slug.toLowerCase() };
    },
    tokenFor: (repository) => tokens.of(repository),
    forget(repository) {
      tokens.forget(repository);
      return true;
    },
    deliveryLogs: async () => [{ path: "/app/hook/deliveries", token: jwt() }],
  };
}

function ofUser(secret: Secret, repositories: readonly string[], rest: Rest): Credentials {
  const token = secret.reveal();
  return {
    async whoAmI(signal) {
      const { value } = await rest.call({ method: "GET", path: "/user", token, signal });
      const { id, login } = (value ?? {}) as { readonly id?: unknown; readonly login?: unknown };
      if (!isId(id) || typeof login !== "string") throw unreadable();
      return { userId: id, login: login.toLowerCase() };
    },
    tokenFor: async () => token,
    forget: () => false,
    async deliveryLogs(webhookPath, signal) {
      const logs: DeliveryLog[] = [];
      for (const repository of repositories) {
        const path = `/repos/${repository}/hooks`;
        const { value } = await rest.call({ method: "GET", path: `${path}?per_page=100`, token, signal });
        for (const hook of Array.isArray(value) ? (value as WireHook[]) : []) {
          const url = hook.config?.url ?? "";
          const isOurs = URL.canParse(url) && new URL(url).pathname.endsWith(webhookPath);
          if (isId(hook.id) && isOurs) logs.push({ path: `${path}/${hook.id}/deliveries`, token });
        }
      }
      return logs;
    },
  };
}

interface WireHook {
  readonly id?: number;
  readonly config?: { readonly url?: string };
}

const unreadable = () => new ApiFault({ kind: "network", code: "ANSWER_NAMES_NO_ACCOUNT", reached: true });
