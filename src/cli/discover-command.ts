import { networkInterfaces } from "node:os";
import { define } from "./define.ts";
import { UsageError } from "./failure.ts";
import { table } from "./table.ts";

const longestMs = 60_000;

/** `gateway discover`: who on the local network says that he is a gateway. */
export const gatewayDiscover = define({
  help: {
    usage: "gateway discover [options]",
    about: `Gateways that tell the local network of themselves (mDNS, _openclaw-gw._tcp). Anybody there can answer: compare the
fingerprint with what the gateway itself shows (openclaw gateway status) before you send it a secret.`,
    options: [["--timeout <ms>", "how long to wait for answers (2000)"]],
    example: "openclaw gateway discover --json",
  },
  options: { timeout: "integer" },
  offline: true,
  run: async (context) => {
    const { timeout = 2000 } = context.options;
    if (timeout < 1 || timeout > longestMs) throw new UsageError(`--timeout must be from 1 to ${longestMs}`);
    const { browse } = await import("../compose/discovery/browse.ts");
    const interfaces = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter((item) => item.family === "IPv4")
      .map((item) => item.address);
    const beacons = await browse({ interfaces, timeoutMs: timeout, clock: context.cli.clock });
    const rows = beacons.map((item) => [
      item.displayName || item.instance,
      item.wsUrl,
      item.claimedFingerprint ?? (item.wsUrl.startsWith("wss:") ? "none given" : "no TLS"),
    ]);
    context.print({ timeoutMs: timeout, count: beacons.length, beacons }, () =>
      rows.length === 0
        ? "No gateway answered. One answers when discovery.mdns.mode is minimal or full, and it listens beyond loopback.\n"
        : `${table(["CLAIMED NAME", "ADDRESS", "CLAIMED FINGERPRINT (SHA-256)"], rows, 0, context.style.dim)}To use one: openclaw gateway remote-configure --url <address> --token - --tls-fingerprint <hex>\n`,
    );
    return 0;
  },
});
