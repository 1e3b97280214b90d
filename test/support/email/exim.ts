import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../gateway.ts";

export const smtpPassword = "smtp-password-of-the-test";

/** Why the tests that need it cannot run; undefined when they can. */
export function eximMissing(): string | undefined {
  if (spawnSync("exim4", ["-bV"], { stdio: "ignore" }).error) {
    return "exim4 is not installed: scripts/test-servers.sh installs it";
  }
  return process.getuid?.() === 0 ? undefined : "exim4 has to be started as root";
}

/** An Exim of our own over TLS that takes letters from "house" and keeps them in its queue. */
export class Exim {
  readonly port: number;
  readonly certificate: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.#folder = folder;
    this.port = port;
    this.certificate = join(folder, "cert.pem");
    this.#child = child;
  }

  static async start(): Promise<Exim> {
    const folder = mkdtempSync(join(tmpdir(), "exim-test-"));
    for (const name of ["spool", "log"]) mkdirSync(join(folder, name));
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
    spawnSync("openssl", ["req", "-x509", "-nodes", "-days", "1", ...curve, ...subject, ...files], {
      stdio: "ignore",
    });
    // It gives up root, and still has to read and write here.
    for (const name of ["", "spool", "log"]) chmodSync(join(folder, name), 0o777);
    chmodSync(join(folder, "key.pem"), 0o644);
    const port = await freePort();
    const file = join(folder, "exim.conf");
    writeFileSync(
      file,
      `primary_hostname = smtp.test
      keep_environment =
      spool_directory = ${folder}/spool
      log_file_path = ${folder}/log/%s
      pid_file_path = ${folder}/pid
      local_interfaces = 127.0.0.1
      daemon_smtp_ports = ${port}
      tls_on_connect_ports = ${port}
      tls_advertise_hosts = *
      tls_certificate = ${folder}/cert.pem
      tls_privatekey = ${folder}/key.pem
      host_lookup =
      queue_only
      message_size_limit = 1M
      acl_smtp_rcpt = known
      begin acl
      known:
        deny condition = \${if eq{$local_part}{nobody}}
        accept authenticated = *
        deny
      begin authenticators
      plain:
        driver = plaintext
        public_name = PLAIN
        server_prompts = :
        server_set_id = $auth2
        server_condition = \${if and{{eq{$auth2}{house}}{eq{$auth3}{${smtpPassword}}}}}
      `.replace(/^ {6}/gm, ""),
    );
    const child = spawn("exim4", ["-C", file, "-bdf"], { stdio: "ignore" });
    while (!(await takesConnections(port))) {
      if (child.exitCode !== null) throw new Error("exim4 ended");
      await new Promise((resolve) => setImmediate(resolve));
    }
    return new Exim(folder, port, child);
  }

  /** The letters it took, each as envelope and header, and body. */
  queue(): readonly { readonly head: string; readonly body: string }[] {
    const folder = join(this.#folder, "spool", "input");
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    return readdirSync(folder)
      .filter((name) => name.endsWith("-H"))
      .sort()
      .map((name) => ({ head: read(name), body: read(name.replace(/-H$/, "-D")) }));
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const connection = connect(port, "127.0.0.1");
  try {
    await once(connection, "connect");
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}
