import { BlockList, isIP, isIPv6 } from "node:net";
import { InputError } from "../kernel/mod.ts";

/** A test for addresses in these ranges. Throws an InputError that names the entry that is none. */
export function trustedRanges(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    const version = isIP(address);
    const prefix = bits === undefined ? (version === 6 ? 128 : 32) : Number(bits);
    const isPrefix = Number.isInteger(prefix) && prefix >= 0 && prefix <= (version === 6 ? 128 : 32);
    if (version === 0 || bits === "" || !isPrefix)
      throw new InputError(
        `gateway.nodes.pairing.autoApproveCidrs: ${JSON.stringify(entry)} is not an IP address or CIDR range`,
      );
    list.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
