import assert from "node:assert/strict";
import { test } from "node:test";
import { automaticApproval, type DeviceAsk, pairingNeeds, withGrant } from "./device-pairing.ts";
import type { PairedDevice } from "./device-records.ts";
import { trustedRanges } from "./trusted-ranges.ts";

const ask: DeviceAsk = {
  deviceId: "a".repeat(64),
  publicKey: "key",
  role: "operator",
  scopes: ["operator.read"],
  platform: "linux",
  clientId: "cli",
  clientMode: "cli",
  credential: "shared",
  address: "127.0.0.1",
  isLoopback: true,
  isLocal: true,
  isProxied: false,
  fromBrowser: false,
};
const device: PairedDevice = {
  deviceId: ask.deviceId,
  publicKey: "key",
  platform: "Linux",
  roles: ["operator"],
  scopes: ["operator.write"],
  approvedVia: "owner",
  createdAtMs: 1,
  approvedAtMs: 1,
  tokens: [
    { role: "operator", scopes: ["operator.write"], hash: "0".repeat(64), generation: "g", createdAtMs: 1 },
  ],
};
const revoked: PairedDevice = {
  ...device,
  scopes: [],
  tokens: device.tokens.map((token) => ({ ...token, revokedAtMs: 2 })),
};
const newToken = () => ({ generation: "new", hash: "1".repeat(64) });

test("auth (7): what a device lacks is told in the order in which it must be granted", () => {
  const cases: readonly (readonly [
    string,
    PairedDevice | undefined,
    Partial<DeviceAsk>,
    readonly string[],
  ])[] = [
    ["unknown", undefined, {}, ["not-paired"]],
    ["another key", { ...device, publicKey: "other" }, {}, ["not-paired"]],
    ["covered: write gives read", device, {}, []],
    ["an unknown scope grants nothing and needs nothing", device, { scopes: ["operator.everything"] }, []],
    ["more", device, { scopes: ["operator.admin"] }, ["scope-upgrade"]],
    ["another role", device, { role: "node" }, ["role-upgrade"]],
    ["a node's claimed scopes count for nothing", { ...device, roles: ["node"] }, { role: "node" }, []],
    ["revoked", revoked, { scopes: [] }, ["role-upgrade"]],
    ["another platform", device, { platform: "darwin" }, ["metadata-upgrade"]],
    ["a look-alike platform", device, { platform: "linuх" }, ["metadata-upgrade"]],
    ["an invisible character", device, { platform: "linux\u200b" }, ["metadata-upgrade"]],
    ["a family out of nowhere", device, { deviceFamily: "iPhone" }, ["metadata-upgrade"]],
    [
      "both",
      device,
      { scopes: ["operator.admin"], platform: "darwin" },
      ["scope-upgrade", "metadata-upgrade"],
    ],
  ];
  for (const [name, known, change, expected] of cases)
    assert.deepEqual(pairingNeeds(known, { ...ask, ...change }), expected, name);
});

test("auth (7): nobody comes in without a question, but for the three that may; a proxy is not local (A-023, A-050)", () => {
  const far = { isLocal: false, isLoopback: false, address: "192.168.1.7" };
  const node = { ...far, role: "node", scopes: [] } as const;
  const settings = { autoApproveLocal: true, isTrustedAddress: trustedRanges(["192.168.1.0/24"]) };
  const cases: readonly (readonly [
    string,
    PairedDevice | undefined,
    Partial<DeviceAsk>,
    string | undefined,
  ])[] = [
    ["a program on this machine", undefined, {}, "silent"],
    ["its scope upgrade", device, { scopes: ["operator.admin"] }, "silent"],
    ["its role upgrade", device, { role: "node" }, "silent"],
    ["with its own token only", device, { role: "node", credential: "device-token" }, undefined],
    ["a page", undefined, { fromBrowser: true }, undefined],
    ["behind a proxy on this machine", undefined, { isLocal: false, isProxied: true }, undefined],
    ["another machine", undefined, far, undefined],
    ["another platform", device, { scopes: ["operator.admin"], platform: "darwin" }, undefined],
    ["after a revocation", revoked, {}, undefined],
    ["a fresh node in a trusted range", undefined, node, "trusted-cidr"],
    ["an IPv6 address", undefined, { ...node, address: "fe80::1" }, undefined],
    ["what is no address", undefined, { ...node, address: "" }, undefined],
    ["outside of the range", undefined, { ...node, address: "192.168.2.7" }, undefined],
    ["an operator in a trusted range", undefined, { ...node, role: "operator" }, undefined],
    ["a node with scopes", undefined, { ...node, scopes: ["operator.admin"] }, undefined],
    ["a node through a proxy in the range", undefined, { ...node, isProxied: true }, undefined],
    ["a node that is known", device, node, undefined],
    ["a page in a trusted range", undefined, { ...node, fromBrowser: true }, undefined],
    ["a setup code", undefined, { ...node, address: "203.0.113.9", credential: "setup-code" }, "setup-code"],
  ];
  for (const [name, known, change, expected] of cases) {
    const asked = { ...ask, ...change };
    assert.equal(automaticApproval(pairingNeeds(known, asked), known, asked, settings), expected, name);
  }
  const off = { ...settings, autoApproveLocal: false };
  assert.equal(automaticApproval(["not-paired"], undefined, ask, off), undefined, "turned off");
});

test("auth (9): a grant takes nothing, and gives nothing back that was revoked", () => {
  const more = withGrant(device, { ...ask, roles: ["node"] }, "owner", 9, newToken);
  assert.deepEqual(more.roles, ["operator", "node"]);
  assert.deepEqual(more.scopes, ["operator.write", "operator.read"]);
  assert.equal(more.createdAtMs, 1);
  assert.deepEqual(more.tokens[0]?.generation, "g", "the token stays, its grant grows");
  assert.deepEqual(more.tokens[1], { role: "node", scopes: [], ...newToken(), createdAtMs: 9 });
  const again = withGrant(revoked, { ...ask, roles: ["operator"] }, "owner", 9, newToken);
  assert.deepEqual(again.scopes, ["operator.read"]);
  assert.deepEqual(again.tokens, [
    { role: "operator", scopes: ["operator.read"], ...newToken(), createdAtMs: 9 },
  ]);
  const still = withGrant(revoked, { ...ask, roles: ["node"], scopes: [] }, "owner", 9, newToken);
  assert.equal(still.tokens[0]?.revokedAtMs, 2, "another role's approval does not undo it");
  const node = withGrant(undefined, { ...ask, roles: ["node"] }, "silent", 9, newToken);
  assert.deepEqual(node.scopes, [], "a node holds no operator's scope");
  const { platform: _, clientId: __, clientMode: ___, ...silent } = ask;
  const nameless = withGrant(undefined, { ...silent, roles: ["node"] }, "silent", 9, newToken);
  assert.ok(!("platform" in nameless) && !("clientId" in nameless) && !("clientMode" in nameless));
});

test("auth (7): a trusted range that is none is named", () => {
  for (const entry of ["192.168.0.0/33", "10.0.0.0/", "host", "fe80::/129", "10.0.0.0/x"])
    assert.throws(() => trustedRanges([entry]), /autoApproveCidrs/, entry);
  const inside = trustedRanges(["10.1.2.3", "fd00::/8", "fe80::7"]);
  assert.deepEqual(["10.1.2.3", "10.1.2.4", "fd00::5", "fe80::5", "fe80::7"].map(inside), [
    true,
    false,
    true,
    false,
    true,
  ]);
});
