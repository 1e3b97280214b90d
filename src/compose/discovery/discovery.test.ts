import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { test } from "node:test";
import fc from "fast-check";
import { StandingClock } from "../../../test/contracts/standing-clock.ts";
import type { OpenClawConfig } from "../../config/mod.ts";
import { type AdvertFacts, advertOf, mdnsMode } from "./advert.ts";
import { browse, heard } from "./browse.ts";
import { type DnsRecord, parseQuery, parseResponse, queryBytes, responseBytes } from "./dns-message.ts";
import { startResponder } from "./responder.ts";

const facts: AdvertFacts = {
  port: 18789,
  hosts: ["0.0.0.0"],
  addresses: ["127.0.0.1", "192.168.1.5", "100.64.0.7"],
  hostName: "johns-laptop.corp.example",
  label: "openclaw-1a2b",
  certificateFingerprint: "AB:CD",
};
const telling = {
  OPENCLAW_SSH_PORT: "22",
  OPENCLAW_CLI_PATH: "/home/john/bin/openclaw",
  OPENCLAW_TAILNET_DNS: "gw.tail1234.ts.net",
};
const spoken = (mode: "minimal" | "full", more: Partial<AdvertFacts> = {}, env = telling) =>
  advertOf(mode, { ...facts, ...more }, env);

test("discovery (1): minimal tells where to connect, and nothing of the machine (A-237)", () => {
  const advert = spoken("minimal");
  const text = JSON.stringify(advert);
  assert.doesNotMatch(text, /john|laptop|corp|ssh|cli|tailnet|ts\.net|100\.64|127\.0/);
  const txt = advert?.records.find((record) => record.type === "TXT");
  assert.deepEqual(txt?.type === "TXT" && txt.texts, [
    "role=gateway",
    "transport=gateway",
    "displayName=OpenClaw",
    "lanHost=openclaw-1a2b.local",
    "gatewayPort=18789",
    "gatewayDirectReachable=1",
    "gatewayTls=1",
    "gatewayTlsSha256=abcd",
  ]);
  assert.deepEqual(advert?.interfaces, ["192.168.1.5"]);
  assert.doesNotMatch(JSON.stringify(spoken("minimal", { certificateFingerprint: undefined })), /Tls/);
});

test("discovery (1): full tells what the environment names, and the machine's first name", () => {
  const text = JSON.stringify(spoken("full"));
  for (const told of [
    "sshPort=22",
    "cliPath=/home/john/bin/openclaw",
    "tailnetDns=gw.tail1234.ts.net",
    "johns-laptop.local",
  ])
    assert.ok(text.includes(told), told);
  assert.doesNotMatch(text, /corp/);
  assert.doesNotMatch(JSON.stringify(advertOf("full", facts, {})), /sshPort|cliPath|tailnetDns/);
  assert.ok(
    JSON.stringify(advertOf("minimal", facts, { OPENCLAW_MDNS_HOSTNAME: "gw.x" })).includes(
      "lanHost=gw.local",
    ),
  );
  assert.ok(
    JSON.stringify(advertOf("full", { ...facts, hostName: "" }, {})).includes("lanHost=openclaw.local"),
  );
});

test("discovery (2): nothing is advertised that the local network cannot reach", () => {
  for (const hosts of [["127.0.0.1"], ["100.64.0.7", "127.0.0.1"], []])
    assert.equal(spoken("full", { hosts }), undefined);
  assert.deepEqual(spoken("minimal", { hosts: ["192.168.1.5", "127.0.0.1"] })?.interfaces, ["192.168.1.5"]);
});

test("discovery (2): off unless asked for; by itself on macOS only, and not in a container", () => {
  const mode = (
    configured: string | undefined,
    env: Record<string, string>,
    platform: string,
    inContainer = false,
  ) =>
    mdnsMode(
      { discovery: { mdns: configured === undefined ? {} : { mode: configured } } } as OpenClawConfig,
      env,
      { platform, inContainer },
    );
  const table = [
    [mode(undefined, {}, "linux"), "off"],
    [mode(undefined, {}, "darwin"), "minimal"],
    [mode("off", {}, "darwin"), "off"],
    [mode("full", {}, "linux"), "full"],
    [mode("minimal", {}, "linux"), "minimal"],
    [mode("full", { OPENCLAW_DISABLE_BONJOUR: "1" }, "darwin"), "off"],
    [mode("full", {}, "linux", true), "off"],
    [mode("full", { OPENCLAW_DISABLE_BONJOUR: "0" }, "linux", true), "full"],
    [mode(undefined, { OPENCLAW_DISABLE_BONJOUR: "0" }, "linux"), "off"],
    [mdnsMode({}, {}, { platform: "linux", inContainer: false }), "off"],
  ];
  for (const [found, expected] of table) assert.equal(found, expected);
});

test("discovery (3): an ordinary resolver finds the gateway by our answers (RFC 6762, section 6.7)", async (t) => {
  const advert = spoken("minimal");
  assert.ok(advert);
  const clock = new StandingClock();
  const responder = await startResponder({
    advert: { ...advert, interfaces: [] },
    clock,
    log: () => {},
    port: 0,
  });
  t.after(() => responder.close());
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${responder.port}`]);
  const service = "_openclaw-gw._tcp.local";
  const [instance = ""] = await resolver.resolvePtr(service);
  assert.equal(instance, `openclaw-1a2b.${service}`);
  const [found] = await resolver.resolveSrv(instance);
  assert.deepEqual([found?.name, found?.port], ["openclaw-1a2b.local", 18789]);
  const [texts = []] = await resolver.resolveTxt(instance.toUpperCase());
  assert.ok(texts.includes("gatewayPort=18789"));
  assert.deepEqual(await resolver.resolve4("openclaw-1a2b.local", { ttl: true }), [
    { address: "192.168.1.5", ttl: 10 },
  ]);
  assert.deepEqual(await resolver.resolvePtr("_services._dns-sd._udp.local"), [service]);
});

test("discovery (4): a flood of questions gets twenty answers a second, and noise gets none", async (t) => {
  const advert = spoken("minimal");
  assert.ok(advert);
  const clock = new StandingClock();
  const responder = await startResponder({
    advert: { ...advert, interfaces: [] },
    clock,
    log: () => {},
    port: 0,
  });
  t.after(() => responder.close());
  const asker = createSocket("udp4");
  t.after(() => asker.close());
  asker.bind(0, "127.0.0.1");
  await once(asker, "listening");
  let flood = 0;
  let isOver = false;
  asker.on("message", (bytes: Buffer) => {
    if (bytes.readUInt16BE(0) === 9999) isOver = true;
    else flood += 1;
  });
  const ask = (bytes: Buffer) =>
    new Promise<void>((resolve) => void asker.send(bytes, responder.port, "127.0.0.1", () => resolve()));
  await ask(Buffer.from("no message at all"));
  await ask(question("_other._tcp.local", 1));
  for (let id = 1; id <= 200; id++) {
    await ask(question("_openclaw-gw._tcp.local", id));
    await turn();
  }
  for (let index = 0; index < 500; index++) await turn();
  // What stands behind the flood is answered once a second has passed.
  while (!isOver) {
    clock.advance(1000);
    await ask(question("_openclaw-gw._tcp.local", 9999));
    await turn();
  }
  assert.equal(flood, 20);
});

function question(name: string, id: number): Buffer {
  const bytes = responseBytes([], { id, questions: [{ name, type: 12, wantsUnicast: false }] });
  bytes.writeUInt16BE(0, 2);
  return bytes;
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

test("discovery (4): no packet makes the reader fail, or go round in circles", () => {
  assert.equal(parseQuery(question("a.b", 7))?.questions[0]?.name, "a.b");
  const response = question("a.b", 7);
  response.writeUInt16BE(0x8000, 2);
  assert.equal(parseQuery(response), undefined);
  const circle = Buffer.concat([question("", 1).subarray(0, 12), Buffer.from([0xc0, 12, 0, 12, 0, 1])]);
  assert.equal(parseQuery(circle), undefined);
  const one = { name: "a", type: 12, wantsUnicast: false };
  const many = responseBytes([], { id: 1, questions: Array(33).fill(one) });
  many.writeUInt16BE(0, 2);
  assert.equal(parseQuery(many), undefined);
  const long = Buffer.concat([
    question("", 1).subarray(0, 12),
    ...Array<Buffer>(5).fill(Buffer.concat([Buffer.from([63]), Buffer.alloc(63, 97)])),
    Buffer.alloc(5),
  ]);
  assert.equal(parseQuery(long), undefined);
  const base = question("_openclaw-gw._tcp.local", 7);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(40), fc.nat(60), (noise, at, keep) => {
      parseQuery(Buffer.from(noise));
      parseQuery(Buffer.concat([base.subarray(0, at), noise, base.subarray(keep)]));
    }),
    { numRuns: 2000 },
  );
});

test("discovery (4): over real multicast, where the machine has it: announced, answered and taken back", async (t) => {
  const listener = createSocket({ type: "udp4", reuseAddr: true });
  t.after(() => listener.close());
  const advert = advertOf("minimal", { ...facts, hosts: ["192.168.1.5"] }, {});
  assert.ok(advert);
  try {
    listener.bind(5353, "0.0.0.0");
    await once(listener, "listening");
    listener.addMembership("224.0.0.251", "127.0.0.1");
    listener.setMulticastInterface("127.0.0.1");
  } catch {
    return t.skip("no multicast here");
  }
  const heard: Buffer[] = [];
  const wait = (fits: (bytes: Buffer) => boolean) =>
    new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 2000);
      listener.on("message", (bytes) => {
        heard.push(bytes);
        if (bytes.includes("openclaw-1a2b") && fits(bytes)) {
          clearTimeout(timer);
          resolve(true);
        }
      });
    });
  const announced = wait(() => true);
  const responder = await startResponder({
    advert: { ...advert, interfaces: ["127.0.0.1"] },
    clock: new StandingClock(),
    log: () => {},
  }).catch(() => undefined);
  if (!responder || !(await announced)) {
    await responder?.close();
    return t.skip("multicast does not come back to this machine");
  }
  const asked = wait(() => true);
  listener.send(question("_openclaw-gw._tcp.local", 0), 5353, "224.0.0.251");
  assert.equal(await asked, true);
  // A time to live of nothing: forget it.
  const gone = wait((bytes) => bytes.includes(Buffer.from([0, 33, 0x80, 1, 0, 0, 0, 0])));
  await responder.close();
  assert.equal(await gone, true);
});

const fingerprint = "ab".repeat(32);
const rogue: readonly DnsRecord[] = [
  { name: "_openclaw-gw._tcp.local", ttlSeconds: 1, type: "PTR", target: "far._openclaw-gw._tcp.local" },
  { name: "far._openclaw-gw._tcp.local", ttlSeconds: 1, type: "SRV", port: 1, target: "far.local" },
  { name: "far.local", ttlSeconds: 1, type: "A", address: "203.0.113.1" },
  { name: "_openclaw-gw._tcp.local", ttlSeconds: 1, type: "PTR", target: "nowhere._openclaw-gw._tcp.local" },
  { name: "_openclaw-gw._tcp.local", ttlSeconds: 1, type: "PTR", target: "lost._openclaw-gw._tcp.local" },
  { name: "lost._openclaw-gw._tcp.local", ttlSeconds: 1, type: "SRV", port: 1, target: "lost.local" },
  { name: "_other._tcp.local", ttlSeconds: 1, type: "PTR", target: "x._openclaw-gw._tcp.local" },
  { name: "x._openclaw-gw._tcp.local", ttlSeconds: 1, type: "SRV", port: 1, target: "x.local" },
  { name: "x.local", ttlSeconds: 1, type: "A", address: "192.168.1.9" },
];

async function found(records: readonly DnsRecord[]) {
  const clock = new StandingClock();
  const advert = { records, interfaces: [] };
  const responder = await startResponder({ advert, clock, log: () => {}, port: 0 });
  const beacons = await browse({
    interfaces: ["127.0.0.1"],
    timeoutMs: 1,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      // The time that it waits is over when a packet has been there and back, twice.
      after(_delayMs, action) {
        const probe = createSocket("udp4");
        probe.on("message", () => {
          probe.close();
          setImmediate(() => setImmediate(action));
        });
        probe.bind(0, "127.0.0.1", () =>
          probe.send(question("_openclaw-gw._tcp.local", 1), responder.port, "127.0.0.1"),
        );
        return () => {};
      },
    },
    target: { address: "127.0.0.1", port: responder.port },
  });
  await responder.close();
  return beacons;
}

test("discovery (5): a gateway is found where its records lead, with what it claims to be (A-237)", async () => {
  const advert = spoken("full", { certificateFingerprint: fingerprint });
  assert.ok(advert);
  const words = advert.records.map((record) =>
    record.type === "TXT"
      ? {
          ...record,
          texts: [
            ...record.texts.filter((text) => !text.startsWith("lanHost")),
            "lanHost=evil.example",
            "gatewayPort=1",
          ],
        }
      : record,
  );
  assert.deepEqual(await found([...words, ...rogue]), [
    {
      instance: "johns-laptop",
      displayName: "johns-laptop",
      address: "192.168.1.5",
      port: 18789,
      wsUrl: "wss://192.168.1.5:18789/",
      claimedFingerprint: fingerprint,
    },
  ]);
  const plain = spoken("minimal", { certificateFingerprint: undefined });
  const [beacon] = await found(plain?.records ?? []);
  assert.deepEqual([beacon?.wsUrl, beacon?.claimedFingerprint], ["ws://192.168.1.5:18789/", undefined]);
  const packet = responseBytes(plain?.records ?? []);
  assert.deepEqual(heard(responseBytes(rogue), "192.168.1.7"), []);
  assert.deepEqual(
    ["192.168.1.7", "203.0.113.7"].map((from) => heard(packet, from).length),
    [1, 0],
  );
  const odd = spoken("minimal", { certificateFingerprint: "zz" });
  assert.equal((await found(odd?.records ?? []))[0]?.claimedFingerprint, undefined);
});

test("discovery (4): records are read back as they were written, and no packet makes the reader fail", () => {
  const advert = spoken("full");
  assert.ok(advert);
  const bytes = responseBytes(advert.records);
  assert.deepEqual(parseResponse(bytes), advert.records);
  assert.equal(parseResponse(queryBytes("_openclaw-gw._tcp.local")), undefined);
  assert.equal(parseQuery(queryBytes("_openclaw-gw._tcp.local"))?.questions[0]?.wantsUnicast, true);
  assert.equal(parseResponse(bytes.subarray(0, bytes.length - 1)), undefined);
  const asked = responseBytes(advert.records, {
    id: 1,
    questions: [{ name: "a.b", type: 12, wantsUnicast: false }],
  });
  assert.equal(parseResponse(asked)?.length, advert.records.length);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(300), fc.nat(300), (noise, at, keep) => {
      parseResponse(Buffer.from(noise));
      parseResponse(Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(keep)]));
    }),
    { numRuns: 2000 },
  );
});
