import { isDeepStrictEqual } from "node:util";
import type { ApiTokens, Devices } from "../auth/mod.ts";
import type { Call, Method } from "./method.ts";
import type { ControlParts } from "./parts.ts";
import type { SessionNames } from "./session-names.ts";

/** What goes on record of an administrative action. */
export interface AdministrativeAction {
  readonly action: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  /** What it may change, without secrets; looked at before and after. Undefined: the facts, or other rows, say it all. */
  readonly state: (() => Promise<unknown>) | undefined;
}

export interface Administration {
  /** Undefined for a method that changes nothing which an administrator answers for. */
  of(row: Method, params: unknown, call: Call): AdministrativeAction | undefined;
}

/** Rows that need operator.admin because of what they show, and change nothing. */
export const showsOnly: ReadonlySet<string> = new Set([
  "device.pair.setupStatus",
  "exec.approvals.get",
  "tokens.list",
  "update.status",
]);

/** Rows that need less than operator.admin and change what somebody may want to look up later. */
export const recordedToo: ReadonlySet<string> = new Set(["sessions.patch", "sessions.patchMany"]);

interface Named {
  readonly key?: string;
  readonly agentId?: string;
  readonly channel?: string;
}

export function createAdministration(
  parts: Pick<ControlParts, "config" | "sessions" | "approvalsDocument" | "pairings" | "channels">,
  names: SessionNames,
  people: { readonly devices: Pick<Devices, "list">; readonly tokens: Pick<ApiTokens, "list"> },
  /** Hides what config.get hides. */
  mask: (value: unknown) => unknown,
): Administration {
  const configNow = async () => (await parts.config.get()).config;
  const session = ({ key = "main", agentId }: Named) =>
    parts.sessions.get(names.resolve(key, agentId).key) ?? null;
  const devices = (call: Call) => {
    const { paired, pending } = people.devices.list(call.principal);
    return {
      paired: byId(
        paired,
        (item) => item.deviceId,
        ({ connected: _, lastSeenAtMs: __, ...item }) => item,
      ),
      pending: pending.map((item) => item.deviceId),
    };
  };

  function stateOf(name: string, params: Named, call: Call): (() => unknown) | undefined {
    if (name.startsWith("config.") || name.startsWith("agents.")) return configNow;
    if (name.startsWith("device.")) return () => devices(call);
    if (name.startsWith("tokens."))
      return () =>
        byId(
          people.tokens.list(call.principal),
          (item) => item.id,
          ({ lastUsedAtMs: _, ...item }) => item,
        );
    if (name.startsWith("exec.approvals."))
      return async () => (await parts.approvalsDocument.get()).file ?? null;
    if (name.startsWith("channels.pairing."))
      return async () => (await parts.pairings.list(params.channel)).map(({ request }) => request.senderId);
    if (name.startsWith("channels."))
      return () =>
        byId(
          parts.channels(),
          (item) => `${item.id}/${item.account}`,
          (item) => item.status.state,
        );
    if (name.startsWith("sessions.") && params.key !== undefined) return () => session(params);
    return undefined;
  }

  return {
    of(row, params, call) {
      const isAdministrative =
        row.admin !== undefined ||
        recordedToo.has(row.name) ||
        (row.scope === "operator.admin" && !showsOnly.has(row.name));
      if (!isAdministrative) return undefined;
      const told = row.admin?.(params) ?? { action: row.name };
      const state = stateOf(row.name, params as Named, call);
      return {
        action: told.action,
        facts: told.facts ?? {},
        state: state && (async () => mask(await state())),
      };
    },
  };
}

export interface Change {
  readonly path: string;
  /** JSON, cut; undefined where there was nothing, or is nothing now. */
  readonly before?: string;
  readonly after?: string;
}

const maxChanges = 50;
const maxValueChars = 300;

/** Where two values differ: objects are looked into, all else differs as a whole. The first fifty places. */
export function changesBetween(before: unknown, after: unknown): readonly Change[] {
  const found: Change[] = [];
  const visit = (left: unknown, right: unknown, path: string): void => {
    if (found.length >= maxChanges || isDeepStrictEqual(left, right)) return;
    if (!isObject(left) || !isObject(right)) {
      found.push({
        path,
        ...(left === undefined ? {} : { before: shown(left) }),
        ...(right === undefined ? {} : { after: shown(right) }),
      });
      return;
    }
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
      visit(own(left, key), own(right, key), path === "" ? key : `${path}.${key}`);
  };
  visit(before, after, "");
  return found;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "").slice(0, maxValueChars);
}

function own(value: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function byId<T, V>(items: readonly T[], id: (item: T) => string, value: (item: T) => V): Record<string, V> {
  return Object.fromEntries(items.map((item) => [id(item), value(item)]));
}
