import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { parseFingerprint } from "./pin.ts";
import { remoteUrl } from "./target.ts";

/** `gateway remote-configure`: what this machine's commands sign in with at a gateway elsewhere. */
export const remoteConfigure = define({
  help: {
    usage: "gateway remote-configure [options]",
    about: `Remembers how this machine's commands reach a gateway on another machine: gateway.remote in openclaw.json.
With --url, commands ask that gateway from then on (gateway.mode "remote"). It changes nothing on the gateway itself.
A secret given as "-" is read from the terminal or a pipe, and stays out of the shell's history.`,
    options: [
      ["--url <address>", "wss://host:port of the gateway"],
      ["--token <token>", "its token; - reads it"],
      ["--password <password>", "or its password; - reads it"],
      ["--tls-fingerprint <hex>", "talk to the certificate with this SHA-256 only"],
    ],
    example: "openclaw gateway remote-configure --url wss://gateway.example:18789 --token -",
  },
  options: { url: "text", token: "text", password: "text", "tls-fingerprint": "text" },
  offline: true,
  run: async (context) => {
    const { cli, options } = context;
    const { url, token, password, "tls-fingerprint": fingerprint } = options;
    if (token !== undefined && password !== undefined)
      throw new UsageError("give --token or --password, not both");
    const readSecret = async (text: string, name: string) => {
      const value = text === "-" ? (await cli.stdin()).trim() : text;
      if (value === "") throw new UsageError(`${name} is empty`);
      return value;
    };
    const remote: readonly (readonly [string, string])[] = [
      ...(url === undefined ? [] : [["url", remoteUrl(url, cli.env)] as const]),
      ...(token === undefined ? [] : [["token", await readSecret(token, "--token")] as const]),
      ...(password === undefined ? [] : [["password", await readSecret(password, "--password")] as const]),
      ...(fingerprint === undefined
        ? []
        : [["tlsFingerprint", parseFingerprint(fingerprint, "--tls-fingerprint")] as const]),
    ];
    if (remote.length === 0) throw new UsageError("say what to remember: --url, --token, --tls-fingerprint");
    const edits = remote.map(([key, value]) => ({ path: ["gateway", "remote", key], value }));
    if (url !== undefined) edits.push({ path: ["gateway", "mode"], value: "remote" });
    const { writeConfig } = await import("../config/mod.ts");
    const { clock, random, env } = cli;
    const written = await writeConfig({ file: cli.paths.configFile, env, edits, clock, random });
    if (!written.ok) throw new CommandFailure(1, `nothing was changed: ${written.message}`);
    const changed = edits.map((edit) => edit.path.join("."));
    context.print({ ok: true, changed }, () => `${cli.paths.configFile}: set ${changed.join(", ")}\n`);
    return 0;
  },
});
