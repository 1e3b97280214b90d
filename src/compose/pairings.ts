import { stat } from "node:fs/promises";
import { join } from "node:path";
import { createPairings, type PairingFiles, type Pairings } from "../access/mod.ts";
import type { ChannelRow, ControlParts } from "../control/mod.ts";
import type { Clock, Log, Random } from "../kernel/mod.ts";
import { readJsonFile, writeJsonFile } from "../store/mod.ts";

/** The pairings of all channels, in the files of the seeds' layout: `credentials/<channel>[-<account>]-pairing.json`. */
export function composePairings(folder: string, clock: Clock, random: Random): Pairings {
  const path = (channel: string, account: string, kind: string) =>
    join(folder, account === "default" ? `${channel}-${kind}.json` : `${channel}-${account}-${kind}.json`);
  const files: PairingFiles = {
    readPending: (channel, account) => readJsonFile(path(channel, account, "pairing")),
    writePending: (channel, account, value) => writeJsonFile(path(channel, account, "pairing"), value),
    readAllowed: (channel, account) => readJsonFile(path(channel, account, "allowFrom")),
    stampAllowed: (channel, account) => fileStamp(path(channel, account, "allowFrom")),
    writeAllowed: (channel, account, value) => writeJsonFile(path(channel, account, "allowFrom"), value),
  };
  return createPairings({ files, clock, random });
}

/** Tells one content of a file from another without reading it; empty where there is no file. */
async function fileStamp(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true });
    return `${ino}:${size}:${mtimeNs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** What operators may do with them. */
export function pairingPort(parts: {
  readonly pairings: Pairings;
  readonly channels: () => readonly ChannelRow[];
  readonly adoptOwner: (who: string) => Promise<void>;
  readonly log: Log;
}): ControlParts["pairings"] {
  const { pairings, log } = parts;
  return {
    async list(only) {
      const rows = parts.channels().filter((row) => only === undefined || row.id === only);
      const lists = await Promise.all(
        rows.map(async (row) => ({ row, requests: await pairings.pending(row.id, row.account) })),
      );
      return lists.flatMap(({ row, requests }) =>
        requests.map((request) => ({ channel: row.id, account: row.account, request })),
      );
    },
    async approve(channel, account, code, by) {
      const request = await pairings.approve(channel, account, code);
      // Whom a program lets in may talk; who the owner is, a person says.
      if (!by.startsWith("token:")) await parts.adoptOwner(`${channel}:${request.senderId}`);
      log("info", "a sender was paired", { channel, account, sender: request.senderId, by });
      return request;
    },
    dismiss: pairings.dismiss,
  };
}
