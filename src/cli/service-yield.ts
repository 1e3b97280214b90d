import { readFile } from "node:fs/promises";
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import { join } from "node:path";
import { InputError } from "../kernel/mod.ts";
import { UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { yieldedExitCode } from "./service-text.ts";
import { gatewayTarget } from "./target.ts";

const probeMs = 2000;

/**
 * The exit code of a gateway that a service manager runs. Where it cannot start because another healthy gateway has
 * its port or its state folder, it yields: with the code that the manager takes for "do not start this again".
 */
export async function yielding(
  cli: Cli,
  service: string,
  port: number | undefined,
  run: () => Promise<number>,
): Promise<number> {
  if (service !== "systemd" && service !== "launchd")
    throw new UsageError(`--service is ${JSON.stringify(service)}; it is systemd or launchd`);
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof InputError) || !/already running|is taken/.test(error.message)) throw error;
    const healthy = await firstHealthy(await holders(cli, port));
    if (healthy === undefined) throw error;
    cli.stderr(
      `openclaw: ${error.message}\nA healthy gateway answers at ${healthy}: this one leaves it in place.\n`,
    );
    // launchd knows no such code; it starts anew only what failed.
    return service === "systemd" ? yieldedExitCode : 0;
  }
}

/** Where the other one can be: at our own address, and at the port that the holder of the state folder noted. */
async function holders(cli: Cli, port: number | undefined): Promise<string[]> {
  const own = await gatewayTarget(cli, port === undefined ? {} : { port });
  const url = new URL(own.url.replace(/^ws/, "http"));
  const noted = await readFile(join(cli.paths.root, "state", "gateway.lock.json"), "utf8")
    .then((text) => Number((JSON.parse(text) as { readonly port?: unknown }).port))
    .catch(() => 0);
  const ports = [...new Set([Number(url.port), noted])].filter((item) => item > 0);
  return ports.map((item) => `${url.protocol}//${url.hostname}:${item}/healthz`);
}

async function firstHealthy(urls: readonly string[]): Promise<string | undefined> {
  for (const url of urls) if (await isHealthy(url)) return url;
  return undefined;
}

/** Says nothing and believes nothing but "200": whose certificate it is does not matter to a question without secrets. */
function isHealthy(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { timeout: probeMs, rejectUnauthorized: false, agent: false };
    const get = url.startsWith("https:") ? getSecure : getPlain;
    const request = get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}
