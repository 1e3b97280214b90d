import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboxRow, InboxState, OutboxRow, OutboxState } from "../delivery/mod.ts";
import { systemRandom } from "../kernel/mod.ts";
import { openWorkspace } from "../sandbox/mod.ts";
import { createMedia } from "./media.ts";
import type { Tools } from "./tools.ts";

const hourMs = 3_600_000;
const idOf = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;

/** A state folder and a workspace; `inbox` and `outbox` are what the store says of each message. */
async function scene(
  t: TestContext,
  input: {
    readonly inbox?: Readonly<Record<string, { readonly state: InboxState; readonly ageHours: number }>>;
    readonly outbox?: (
      folder: string,
    ) => Readonly<Record<string, { readonly state: OutboxState; readonly path: string }>>;
    readonly attachments?: OpenClawConfig["attachments"];
    readonly mediaMaxMb?: number;
  },
) {
  const folder = mkdtempSync(join(tmpdir(), "media-"));
  const root = join(folder, "workspace");
  mkdirSync(root);
  t.after(async () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const clock = new ManualClock();
  const logged: string[] = [];
  const outbox = input.outbox?.(folder) ?? {};
  const media = createMedia({
    config: () =>
      ({
        attachments: input.attachments,
        agents: { defaults: { mediaMaxMb: input.mediaMaxMb } },
      }) as OpenClawConfig,
    stateFolder: folder,
    store: {
      inbox: {
        byMessageId: (id: string) => {
          const known = input.inbox?.[id];
          return (
            known && ({ state: known.state, receivedAt: clock.now() - known.ageHours * hourMs } as InboxRow)
          );
        },
      },
      outbox: {
        byMessageId: (id: string) => {
          const row = outbox[id];
          return row
            ? [{ state: row.state, message: { file: { path: row.path } } } as unknown as OutboxRow]
            : [];
        },
      },
    } as unknown as Parameters<typeof createMedia>[0]["store"],
    tools: {
      workspaceOf: () => root,
      openFolder: (at: string) => openWorkspace(at, { random: systemRandom }),
    } as unknown as Tools,
    channel: () => undefined,
    agentIds: () => ["main"],
    agentEmoji: () => undefined,
    clock,
    log: (_level, message) => void logged.push(message),
  });
  const put = (path: string, ageHours = 1) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), "x");
    const seconds = (clock.now() - ageHours * hourMs) / 1000;
    utimesSync(join(folder, path), seconds, seconds);
  };
  return { folder, root, media, put, sweep: media.sweep, logged };
}

test("files that came are removed after their time, and nothing else of the workspace is", async (t) => {
  const { folder, put, sweep } = await scene(t, {
    inbox: {
      [idOf(1)]: { state: "done", ageHours: 49 },
      [idOf(2)]: { state: "done", ageHours: 47 },
      [idOf(3)]: { state: "running", ageHours: 99 },
    },
  });
  for (const name of [
    `${idOf(1)}-0.png`,
    `${idOf(2)}-0.png`,
    `${idOf(3)}-0.png`,
    `${idOf(4)}-1.pdf`,
    "notes.txt",
  ])
    put(`workspace/media/inbound/${name}`);
  await sweep();
  assert.deepEqual(readdirSync(join(folder, "workspace/media/inbound")).sort(), [
    `${idOf(2)}-0.png`,
    `${idOf(3)}-0.png`,
    "notes.txt",
  ]);
});

test("attachments.ttlHours sets the time; 0 keeps files for good", async (t) => {
  const inbox = { [idOf(1)]: { state: "done" as const, ageHours: 5 } };
  const kept = await scene(t, { inbox, attachments: { ttlHours: 0 } });
  kept.put(`workspace/media/inbound/${idOf(1)}-0.png`);
  await kept.sweep();
  assert.equal(readdirSync(join(kept.folder, "workspace/media/inbound")).length, 1);
  const short = await scene(t, { inbox, attachments: { ttlHours: 4 } });
  short.put(`workspace/media/inbound/${idOf(1)}-0.png`);
  await short.sweep();
  assert.deepEqual(readdirSync(join(short.folder, "workspace/media/inbound")), []);
});

test("a link in the place of the files leads the sweep nowhere (A-145)", async (t) => {
  const { folder, put, sweep, root, media, logged } = await scene(t, {});
  put(`elsewhere/${idOf(1)}-0.png`);
  mkdirSync(join(root, "media"));
  symlinkSync(join(folder, "elsewhere"), join(root, "media", "inbound"));
  put(`sandboxes/session-b/media/inbound/${idOf(1)}-0.png`, 99);
  await sweep();
  assert.equal(existsSync(join(folder, `elsewhere/${idOf(1)}-0.png`)), true);
  assert.deepEqual(logged, ["files that came cannot be looked at"]);
  assert.deepEqual(readdirSync(join(folder, "sandboxes/session-b/media/inbound")), [], "others are seen to");
  assert.deepEqual(await media.filesOf(new Set([idOf(1)])), []);
});

test("files that came into sandboxes go after their time, and with their message", async (t) => {
  const { folder, put, sweep, media } = await scene(t, {
    inbox: {
      [idOf(1)]: { state: "done", ageHours: 49 },
      [idOf(2)]: { state: "done", ageHours: 47 },
      [idOf(3)]: { state: "done", ageHours: 47 },
    },
  });
  const names = (sandbox: string) => readdirSync(join(folder, "sandboxes", sandbox, "media/inbound"));
  for (const n of [1, 2]) put(`sandboxes/session-a/media/inbound/${idOf(n)}-0.png`);
  for (const n of [1, 3]) put(`sandboxes/agent-b/media/inbound/${idOf(n)}-0.png`);
  mkdirSync(join(folder, "sandboxes/empty"));
  await sweep();
  assert.deepEqual(names("session-a"), [`${idOf(2)}-0.png`]);
  assert.deepEqual(names("agent-b"), [`${idOf(3)}-0.png`]);
  const [file, ...more] = await media.filesOf(new Set([idOf(3)]));
  assert.equal(more.length, 0);
  assert.equal(file?.path, join(folder, `sandboxes/agent-b/media/inbound/${idOf(3)}-0.png`));
  await file.remove();
  assert.deepEqual(names("agent-b"), []);
  assert.deepEqual(names("session-a"), [`${idOf(2)}-0.png`]);
});

test("uploads and copies stay while their message or row needs them, and go afterwards", async (t) => {
  const copy = (folder: string, n: number) => join(folder, "media/outbound", `${idOf(n)}-0`);
  const { folder, put, sweep } = await scene(t, {
    inbox: { [idOf(1)]: { state: "accepted", ageHours: 1 }, [idOf(2)]: { state: "done", ageHours: 1 } },
    outbox: (at) => ({
      [idOf(3)]: { state: "pending", path: copy(at, 3) },
      [idOf(4)]: { state: "sent", path: copy(at, 4) },
      [idOf(5)]: { state: "rejected", path: copy(at, 5) },
      [idOf(6)]: { state: "rejected", path: copy(at, 6) },
      [idOf(7)]: { state: "pending", path: "another" },
    }),
  });
  put(`media/uploads/${idOf(1)}-0`);
  put(`media/uploads/${idOf(2)}-0`);
  put(`media/uploads/${idOf(9)}-0`, 0);
  put(`media/outbound/${idOf(3)}-0`, 99);
  put(`media/outbound/${idOf(4)}-0`);
  put(`media/outbound/${idOf(5)}-0`);
  put(`media/outbound/${idOf(6)}-0`, 49);
  put(`media/outbound/${idOf(7)}-0`);
  await sweep();
  // The youngest may belong to a row that is about to be written.
  assert.deepEqual(readdirSync(join(folder, "media/uploads")).sort(), [`${idOf(1)}-0`, `${idOf(9)}-0`]);
  assert.deepEqual(readdirSync(join(folder, "media/outbound")).sort(), [`${idOf(3)}-0`, `${idOf(5)}-0`]);
});

test("a reference that is none of ours reaches no file of the state folder (A-151)", async (t) => {
  const { media, put } = await scene(t, {});
  put("credentials/secret");
  const row = { channel: "control", account: "", messageId: idOf(1) } as InboxRow;
  const { signal } = new AbortController();
  for (const reference of [
    "upload:../../credentials/secret",
    `upload:${idOf(1)}-0/../../x`,
    "credentials/secret",
  ])
    await assert.rejects(media.fetch(row, reference, 1000, signal), /none of ours/);
  const reference = await media.holdUpload(idOf(1), 0, Buffer.from("four"));
  assert.equal((await media.fetch(row, reference, 4, signal)).toString(), "four");
  await assert.rejects(media.fetch(row, reference, 3, signal), /larger than 3 bytes/);
});

test("what control clients are shown is found by its message, and is at most 20 MB, or less where the config says so", async (t) => {
  for (const [mediaMaxMb, most] of [
    [undefined, 20],
    [100, 20],
    [3, 3],
  ] as const) {
    const { media } = await scene(t, mediaMaxMb === undefined ? {} : { mediaMaxMb });
    assert.equal(media.sendBytes("control", "default"), most * 1_048_576);
    assert.equal(media.sendBytes("irc", "default"), undefined);
  }
  const { folder, media } = await scene(t, {});
  await media.keepShown(idOf(8), `${idOf(1)}-0.png`, Buffer.from("x"));
  const found = await media.filesOf(new Set([idOf(1)]));
  assert.deepEqual(
    found.map(({ path }) => path),
    [join(folder, "media/shown", idOf(8), `${idOf(1)}-0.png`)],
  );
  for (const file of found) await file.remove();
  assert.deepEqual(await media.filesOf(new Set([idOf(1)])), []);
});
