import assert from "node:assert/strict";
import { test } from "node:test";
import {
  inRanges,
  isLoopback,
  isPrivate,
  isTailnet,
  limitKeyOf,
  parseAddress,
  parseRange,
  peerAddress,
} from "./address.ts";

test("network (1): an address has one spelling, and what is not exactly an address is none", () => {
  const table: readonly [text: string, canonical: string | undefined][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["::", "::"],
    ["2001:DB8::A", "2001:db8::a"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["fe80::", "fe80::"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["fe80::1%eth0", undefined],
    ["127.1", undefined],
    ["0177.0.0.1", undefined],
    ["0x7f.0.0.1", undefined],
    ["2130706433", undefined],
    ["192.0.2.1:80", undefined],
    ["[::1]", undefined],
    [" 192.0.2.1", undefined],
    ["", undefined],
    ["unknown", undefined],
  ];
  for (const [text, canonical] of table) assert.equal(parseAddress(text)?.text, canonical, text);
  assert.equal(peerAddress("fe80::1%eth0")?.text, "fe80::1");
  assert.equal(peerAddress(undefined), undefined);
});

test("network (1): a range takes in its addresses, mapped ones as the IPv4 that they are, and no others", () => {
  const table: readonly [range: string, inside: string[], outside: string[]][] = [
    [
      "10.0.0.0/8",
      ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
      ["11.0.0.0", "9.255.255.255", "::a00:1"],
    ],
    ["10.1.2.3/8", ["10.0.0.1"], ["11.0.0.1"]],
    ["192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]],
    ["::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.1", "::1"]],
    ["::ffff:0:0/96", ["10.9.9.9", "203.0.113.1"], ["::1", "2001:db8::1"]],
    ["fd00::/8", ["fd12::1"], ["fe00::1", "253.0.0.1"]],
    ["::/0", ["2001:db8::1"], ["192.0.2.1"]],
    ["0.0.0.0/0", ["192.0.2.1"], ["::1"]],
    [" 192.0.2.0/24 ", ["192.0.2.255"], ["192.0.3.0"]],
  ];
  for (const [text, inside, outside] of table) {
    const range = parseRange(text);
    assert.ok(range, text);
    for (const address of inside)
      assert.equal(inRanges(parseAddress(address)!, [range]), true, `${address} in ${text}`);
    for (const address of outside)
      assert.equal(inRanges(parseAddress(address)!, [range]), false, `${address} in ${text}`);
  }
  for (const wrong of [
    "",
    "proxy",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "::1/129",
    "::ffff:10.0.0.0/64",
    "10.0.0.0/-1",
  ])
    assert.equal(parseRange(wrong), undefined, wrong);
});

test("network (9): an IPv6 address counts as its /64, an IPv4 address as itself, however it is written (A-241)", () => {
  const key = (text: string) => limitKeyOf(parseAddress(text)!);
  assert.equal(key("192.0.2.1"), "192.0.2.1");
  assert.equal(key("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(key("2001:db8:1:2::1"), key("2001:DB8:1:2:ffff:ffff:ffff:ffff"));
  assert.notEqual(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
  const spellings = ["fe80::1%eth0", "FE80::1%eth1", "fe80:0:0:0:0:0:0:1", "fe80::0001"];
  assert.equal(new Set(spellings.map((text) => limitKeyOf(peerAddress(text)!))).size, 1);
  const rotated = Array.from({ length: 10_000 }, (_, index) => key(`2001:db8::${index.toString(16)}`));
  assert.equal(new Set(rotated).size, 1);
});

test("network (7): what is loopback, Tailscale's, and private", () => {
  const table: readonly [text: string, loopback: boolean, tailnet: boolean, own: boolean][] = [
    ["127.0.0.1", true, false, true],
    ["127.255.255.255", true, false, true],
    ["::1", true, false, true],
    ["::2", false, false, false],
    ["100.64.0.1", false, true, true],
    ["100.127.255.255", false, true, true],
    ["100.128.0.1", false, false, false],
    ["10.0.0.1", false, false, true],
    ["172.31.0.1", false, false, true],
    ["172.32.0.1", false, false, false],
    ["fd00::1", false, false, true],
    ["203.0.113.1", false, false, false],
    ["0.0.0.0", false, false, false],
  ];
  for (const [text, loopback, tailnet, own] of table) {
    const address = parseAddress(text)!;
    assert.deepEqual(
      [isLoopback(address), isTailnet(address), isPrivate(address)],
      [loopback, tailnet, own],
      text,
    );
  }
});
