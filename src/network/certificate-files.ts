import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createSecureContext } from "node:tls";
import { type Cancel, type Clock, InputError, type Log, type Random } from "../kernel/mod.ts";
import { selfSigned } from "./certificate.ts";
import type { TlsSettings } from "./settings.ts";

/** What a TLS listener needs. Always proved to fit together. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** SHA-256 of the certificate, in colon-separated capitals, as clients pin it. */
  readonly fingerprint: string;
  readonly validUntil: string;
}

export interface CertificateFiles {
  readonly current: () => TlsMaterial;
  /** Looks at the files now; resolves when what changed was taken over or turned down. */
  check(): Promise<void>;
  close(): void;
}

const checkIntervalMs = 5000;
const dayMs = 86_400_000;
const madeForDays = 3650;

/**
 * The gateway's certificate, from its files. Makes a pair when both are missing; with only one of them it refuses,
 * because the missing half may be lost, not unmade, and clients have pinned it. `onChange` is called with each new
 * pair that the files turn into; one that does not fit is logged, and the old one stays.
 */
export async function openCertificateFiles(ports: {
  readonly settings: TlsSettings;
  /** Names and addresses that a made certificate is for. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly onChange: (material: TlsMaterial) => void;
}): Promise<CertificateFiles> {
  const { settings, clock, log } = ports;
  await makeIfMissing(ports);
  let material = await readMaterial(settings);
  let state = await stateOf(settings);
  if (isExpired(material, clock))
    log("warn", "the TLS certificate has expired", {
      file: settings.certFile,
      validUntil: material.validUntil,
    });

  // One look at a time, so that whoever asks hears of a change that another look has already seen.
  let working: Promise<void> = Promise.resolve();
  function check(): Promise<void> {
    working = working.then(lookAtFiles);
    return working;
  }

  async function lookAtFiles(): Promise<void> {
    const now = await stateOf(settings);
    if (now === state) return;
    state = now;
    try {
      const next = await readMaterial(settings);
      if (isExpired(next, clock)) throw new InputError(`it expired on ${next.validUntil}`);
      if (next.cert === material.cert && next.key === material.key && next.ca === material.ca) return;
      material = next;
      ports.onChange(next);
      log("info", "the TLS certificate was replaced", {
        fingerprint: next.fingerprint,
        validUntil: next.validUntil,
      });
    } catch (error) {
      log("error", "the new TLS certificate cannot be used; the old one stays", {
        file: settings.certFile,
        problem: (error as Error).message,
      });
    }
  }

  let cancel: Cancel = () => {};
  let closed = false;
  const look = () => {
    void check().then(() => {
      if (!closed) cancel = clock.after(checkIntervalMs, look);
    });
  };
  if (settings.renews) cancel = clock.after(checkIntervalMs, look);
  return {
    current: () => material,
    check,
    close() {
      closed = true;
      cancel();
    },
  };
}

async function makeIfMissing(ports: Parameters<typeof openCertificateFiles>[0]): Promise<void> {
  const { settings, clock, log } = ports;
  const hasCert = await exists(settings.certFile);
  const hasKey = await exists(settings.keyFile);
  if (hasCert && hasKey) return;
  if (hasCert !== hasKey) {
    const [there, missing] = hasCert
      ? [settings.certFile, settings.keyFile]
      : [settings.keyFile, settings.certFile];
    throw new InputError(
      `gateway.tls: ${there} is there, but ${missing} is not. Put it back, or remove both for a new pair (clients then have to pin the new fingerprint).`,
    );
  }
  if (!settings.autoGenerate) {
    throw new InputError(
      `gateway.tls: neither ${settings.certFile} nor ${settings.keyFile} is there. Put them there, or set gateway.tls.autoGenerate to true.`,
    );
  }
  const now = clock.now();
  const pair = selfSigned({
    names: ports.names,
    // Clients whose clocks run behind still accept it.
    notBeforeMs: now - dayMs,
    notAfterMs: now + madeForDays * dayMs,
    random: ports.random,
  });
  // The key first, and whole: a crash between the two leaves a partial pair that the next start names.
  await writeWhole(settings.keyFile, pair.key, 0o600);
  await writeWhole(settings.certFile, pair.cert, 0o600);
  log("info", "a self-signed TLS certificate was made", {
    file: settings.certFile,
    fingerprint: new X509Certificate(pair.cert).fingerprint256,
  });
}

/** Throws an InputError that names the file and what is wrong with it. Never quotes the key. */
async function readMaterial(settings: TlsSettings): Promise<TlsMaterial> {
  const cert = await read(settings.certFile);
  const key = await read(settings.keyFile);
  const ca = settings.caFile === undefined ? undefined : await read(settings.caFile);
  try {
    const parsed = new X509Certificate(cert);
    // Throws when the key is not the certificate's, and for what OpenSSL thinks too weak.
    createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
    return { cert, key, ca, fingerprint: parsed.fingerprint256, validUntil: parsed.validTo };
  } catch (error) {
    throw new InputError(
      `gateway.tls: ${settings.certFile} and ${settings.keyFile} cannot be used together: ${(error as Error).message}`,
    );
  }
}

function isExpired(material: TlsMaterial, clock: Clock): boolean {
  return Date.parse(material.validUntil) <= clock.now();
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new InputError(`gateway.tls: ${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Changes whenever one of the files is written or replaced. */
async function stateOf(settings: TlsSettings): Promise<string> {
  const files = [settings.certFile, settings.keyFile, ...(settings.caFile ? [settings.caFile] : [])];
  const states = await Promise.all(
    files.map((file) =>
      stat(file).then(
        (item) => `${item.ino} ${item.size} ${item.mtimeMs}`,
        () => "missing",
      ),
    ),
  );
  return states.join("\n");
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const beside = `${file}.new`;
    await writeFile(beside, text, { mode });
    await rename(beside, file);
  } catch (error) {
    throw new InputError(`gateway.tls: ${file} cannot be written: ${(error as Error).message}`);
  }
}
