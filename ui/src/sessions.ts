import { type Desk, problemText } from "./desk.ts";
import { amount, type Fields, fields, firstText, items, text } from "./untrusted.ts";

export interface SessionRow {
  readonly key: string;
  readonly label: string;
  readonly title: string;
  readonly preview: string;
  readonly updatedAtMs: number;
  readonly running: boolean;
  readonly unread: boolean;
  readonly isMain: boolean;
  readonly provider: string;
  readonly model: string;
}

export interface Sessions {
  load(): Promise<void>;
  changed(payload: Fields): void;
  rename(key: string, label: string): Promise<boolean>;
  reset(key: string): Promise<boolean>;
  remove(key: string): Promise<boolean>;
  newKey(): string;
}

export function openSessions(desk: Desk): Sessions {
  const { store } = desk;
  let loading = false;
  let again = false;

  /** One fetch at a time; changes that come meanwhile cost one more, however many they are. */
  async function load(): Promise<void> {
    again = true;
    if (loading) return;
    loading = true;
    while (again) {
      again = false;
      await fetchRows();
    }
    loading = false;
  }

  async function fetchRows(): Promise<void> {
    try {
      const result = fields(
        await desk.call("sessions.list", {
          limit: 100,
          includeDerivedTitles: true,
          includeLastMessage: true,
        }),
      );
      const rows = items(result.sessions).map((raw) => readRow(fields(raw)));
      const defaults = fields(result.defaults);
      store.change((state) => ({
        sessions: sorted(rows),
        sessionsLoaded: true,
        sessionsProblem: "",
        gateway: {
          ...state.gateway,
          provider: firstText(defaults.modelProvider, state.gateway.provider),
          model: firstText(defaults.model, state.gateway.model),
        },
      }));
    } catch (error) {
      store.change(() => ({
        sessionsLoaded: true,
        sessionsProblem: problemText("The list of conversations could not be loaded", error),
      }));
    }
  }

  async function attempt(what: string, method: string, params: Fields): Promise<boolean> {
    try {
      await desk.call(method, params);
      void load();
      return true;
    } catch (error) {
      desk.notify("problem", problemText(what, error));
      return false;
    }
  }

  return {
    load,
    changed(payload) {
      const key = firstText(payload.sessionKey, payload.key);
      if (payload.reason === "delete") {
        store.change((state) => ({ sessions: state.sessions.filter((row) => row.key !== key) }));
        return;
      }
      const row = fields(payload.session);
      const before = store.state.sessions.find((one) => one.key === key);
      // A row in an event has no title and no last message; those of a new or ended one are fetched.
      if (!before || text(row.key) === "" || row.hasActiveRun !== true) void load();
      if (before && text(row.key) !== "") {
        const after = readRow(row);
        const merged: SessionRow = {
          ...after,
          title: after.label || before.title,
          preview: after.preview || before.preview,
        };
        store.change((state) => ({
          sessions: sorted(state.sessions.map((one) => (one.key === key ? merged : one))),
        }));
      }
    },
    rename: (key, label) => attempt("The conversation was not renamed", "sessions.patch", { key, label }),
    reset: (key) => attempt("The conversation was not reset", "sessions.reset", { key }),
    remove: (key) =>
      attempt("The conversation was not deleted", "sessions.delete", { key, deleteTranscript: true }),
    newKey: () => `agent:${store.state.gateway.agentId}:web-${desk.newId().slice(0, 8)}`,
  };
}

function sorted(rows: readonly SessionRow[]): SessionRow[] {
  return rows.filter((row) => row.key !== "").toSorted((one, other) => other.updatedAtMs - one.updatedAtMs);
}

export function readRow(raw: Fields): SessionRow {
  const key = text(raw.key);
  const isMain = raw.isMain === true || key.endsWith(":main");
  const named = isMain ? text(raw.label) : firstText(raw.label, raw.displayName, raw.derivedTitle);
  return {
    key,
    label: text(raw.label),
    title: named || (isMain ? "Main conversation" : keyTitle(key)),
    preview: text(raw.lastMessagePreview),
    updatedAtMs: amount(raw.updatedAt) ?? 0,
    running: raw.hasActiveRun === true,
    unread: raw.unread === true,
    isMain,
    provider: text(raw.modelProvider),
    model: text(raw.model),
  };
}

/** A title for a conversation of which only the key is known. */
export function keyTitle(key: string): string {
  const rest = key.split(":").slice(2).join(" · ");
  if (rest === "main") return "Main conversation";
  return rest.startsWith("web-") ? "New conversation" : rest || key;
}
