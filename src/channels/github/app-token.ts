import { type KeyObject, sign } from "node:crypto";
import type { Clock } from "../../kernel/mod.ts";
import { ApiFault, type Rest } from "./rest.ts";
import { isId } from "./wire.ts";

/** GitHub takes at most ten minutes, and looks at clocks that differ. */
const jwtForS = 540;
const skewS = 60;
/** A token that is about to end would end on its way. */
const spareMs = 120_000;
const maxTokens = 1_000;

/** https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app */
export function appJwt(appId: string, key: KeyObject, clock: Clock): string {
  const nowS = Math.floor(clock.now() / 1000);
  const claims = { iat: nowS - skewS, exp: nowS + jwtForS, iss: appId };
  const text = [{ alg: "RS256", typ: "JWT" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

interface Kept {
  readonly token: string;
  readonly endsAtMs: number;
}

/** Tokens of an App's installations, each good for one repository and kept until shortly before it ends. */
export class InstallationTokens {
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #jwt: () => string;
  readonly #installationId: number | undefined;
  readonly #kept = new Map<string, Promise<Kept>>();

  constructor(ports: {
    readonly rest: Rest;
    readonly clock: Clock;
    readonly jwt: () => string;
    readonly installationId: number | undefined;
  }) {
    this.#rest = ports.rest;
    this.#clock = ports.clock;
    this.#jwt = ports.jwt;
    this.#installationId = ports.installationId;
  }

  /** For a repository; rejects with an {@link ApiFault}. */
  async of(repository: string): Promise<string> {
    const known = this.#kept.get(repository);
    const kept = known && (await known);
    if (kept && this.#clock.now() < kept.endsAtMs - spareMs) return kept.token;
    // Somebody else who waited for the same one may have asked meanwhile.
    const asked = this.#kept.get(repository);
    if (asked !== undefined && asked !== known) return (await asked).token;
    const fresh = this.#ask(repository);
    this.#kept.delete(repository);
    this.#kept.set(repository, fresh);
    fresh.catch(() => this.#drop(repository, fresh));
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= maxTokens) break;
      this.#kept.delete(old);
    }
    return (await fresh).token;
  }

  /** GitHub does not take this one any more. */
  forget(repository: string): void {
    this.#kept.delete(repository);
  }

  #drop(repository: string, failed: Promise<Kept>): void {
    if (this.#kept.get(repository) === failed) this.#kept.delete(repository);
  }

  async #ask(repository: string): Promise<Kept> {
    const id = this.#installationId ?? (await this.#installationOf(repository));
    const { value } = await this.#rest.call({
      method: "POST",
      path: `/app/installations/${id}/access_tokens`,
      token: this.#jwt(),
      json: { repositories: [repository.split("/")[1]] },
    });
    const { token, expires_at } = (value ?? {}) as {
      readonly token?: unknown;
      readonly expires_at?: unknown;
    };
    const endsAtMs = Date.parse(String(expires_at));
    if (typeof token !== "string" || token === "" || Number.isNaN(endsAtMs)) throw noToken();
    return { token, endsAtMs };
  }

  async #installationOf(repository: string): Promise<number> {
    const path = `/repos/${repository}/installation`;
    const { value } = await this.#rest.call({ method: "GET", path, token: this.#jwt() });
    const { id } = (value ?? {}) as { readonly id?: unknown };
    if (!isId(id)) throw noToken();
    return id;
  }
}

const noToken = () => new ApiFault({ kind: "network", code: "ANSWER_WITHOUT_TOKEN", reached: true });
