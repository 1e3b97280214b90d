import { runConfigCommand } from "./config-command.ts";
import type { Cli } from "./mod.ts";

export function configEntry(cli: Cli, args: readonly string[]): Promise<number> {
  return runConfigCommand([...args], {
    env: cli.env,
    configFile: cli.paths.configFile,
    stdout: cli.stdout,
    stderr: cli.stderr,
    isTTY: cli.isTTY,
    stdin: cli.stdin,
  });
}
