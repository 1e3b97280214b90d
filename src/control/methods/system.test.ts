import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../kernel/mod.ts";
import type { Call } from "../method.ts";
import type { ChannelRow, ControlParts } from "../parts.ts";
import { systemMethods } from "./system.ts";

const linking: ChannelRow = {
  id: "whatsapp",
  account: "default",
  label: "WhatsApp",
  status: { state: "starting" },
  linkCode: "scan-me",
};

test("control (6): what links a device is shown to administrators, and to nobody who may only look", async () => {
  const parts = {
    clock: systemClock,
    channels: () => [linking],
  } as Partial<ControlParts> as ControlParts;
  const row = systemMethods(parts, {} as never, {} as never).find(({ name }) => name === "channels.status");
  const shown = (...scopes: string[]) =>
    JSON.stringify(row?.run({}, { principal: { scopes } } as object as Call)).includes("scan-me");
  assert.equal(shown("operator.admin"), true);
  assert.equal(shown("operator.read"), false);
  assert.equal(shown("operator.write", "operator.pairing"), false);
});
