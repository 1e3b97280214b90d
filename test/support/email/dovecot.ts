import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../gateway.ts";

export const imapPassword = "imap-password-of-the-test";

/** Why the tests that need it cannot run; undefined when they can. */
export function dovecotMissing(): string | undefined {
  if (spawnSync("dovecot", ["--version"], { stdio: "ignore" }).error) {
    return "dovecot-imapd is not installed: scripts/test-servers.sh installs it";
  }
  return process.getuid?.() === 0 ? undefined : "dovecot has to be started as root";
}

/** A Dovecot of our own with any number of mailboxes, delivered to by writing into their Maildirs. */
export class Dovecot {
  readonly port: number;
  readonly tlsPort: number;
  readonly certificate: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #delivered = 0;

  private constructor(folder: string, port: number, tlsPort: number, child: ChildProcess) {
    this.#folder = folder;
    this.port = port;
    this.tlsPort = tlsPort;
    this.certificate = join(folder, "cert.pem");
    this.#child = child;
  }

  static async start(): Promise<Dovecot> {
    const folder = mkdtempSync(join(tmpdir(), "dovecot-test-"));
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "run"));
    mkdirSync(join(folder, "mail"));
    chmodSync(join(folder, "mail"), 0o777);
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
    spawnSync("openssl", ["req", "-x509", "-nodes", "-days", "1", ...curve, ...subject, ...files], {
      stdio: "ignore",
    });
    const port = await freePort();
    const tlsPort = await freePort();
    const file = join(folder, "dovecot.conf");
    writeFileSync(
      file,
      `base_dir = ${folder}/run
      state_dir = ${folder}/run
      log_path = ${folder}/log
      protocols = imap
      listen = 127.0.0.1
      ssl = yes
      ssl_cert = <${folder}/cert.pem
      ssl_key = <${folder}/key.pem
      disable_plaintext_auth = no
      auth_mechanisms = plain xoauth2
      auth_failure_delay = 0
      service anvil {
        unix_listener anvil-auth-penalty {
          mode = 0
        }
      }
      mail_location = maildir:${folder}/mail/%u
      mail_uid = nobody
      mail_gid = nogroup
      first_valid_uid = 1
      passdb {
        driver = static
        mechanisms = plain
        args = password=${imapPassword}
      }
      userdb {
        driver = static
        args = uid=nobody gid=nogroup home=${folder}/mail/%u
      }
      service imap-login {
        inet_listener imap {
          port = ${port}
        }
        inet_listener imaps {
          port = ${tlsPort}
        }
      }
      namespace inbox {
        inbox = yes
        mailbox Sent {
          auto = create
          special_use = \\Sent
        }
      }
      `,
    );
    const child = spawn("dovecot", ["-F", "-c", file], { stdio: "ignore" });
    while (!(await takesConnections(port))) {
      if (child.exitCode !== null)
        throw new Error(`dovecot ended: ${readFileSync(join(folder, "log"), "utf8")}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return new Dovecot(folder, port, tlsPort, child);
  }

  /** Puts a message into a mailbox, as its delivery agent would. */
  deliver(user: string, raw: string, box: "INBOX" | "Sent" = "INBOX"): void {
    const folder = join(this.#folder, "mail", user, ...(box === "INBOX" ? [] : [".Sent"]));
    for (const name of ["tmp", "new", "cur"]) {
      mkdirSync(join(folder, name), { recursive: true });
      chmodSync(join(folder, name), 0o777);
    }
    chmodSync(join(this.#folder, "mail", user), 0o777);
    chmodSync(folder, 0o777);
    this.#delivered += 1;
    // In one second the base name orders the messages.
    const name = `${1_700_000_000 + this.#delivered}.M${this.#delivered}.test`;
    writeFileSync(join(folder, "tmp", name), raw.replace(/\r?\n/g, "\r\n"));
    chmodSync(join(folder, "tmp", name), 0o666);
    renameSync(join(folder, "tmp", name), join(folder, "new", name));
  }

  /** The mailbox is made anew: other numbers, no marks. */
  renumber(user: string): void {
    const folder = join(this.#folder, "mail", user);
    for (const name of readdirSync(folder)) {
      if (/^dovecot/.test(name)) rmSync(join(folder, name), { recursive: true });
    }
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
