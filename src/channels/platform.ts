import type { IdRule } from "../access/mod.ts";
import type { Channel, PollLimits } from "../delivery/channel.ts";
import type { Clock, Log, Problem, Random } from "../kernel/mod.ts";

/**
 * One platform as the configuration sees it. A platform's folder exports one from its `settings.ts`, which must load
 * nothing else of weight: the platform's library comes with the first {@link PlatformAccount.open}.
 */
export interface Platform {
  /** The name under `channels`. */
  readonly id: string;
  /** As people write it: "Telegram". */
  readonly label: string;
  /** How it writes its ids. */
  readonly ids: IdRule;
  /** What its polls can be; absent where it has none that we can send. */
  readonly polls?: PollLimits;
  /**
   * Reads `channels.<id>`; an absent block gives no accounts, whatever the environment holds. What does not fit is a
   * problem, and an account with one that matters is not among the accounts.
   */
  read(section: unknown, sources: SettingsSources): PlatformSettings;
  /**
   * The other ids under which one account's own state knows whoever has this id. Absent where nobody has two. Rejects
   * when that state is there and cannot be read.
   */
  otherIds?(stateFolder: string, id: string): Promise<readonly string[]>;
  /** How a person sets it up; absent: its page in docs/channels says it. */
  readonly setup?: PlatformSetup;
}

/** What `openclaw channels add` says and asks. */
export interface PlatformSetup {
  /** What to do on the platform before, one sentence each. */
  readonly before: readonly string[];
  readonly questions: readonly SetupQuestion[];
  /** What the operator has to add to us first, because it is not ours to bring along. */
  readonly library?: SetupLibrary;
  /** What to do once it runs. */
  readonly after: readonly string[];
}

/** A library with all that it needs, each package named by version and checksum; it goes into a folder of its own. */
export interface SetupLibrary {
  /** With its version. */
  readonly name: string;
  /** What the operator takes on with it. */
  readonly terms: string;
  /** `extensions`: the folder of what operators added. */
  isInstalled(extensions: string): Promise<boolean>;
  /** By name, what npm installs from: package.json and package-lock.json. */
  files(): Promise<Readonly<Record<string, string>>>;
}

export interface SetupQuestion {
  /** The key of the account's settings that the answer goes into; "imap.host" is a key within a key. */
  readonly key: string;
  readonly question: string;
  /** What is typed is not shown. */
  readonly isSecret?: boolean;
  /** An empty answer leaves the key out. */
  readonly isOptional?: boolean;
  /** Several values, with commas between them. */
  readonly isList?: boolean;
}

/** What a platform said when it was asked whether it knows these credentials. */
export type Probe =
  /** `identity`: the account's own name there. */
  | { readonly outcome: "known"; readonly identity: string }
  /** It does not take them; or it could not be asked now. `detail` says why and what to do, without a secret. */
  | { readonly outcome: "refused" | "unreachable"; readonly detail: string };

export interface SettingsSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The first line of a small regular file; throws an InputError that names the file and never its content. */
  readonly readSecretFile: (path: string) => string;
  /** The channels of Discord servers whose viewers a list may name. */
  readonly audiences?: readonly { readonly guildId: string; readonly channelId: string }[];
}

export interface PlatformSettings {
  readonly accounts: readonly PlatformAccount[];
  /** Paths start at `channels.<id>`; messages follow "must". Never a secret. */
  readonly problems: readonly Problem[];
}

/** One account that is enabled and complete. */
export interface PlatformAccount {
  readonly account: string;
  /** In clear, for the redactor. */
  readonly secrets: readonly string[];
  /** Changes when the account must be opened again, and not with who may talk; secrets are looked at beside it. */
  readonly fingerprint: string;
  /** Asks the platform who we are, without taking or sending anything. Absent where it cannot be asked so. */
  probe?(clock: Clock): Promise<Probe>;
  /** Loads the platform's code; nothing is connected before start(). */
  open(deps: OpenDeps): Promise<Channel>;
}

export interface ChannelDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where this account keeps what it must not lose (700, made when first used): keys of a linked device, a cursor. */
  readonly stateFolder: string;
}

/** What a platform's folder gets; a channel that starts no program asks for {@link ChannelDeps} alone. */
export interface PlatformDeps extends ChannelDeps {
  readonly programs: ChannelPrograms;
}

/** What every platform is opened with. */
export interface OpenDeps extends PlatformDeps {
  /** The folder of what operators added: see {@link SetupLibrary}. */
  readonly extensions: string;
}

/** Starts the program that speaks a platform's protocol: one that the operator named, without the gateway's environment. */
export interface ChannelPrograms {
  /** Rejects with an InputError when there is no such program. `onOutput` gets what it prints, as it comes. */
  talk(program: string, args: readonly string[], onOutput: (text: string) => void): Promise<TalkingProgram>;
}

export interface TalkingProgram {
  /** Writes to its input; false once it does not read any more. */
  write(text: string): boolean;
  /** Never rejects; `stderr` is cut to its last 2,000 characters. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** Asks it to end; whoever does not is ended. */
  stop(): void;
}

export type { IdRule };
