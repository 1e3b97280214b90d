import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { parseRange } from "./address.ts";
import { createDoor } from "./door.ts";
import { defaultLimits } from "./limits.ts";
import { createPacer } from "./pacer.ts";
import { createReception, type NewConnection } from "./reception.ts";
import { createUpgrades } from "./upgrade.ts";

class FakeConnection extends EventEmitter {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  readonly localAddress = "192.0.2.100";
  destroyed = false;
  constructor(remoteAddress: string | undefined, remotePort: number) {
    super();
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }
  destroy(): this {
    this.destroyed = true;
    this.emit("close");
    return this;
  }
}

function reception(limits = defaultLimits) {
  const clock = { now: () => 0, monotonic: () => 0, after: () => () => {} };
  const door = createDoor(limits, createPacer(clock, limits));
  const refused: string[] = [];
  const receive = createReception({
    door,
    trustedProxies: () => [parseRange("10.0.0.1")!],
    logRefusal: ({ reason }, peer) => void refused.push(`${reason} ${peer}`),
  });
  let port = 1024;
  const come = (address: string | undefined) => {
    port += 1;
    const connection = new FakeConnection(address, port);
    receive(connection as unknown as NewConnection);
    return connection;
  };
  return { door, refused, come };
}

test("network (9): a connection that was gone before it was here takes no place", () => {
  const { come, door } = reception();
  assert.equal(come(undefined).destroyed, true);
  assert.equal(door.connections, 0);
});

test("network (9): a stranger's address is limited; this machine's and a trusted proxy's stand for many and are not", () => {
  const { come, door, refused } = reception();
  const many = (address: string) => Array.from({ length: 200 }, () => come(address));
  assert.equal(many("203.0.113.1").filter((one) => one.destroyed).length, 72);
  assert.equal(many("127.0.0.1").filter((one) => one.destroyed).length, 0);
  assert.equal(many("::ffff:10.0.0.1").filter((one) => one.destroyed).length, 0);
  assert.equal(door.connections, 528);
  assert.deepEqual(new Set(refused), new Set(["network.too_many_unauthenticated 203.0.113.1"]));
  // All of a /64 are one.
  const spread = Array.from({ length: 200 }, (_, index) => come(`2001:db8::${index.toString(16)}`));
  assert.equal(spread.filter((one) => one.destroyed).length, 72);
});

test("network (9): an address that comes and goes too fast is turned away until it has waited", () => {
  const { come, refused, door } = reception();
  for (let index = 0; index < 300; index += 1) come("203.0.113.1").destroy();
  assert.equal(
    refused.filter((line) => line.startsWith("network.too_fast")).length,
    300 - defaultLimits.burst,
  );
  assert.equal(door.connections, 0);
});

test("network (9): ten thousand strangers stand for two thousand; the newest are the ones that stay", () => {
  const { come, door } = reception();
  const strangers = Array.from({ length: 10_000 }, (_, index) => come(`203.0.${index >> 8}.${index & 255}`));
  assert.equal(door.connections, defaultLimits.connections);
  assert.equal(strangers.filter((one) => !one.destroyed).length, defaultLimits.connections);
  assert.equal(strangers.at(-1)?.destroyed, false);
  assert.equal(strangers[0]?.destroyed, true);
});

test("network (7): an upgrade while the gateway stops is answered with 503", () => {
  const upgrades = createUpgrades({
    judge: () => assert.fail("it is not judged"),
    isEncrypted: false,
    entrance: "main",
    door: createDoor(
      defaultLimits,
      createPacer({ now: () => 0, monotonic: () => 0, after: () => () => {} }, defaultLimits),
    ),
    connectionKey: () => "",
    logRefusal: () => {},
    clock: { after: () => () => {} },
    onSocket: () => assert.fail("there is no socket"),
  });
  upgrades.stop();
  const stream = new PassThrough();
  upgrades.take({} as IncomingMessage, stream, Buffer.alloc(0));
  assert.match(String(stream.read()), /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*stopping/);
});
