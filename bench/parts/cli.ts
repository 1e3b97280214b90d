// Read-only command line calls against a running gateway: what a person waits for at a prompt.

import { type Bench, cutShort, inTurn } from "../bench.ts";
import { figure, median, type RowKey, reasonOf } from "../figures.ts";
import { runOnce } from "../processes.ts";
import { openSite } from "../site.ts";

const runs = 15;

export async function measureCommandLine(bench: Bench): Promise<void> {
  const { results, subject } = bench;
  const site = await openSite(bench.workshop, subject, bench.model.port);
  if (subject.name === "bare") {
    const node = { ...subject.gateway(site.place), args: ["-e", "0"] };
    const times = await inTurn({ count: runs, ms: 10_000 }, async () => (await runOnce(node, 10_000)).ms);
    for (const key of ["cli.health", "cli.sessions"] as const)
      results.set(key, figure(median(times), "node -e 0"));
    return;
  }
  const client = await site.connect();
  await client.turn("agent:main:bench-one", "so that there is a session to list");
  await client.close();
  const calls: readonly (readonly [RowKey, readonly string[]])[] = [
    ["cli.health", ["health", "--json"]],
    ["cli.sessions", ["sessions", "--json"]],
  ];
  for (const [key, args] of calls) {
    bench.say(args.join(" "));
    try {
      const command = subject.commandLine(site.place, args);
      const times = await inTurn({ count: runs, ms: 30_000 }, async () => {
        const { ms, stdout } = await runOnce(command, 15_000);
        JSON.parse(stdout);
        return ms;
      });
      results.set(key, figure(median(times), cutShort(times.length, runs, "runs")));
    } catch (error) {
      results.set(key, { missing: reasonOf(error) });
    }
  }
}
