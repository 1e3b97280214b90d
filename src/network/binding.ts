import { isLoopback, isTailnet, parseAddress } from "./address.ts";

/** What the bind modes ask of the machine. */
export interface Machine {
  /** IPv4 addresses of the interfaces that are up. */
  readonly addresses: readonly string[];
  readonly inContainer: boolean;
  readonly hostName: string;
}

export type BindMode = "auto" | "loopback" | "lan" | "tailnet" | "custom";

/**
 * The addresses to listen on, the one that the mode names first. Whatever else it is, a gateway on a particular address
 * listens on 127.0.0.1 too: its own command line connects there. Undefined: the custom address is missing or is none.
 */
export function hostsOf(
  mode: BindMode,
  customHost: string | undefined,
  machine: Machine,
): readonly string[] | undefined {
  switch (mode) {
    case "loopback":
      return ["127.0.0.1"];
    case "lan":
      return ["0.0.0.0"];
    case "auto":
      // Inside a container loopback is nobody: what is published to the host comes in over its network.
      return machine.inContainer ? ["0.0.0.0"] : ["127.0.0.1"];
    case "tailnet": {
      const own = machine.addresses.find(isTailnetText);
      return own === undefined ? ["127.0.0.1"] : [own, "127.0.0.1"];
    }
    case "custom": {
      const address = parseAddress(customHost ?? "");
      if (address?.family !== 4) return undefined;
      return address.text === "127.0.0.1" || address.text === "0.0.0.0"
        ? [address.text]
        : [address.text, "127.0.0.1"];
    }
  }
}

export function isTailnetText(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && isTailnet(address);
}

/** True when somebody on another machine could connect. */
export function opensBeyondLoopback(hosts: readonly string[]): boolean {
  return hosts.some((host) => {
    const address = parseAddress(host);
    return address === undefined || !isLoopback(address);
  });
}
