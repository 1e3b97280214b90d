import { isIPv4, isIPv6 } from "node:net";

/** One IP address in its only spelling: IPv4-mapped forms unwrapped, IPv6 compressed and lower case, no zone. */
export interface Address {
  readonly family: 4 | 6;
  readonly text: string;
  readonly value: bigint;
}

/** A block of addresses, as gateway.trustedProxies names it. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Undefined when the text is not exactly one address. Shortened IPv4 (`127.1`), octal, hex, ports and brackets are
 * not addresses here: two readers that understand such a text differently are how a check is talked around.
 */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 4, text, value: ipv4Value(text) };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  // The URL parser knows the one spelling of RFC 5952, and takes apart the dotted tail.
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const value = ipv6Value(canonical);
  if (value >> 32n === 0xffffn) {
    const plain = value & 0xffff_ffffn;
    return { family: 4, text: ipv4Text(plain), value: plain };
  }
  return { family: 6, text: canonical, value };
}

/** What the operating system says of a socket's peer: like {@link parseAddress}, but a zone may follow. */
export function peerAddress(text: string | undefined): Address | undefined {
  return parseAddress((text ?? "").split("%", 1)[0] as string);
}

/** `10.0.0.0/8`, `10.0.0.1`, `fd00::/8`, `::ffff:10.0.0.0/104` (the same as 10.0.0.0/8); undefined when it is none. */
export function parseRange(text: string): AddressRange | undefined {
  const [, name = "", bitsText] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text.trim()) ?? [];
  const address = parseAddress(name);
  if (!address) return undefined;
  const isMapped = address.family === 4 && name.includes(":");
  const width = address.family === 4 ? 32 : 128;
  const bits = bitsText === undefined ? width : Number(bitsText) - (isMapped ? 96 : 0);
  // A mapped block wider than /96 would take in native IPv6 too, which is hardly what its author meant.
  if (bits < 0 || bits > width) return undefined;
  const hostBits = BigInt(width - bits);
  const first = (address.value >> hostBits) << hostBits;
  return { family: address.family, first, last: first + (1n << hostBits) - 1n };
}

export function inRanges(address: Address, ranges: readonly AddressRange[]): boolean {
  return ranges.some(
    ({ family, first, last }) => family === address.family && address.value >= first && address.value <= last,
  );
}

export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}

/** Addresses that no stranger on the internet is reached by: loopback, private, link-local, and Tailscale's. */
export function isPrivate(address: Address): boolean {
  return isLoopback(address) || inRanges(address, privateRanges);
}

export function isTailnet(address: Address): boolean {
  return inRanges(address, tailnetRange);
}

/**
 * What limits count an address as: itself, or the /64 of an IPv6 address. Whoever has one address of a /64 has all
 * of them, and would otherwise never run into a limit.
 */
export function limitKeyOf(address: Address): string {
  return address.family === 4 ? address.text : `${(address.value >> 64n).toString(16)}::/64`;
}

const tailnetRange: readonly AddressRange[] = rangesOf("100.64.0.0/10");
const privateRanges: readonly AddressRange[] = rangesOf(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
  "fe80::/10",
);

function rangesOf(...texts: string[]): AddressRange[] {
  return texts.map((text) => parseRange(text) as AddressRange);
}

function ipv4Value(text: string): bigint {
  return BigInt(text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0));
}

function ipv4Text(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** Of the canonical spelling only: hexadecimal groups, at most one `::`. */
function ipv6Value(canonical: string): bigint {
  const [head = "", tail] = canonical.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const middle = Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...middle, ...right].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
