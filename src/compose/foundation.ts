import { dirname } from "node:path";
import { ledgerChain } from "../audit/mod.ts";
import { authSettings, pairingSettings } from "../auth/mod.ts";
import { configProblemText, loadConfig } from "../config/mod.ts";
import {
  type Clock,
  InputError,
  type Log,
  type LogLevel,
  type Random,
  Secret,
  token,
} from "../kernel/mod.ts";
import { type Listener, networkSettings, readMachine } from "../network/mod.ts";
import type { SendSignal } from "../sandbox/mod.ts";
import { sessionSettings } from "../session/mod.ts";
import { openStore, type Store } from "../store/mod.ts";
import { composeEdge } from "./edge.ts";
import { lendHelperPrograms } from "./helper-programs.ts";
import { takeStateFolder } from "./instance.ts";
import { createLiveConfig } from "./live-config.ts";
import { composeLogging } from "./logging.ts";
import type { Media } from "./media.ts";
import { createRetention } from "./retention.ts";
import type { RunOverrides } from "./run-overrides.ts";
import { createSecretReferences } from "./secret-references/mod.ts";
import { createShown } from "./shown.ts";
import { prepareStateFolder, type StatePaths } from "./state-folder.ts";

/** What the process gives: nothing in here reads `process` itself. */
export interface ServeOptions {
  readonly paths: StatePaths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly port: number | undefined;
  readonly overrides: RunOverrides;
  readonly version: string;
  /** Where the built page lies. */
  readonly pageFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly pid: number;
  readonly nodeVersion: string;
  readonly uid: number;
  readonly timeZone: string | undefined;
  readonly consoleLevel: LogLevel | "silent";
  readonly logFolder: string;
  readonly toConsole: (line: string) => void;
  readonly sendSignal: SendSignal;
  /** Somebody asked for a restart, perhaps not for the first time. */
  readonly restart: () => void;
  /** For "port taken (says by whom)". */
  readonly whoListens: (port: number) => Promise<string | undefined>;
}

/** Of the parts that are made after the foundation. */
export interface AfterFoundation {
  /** Retention watches the store, and media is made of that store. */
  readonly media: () => Pick<Media, "filesOf">;
}

export type Foundation = Awaited<ReturnType<typeof composeFoundation>>;

/**
 * What everything else needs: the config and the settings in force, the lock on the state folder, the log, the store.
 * Throws an InputError that a person can act on.
 */
export async function composeFoundation(options: ServeOptions, later: AfterFoundation) {
  const { clock, random, env, paths } = options;
  const { loaded, live } = await openConfig(options, () => log);
  const { config } = live;
  // Without a configured secret the gateway still never runs open: one is made for this run only.
  const runSecret = new Secret(token(random));
  let auth = authSettings(config(), env, runSecret);
  let pairing = pairingSettings(config());
  const instance = random.bytes(6).toString("hex");
  const helpers = lendHelperPrograms({
    path: env.PATH ?? "",
    after: clock.after,
    gateway: { stateDir: paths.root, instance },
  });
  const edge = composeEdge({
    ...{ config, env, clock, random, fetch, helpers },
    log: (...line) => log(...line),
  });
  const readNetwork = () =>
    networkSettings(config(), env, options.port, {
      stateFolder: paths.root,
      machine: readMachine(),
      identityHeaders: edge.identityHeaders(),
    });
  let network = readNetwork();
  const lock = takeStateFolder(paths.root, options.pid, network.port, clock.now());

  const logging = composeLogging({
    config,
    stateFolder: paths.root,
    folder: options.logFolder,
    uid: options.uid,
    clock,
    consoleLevel: options.consoleLevel,
    toConsole: options.toConsole,
  });
  const { log } = logging;
  const shown = createShown(logging);
  logging.addSecrets(() => (auth.secret ? [auth.secret.reveal()] : []));
  // Shown by `config validate` too; a first run, whose file holds some of them, should not begin with warnings.
  for (const warning of loaded.warnings) log("info", warning);

  const opened = openStore({ file: paths.database, chain: ledgerChain, clock, random });
  const retention = createRetention({
    store: opened,
    clock,
    log,
    keeps: keepsConversations,
    media: later.media,
  });
  const store = retention.watching(opened);
  const fenceKey = await keptFenceKey(store, random);
  log("info", "record head", { seq: store.ledger.head().seq, head: store.ledger.head().hash });

  let sessions = sessionSettings(config());
  function keepsConversations(): boolean {
    return sessions.retention === "keep";
  }
  const running: Running = { isReady: false, port: network.port };

  return {
    ...{ options, clock, random, env, paths, live, config, runSecret, instance, helpers },
    ...{ edge, lock, logging, log, redact: logging.redact, logFile: logging.file },
    ...{ shown, retention, store, commit: store.commit, fenceKey, keepsConversations, running },
    authSettings: () => auth,
    pairingSettings: () => pairing,
    network: () => network,
    sessionSettings: () => sessions,
    /** Puts the settings of a changed config in force. Tells who of those that were signed in stays so. */
    takeConfigOver() {
      auth = authSettings(config(), env, runSecret);
      pairing = pairingSettings(config());
      const staysSignedIn = edge.apply();
      network = readNetwork();
      running.listener?.apply(network);
      sessions = sessionSettings(config());
      return staysSignedIn;
    },
  };
}

/** What serve.ts changes and others read. */
interface Running {
  /** True while it takes connections: from the first listening until it begins to stop. */
  isReady: boolean;
  /** The one that was asked for, until it listens. */
  port: number;
  listener?: Listener;
}

async function openConfig({ paths, env, ...options }: ServeOptions, log: () => Log) {
  const { clock, random, overrides } = options;
  const followReference = createSecretReferences({ env, uid: options.uid, after: clock.after });
  const loaded = await loadConfig({ file: paths.configFile, env, followReference });
  if (!loaded.ok) {
    const lines = loaded.problems.map((item) => configProblemText(item, dirname(paths.configFile)));
    throw new InputError(`the configuration is not valid; nothing was started\n${lines.join("\n")}`);
  }
  prepareStateFolder(paths);
  const file = paths.configFile;
  const live = createLiveConfig({
    file,
    env,
    followReference,
    initial: loaded,
    overrides,
    clock,
    random,
    log,
  });
  return { loaded, live };
}

/** By which what outsiders wrote is marked; the same for as long as the state folder lives. */
async function keptFenceKey({ meta, commit }: Store, random: Random): Promise<string> {
  const kept = meta.get("fenceKey");
  if (kept !== undefined) return kept;
  const fenceKey = token(random);
  await commit([meta.put("fenceKey", fenceKey)]);
  return fenceKey;
}
