import type { ApprovalsDocumentPort } from "../control/mod.ts";
import type { Clock, Commit, Log, Random } from "../kernel/mod.ts";
import type { Store } from "../store/mod.ts";
import { createApprovalsDocument } from "./approvals-document.ts";
import { type ApprovalsFile, openApprovalsFile } from "./approvals-file.ts";
import { every } from "./checkpoint.ts";

/** The host's standing rules, and when each last let something through. */
export interface StandingRules {
  readonly file: ApprovalsFile;
  readonly document: ApprovalsDocumentPort;
  used(ruleId: string): void;
  /** Writes down what was used since, and stops doing so. */
  close(): Promise<void>;
}

const metaKey = "ruleUse";
/** A rule's use is told to the minute; writing it down at each call would cost a sync of the disk. */
const keepEveryMs = 60_000;
const maxRules = 10_000;

export function composeStandingRules(parts: {
  readonly path: string;
  readonly meta: Store["meta"];
  readonly commit: Commit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): StandingRules {
  const { meta, commit, clock, log } = parts;
  const file = openApprovalsFile(parts);
  const uses = usesOf(meta.get(metaKey));
  let isDirty = false;

  async function keep(): Promise<void> {
    if (!isDirty) return;
    isDirty = false;
    try {
      await commit([meta.put(metaKey, JSON.stringify(Object.fromEntries(uses)))]);
    } catch (error) {
      isDirty = true;
      log("warn", "the use of standing rules could not be written down", { error: (error as Error).message });
    }
  }

  const cancel = every(clock, keepEveryMs, () => void keep());
  return {
    file,
    document: createApprovalsDocument(file, (ruleId) => uses.get(ruleId)),
    used(ruleId) {
      // The oldest gives way: ids of rules that are gone must not pile up.
      uses.delete(ruleId);
      uses.set(ruleId, clock.now());
      const [oldest] = uses.keys();
      if (uses.size > maxRules && oldest !== undefined) uses.delete(oldest);
      isDirty = true;
    },
    async close() {
      cancel();
      await keep();
    },
  };
}

function usesOf(stored: string | undefined): Map<string, number> {
  if (stored === undefined) return new Map();
  try {
    const entries: [string, unknown][] = Object.entries(JSON.parse(stored));
    return new Map(entries.filter((entry): entry is [string, number] => typeof entry[1] === "number"));
  } catch {
    return new Map();
  }
}
