import type { Desk } from "./desk.ts";
import { type Fields, fields, firstText, items, text } from "./untrusted.ts";

export interface ChannelHealth {
  readonly id: string;
  readonly label: string;
  readonly accountId: string;
  /** The account's own name on the platform, such as "@my_bot". */
  readonly identity: string;
  readonly state: string;
  readonly tone: "good" | "busy" | "quiet" | "bad";
  readonly problem: string;
  /** While a device is being linked: what the platform's app scans. A secret, shown and kept nowhere. */
  readonly linkCode: string;
}

/** A code to scan changes every few seconds. */
const lookEveryMs = 2_000;

export interface Health {
  load(): Promise<void>;
  /** Keeps the channels as they are now, until the returned function ends it. */
  followChannels(): () => void;
  event(payload: Fields): void;
}

export function openHealth(desk: Desk): Health {
  const show = (payload: Fields) => desk.store.change(() => ({ healthy: payload.ok === true }));
  const showChannels = (status: unknown) => {
    // An answer that was under way while somebody signed out is nobody's any more.
    if (desk.store.state.access.kind === "signed-in")
      desk.store.change(() => ({ channels: readChannels(fields(status)) }));
  };

  return {
    async load() {
      const [health, status] = await Promise.allSettled([desk.call("health"), desk.call("channels.status")]);
      if (health.status === "fulfilled") show(fields(health.value));
      if (status.status === "fulfilled") showChannels(status.value);
    },
    followChannels() {
      let isOver = false;
      let cancel = () => {};
      const look = async () => {
        // Without a connection there is nothing to ask: the link comes back by itself.
        const isOnline = desk.store.state.link.kind === "online";
        if (isOnline) await desk.call("channels.status").then(showChannels, () => undefined);
        if (!isOver) cancel = desk.clock.after(lookEveryMs, () => void look());
      };
      void look();
      return () => {
        isOver = true;
        cancel();
      };
    },
    event: show,
  };
}

export function readChannels(status: Fields): ChannelHealth[] {
  const labels = fields(status.channelLabels);
  const accounts = fields(status.channelAccounts);
  const channels = fields(status.channels);
  const ids = new Set([
    ...items(status.channelOrder).map(text),
    ...Object.keys(accounts),
    ...Object.keys(channels),
  ]);
  return [...ids]
    .filter((id) => id !== "")
    .flatMap((id) => {
      const listed = items(accounts[id]).map(fields);
      const rows = listed.length > 0 ? listed : [fields(channels[id])];
      return rows.map((row) => readChannel(id, firstText(labels[id], id), row));
    });
}

function readChannel(id: string, label: string, row: Fields): ChannelHealth {
  const problem = firstText(row.lastError, row.error, row.detail);
  const state = firstText(row.state, row.status) || stateWords(row, problem);
  return {
    id,
    label,
    accountId: text(row.accountId),
    identity: text(row.identity),
    state,
    tone: toneOf(state, problem),
    problem,
    linkCode: text(row.linkCode),
  };
}

function stateWords(row: Fields, problem: string): string {
  if (row.connected === true) return "connected";
  if (problem !== "") return "failed";
  if (row.running === true) return "running";
  if (row.enabled === false) return "turned off";
  return row.configured === false ? "not set up" : "stopped";
}

function toneOf(state: string, problem: string): ChannelHealth["tone"] {
  if (/^(running|connected|ready|ok|online)$/i.test(state)) return "good";
  if (/^(starting|connecting|reconnecting)$/i.test(state)) return "busy";
  return problem !== "" || state === "failed" ? "bad" : "quiet";
}
