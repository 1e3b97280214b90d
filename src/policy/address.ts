import { admit, refuse, type Verdict } from "../kernel/mod.ts";

/** What an address is for. Only `public` is reached without the operator's word. */
export type AddressKind =
  | "public"
  | "loopback"
  | "private"
  | "linkLocal"
  | "metadata"
  | "benchmark"
  | "uniqueLocal"
  | "reserved"
  | "invalid";

const ranges4: readonly (readonly [cidr: string, kind: AddressKind])[] = [
  ["169.254.169.254/32", "metadata"],
  ["169.254.170.2/32", "metadata"],
  ["100.100.100.200/32", "metadata"],
  ["0.0.0.0/8", "loopback"],
  ["127.0.0.0/8", "loopback"],
  ["10.0.0.0/8", "private"],
  ["172.16.0.0/12", "private"],
  ["192.168.0.0/16", "private"],
  ["100.64.0.0/10", "private"],
  ["169.254.0.0/16", "linkLocal"],
  ["198.18.0.0/15", "benchmark"],
  ["192.0.0.0/24", "reserved"],
  ["192.0.2.0/24", "reserved"],
  ["192.88.99.0/24", "reserved"],
  ["198.51.100.0/24", "reserved"],
  ["203.0.113.0/24", "reserved"],
  ["224.0.0.0/4", "reserved"],
  ["240.0.0.0/4", "reserved"],
];

const ranges6: readonly (readonly [cidr: string, kind: AddressKind])[] = [
  ["::1/128", "loopback"],
  ["::/128", "loopback"],
  ["fd00:ec2::254/128", "metadata"],
  ["fc00::/7", "uniqueLocal"],
  ["fe80::/10", "linkLocal"],
  ["fec0::/10", "private"],
  ["ff00::/8", "reserved"],
  // NAT64, 6to4 and Teredo lead to whatever IPv4 address they carry, through a router that is not ours.
  ["64:ff9b::/96", "reserved"],
  ["64:ff9b:1::/48", "reserved"],
  ["2002::/16", "reserved"],
  ["2001::/23", "reserved"],
  ["2001:db8::/32", "reserved"],
  ["3fff::/20", "reserved"],
  ["5f00::/16", "reserved"],
  ["100::/64", "reserved"],
  ["::/96", "reserved"],
  ["::ffff:0:0:0/96", "reserved"],
];

/**
 * What the address is, from its canonical text: dotted decimal, or IPv6 without zone or brackets. Every other
 * spelling (octal, hex, short, padded) is `invalid`: two readers could take it for two addresses.
 * An IPv4-mapped IPv6 address is judged as the IPv4 address it stands for, and so is one in an ISATAP identifier.
 */
export function classifyAddress(ip: string): AddressKind {
  const four = parseIpv4(ip);
  if (four !== undefined) return lookup(table4, BigInt(four));
  const six = parseIpv6(ip);
  if (six === undefined) return "invalid";
  if (six >> 32n === 0xffffn) return lookup(table4, six & 0xffffffffn);
  const kind = lookup(table6, six);
  if (kind !== "public") return kind;
  // Outside 2000::/3 nothing is assigned to the public internet.
  if (six >> 125n !== 1n) return "reserved";
  // ISATAP: interface identifier [02]00:5efe and then an IPv4 address.
  if (((six >> 32n) & 0xfdffffffn) === 0x5efen) return lookup(table4, six & 0xffffffffn);
  return "public";
}

/** Which of the addresses that are not public may be reached all the same: `tools.web.fetch.ssrfPolicy`. */
export interface SsrfSettings {
  readonly dangerouslyAllowPrivateNetwork: boolean;
  /** "host", "host:port" or "*.domain" (not the domain itself): may be private, on the port given or any. */
  readonly allowedHostnames: readonly string[];
  /** The same forms; refused before everything else, and before any DNS question. */
  readonly blockedHostnames: readonly string[];
  /** The same forms; when it is there, nothing else is asked for. Empty: nothing at all. */
  readonly onlyHostnames?: readonly string[];
  readonly allowRfc2544BenchmarkRange: boolean;
  readonly allowIpv6UniqueLocalRange: boolean;
}

/** A URL that may be asked for, once its addresses pass {@link addressVerdict}. */
export interface Destination {
  /** Without fragment and user information. */
  readonly url: URL;
  /** Lower case, no brackets, no trailing dots. */
  readonly hostname: string;
  readonly port: number;
  /** The address, when the host is one; then nothing is to be resolved. */
  readonly literal: string | undefined;
  /** The operator listed this host. */
  readonly listed: boolean;
}

const maxUrlChars = 8192;

/** Ports where something else than a web server listens: a request there is an attack on another protocol. */
const refusedPorts: ReadonlySet<number> = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 465, 512,
  513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 631, 636, 873, 989, 990, 993, 995,
  1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061,
  5432, 5672, 5900, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 10080, 10250,
  11211, 27017,
]);

/** Names that lead inwards whatever DNS says. */
const innerNames =
  /^(?:localhost|ip6-localhost|ip6-loopback|instance-data|broadcasthost)$|\.(?:localhost|localdomain|local|internal|intranet|lan|home|corp|svc|home\.arpa|cluster\.local)$/;

/**
 * May this URL be asked for, as far as its text says? Refuses everything but http and https, user information,
 * unusual spellings of addresses, inner names, and ports of other protocols. Pure: asks no DNS.
 */
export function hostVerdict(url: string, ssrf: SsrfSettings): Verdict<Destination> {
  const no = (detail: string) => refuse("policy.url_refused", detail);
  if (url.length > maxUrlChars) return no(`the URL is longer than ${maxUrlChars} characters`);
  // A URL parser drops tabs and newlines and turns backslashes around: what a person read would not be what is asked.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f\\]/.test(url) || !url.isWellFormed())
    return no("the URL holds blanks, control characters or backslashes");
  const parsed = URL.parse(url);
  if (!parsed) return no("this is not a URL");
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    return no(`the scheme ${JSON.stringify(parsed.protocol)} is not http or https`);
  if (parsed.username !== "" || parsed.password !== "" || /^[^/]*\/\/[^/?#]*@/.test(url))
    return no("the URL holds a user name or password");
  const written = /^[A-Za-z]+:\/\/([^/?#]*)/.exec(url)?.[1];
  if (!written) return no("the URL has no // before its host");

  const hostname = plainName(parsed.hostname);
  if (hostname === "") return no("the URL has no host");
  const port = parsed.port === "" ? (parsed.protocol === "https:" ? 443 : 80) : Number(parsed.port);
  if (ssrf.blockedHostnames.some((entry) => nameMatches(entry, hostname, port)))
    return no(`${hostname} is in blockedHostnames`);
  if (ssrf.onlyHostnames && !ssrf.onlyHostnames.some((entry) => nameMatches(entry, hostname, port)))
    return no(`${hostname} is not in tools.web.fetch.allowlist`);

  const literal = isAddress(hostname) ? hostname : undefined;
  // http://2130706433/, http://0x7f.1/, http://１２７.0.0.1/ all become 127.0.0.1 in the parser. Nobody with a good
  // reason writes them.
  if (literal !== undefined && !parsed.hostname.startsWith("[") && written.replace(/:\d*$/, "") !== literal)
    return no(`the address ${literal} is written in an unusual way`);

  const exact = ssrf.allowedHostnames.some(
    (entry) => /:\d+$/.test(plainEntry(entry)) && nameMatches(entry, hostname, port),
  );
  const listed = exact || ssrf.allowedHostnames.some((entry) => nameMatches(entry, hostname, port));
  parsed.hash = "";
  const destination: Destination = { url: parsed, hostname, port, literal, listed };
  if (!exact && refusedPorts.has(port)) return no(`port ${port} is not a web server's`);
  if (literal !== undefined) {
    const verdict = addressVerdict(literal, destination, ssrf);
    return verdict.ok ? admit(destination) : verdict;
  }
  if (
    !listed &&
    !ssrf.dangerouslyAllowPrivateNetwork &&
    (innerNames.test(hostname) || !hostname.includes("."))
  )
    return no(`${hostname} is a name inside this machine or network`);
  return admit(destination);
}

/**
 * May this address be connected to for `destination`? Asked for every address that DNS gave; one that is refused
 * refuses the request. A cloud's metadata service hands out credentials: only its own listed name or address opens it.
 */
export function addressVerdict(
  ip: string,
  destination: Pick<Destination, "hostname" | "literal" | "listed">,
  ssrf: SsrfSettings,
): Verdict<string> {
  const kind = classifyAddress(ip);
  const { listed } = destination;
  const open = listed || ssrf.dangerouslyAllowPrivateNetwork;
  const allowed: Readonly<Record<AddressKind, boolean>> = {
    public: true,
    loopback: open,
    private: open,
    linkLocal: open,
    uniqueLocal: open || ssrf.allowIpv6UniqueLocalRange,
    benchmark: open || ssrf.allowRfc2544BenchmarkRange,
    metadata: listed && (destination.literal !== undefined || destination.hostname.startsWith("metadata.")),
    reserved: false,
    invalid: false,
  };
  if (allowed[kind]) return admit(ip);
  const where = destination.hostname === ip ? ip : `${destination.hostname} is ${ip}, which`;
  return refuse("policy.url_refused", `${where} is not a public address (${kind})`);
}

function plainName(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.+$/, "");
}

function plainEntry(entry: string): string {
  return entry.trim().toLowerCase();
}

/** `nas.lan`, `nas.lan:8080`, `*.example.com`, `[fd00::1]:80`. */
function nameMatches(entry: string, hostname: string, port: number): boolean {
  const parts = /^(\[[^\]]*\]|[^:]*|[^[\]]*:[^[\]]*:[^[\]]*?)(?::(\d+))?$/.exec(plainEntry(entry));
  if (!parts) return false;
  if (parts[2] !== undefined && Number(parts[2]) !== port) return false;
  const name = plainName(parts[1] as string);
  if (name === "") return false;
  return name.startsWith("*.")
    ? hostname.endsWith(name.slice(1)) && hostname !== name.slice(2)
    : hostname === name;
}

function isAddress(hostname: string): boolean {
  return parseIpv4(hostname) !== undefined || hostname.includes(":");
}

/** Dotted decimal only, four parts, no leading zeros. */
function parseIpv4(text: string): number | undefined {
  if (!/^(?:(?:0|[1-9]\d{0,2})(?:\.|$)){4}$/.test(text) || text.endsWith(".")) return undefined;
  let value = 0;
  for (const part of text.split(".")) {
    if (Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

/** RFC 4291 text, with an optional dotted tail; no zone. */
function parseIpv6(text: string): bigint | undefined {
  let body = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    const four = parseIpv4(tail[2] ?? "");
    if (four === undefined) return undefined;
    body = `${tail[1]}${(four >>> 16).toString(16)}:${(four & 0xffff).toString(16)}`;
  }
  const halves = body.split("::");
  if (halves.length > 2) return undefined;
  const groupsOf = (half: string | undefined) => (half ? half.split(":") : []);
  const head = groupsOf(halves[0]);
  const rest = groupsOf(halves[1]);
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<string>(missing).fill("0"), ...rest]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

interface Range {
  readonly prefix: bigint;
  readonly shift: bigint;
  readonly kind: AddressKind;
}

const table4: readonly Range[] = ranges4.map(([cidr, kind]) => rangeOf(cidr, kind, 32));
const table6: readonly Range[] = ranges6.map(([cidr, kind]) => rangeOf(cidr, kind, 128));

function rangeOf(cidr: string, kind: AddressKind, bits: number): Range {
  const slash = cidr.indexOf("/");
  const ip = cidr.slice(0, slash);
  const length = cidr.slice(slash + 1);
  const value = bits === 32 ? BigInt(parseIpv4(ip) as number) : (parseIpv6(ip) as bigint);
  const shift = BigInt(bits - Number(length));
  return { prefix: value >> shift, shift, kind };
}

/** The first range that holds the address; the tables list the narrower one first. */
function lookup(table: readonly Range[], value: bigint): AddressKind {
  return table.find((range) => value >> range.shift === range.prefix)?.kind ?? "public";
}
