/** A question with options that people vote on. Its texts are trimmed, and no two options are the same. */
export interface Poll {
  readonly question: string;
  readonly options: readonly string[];
  /** So many options one person may choose; absent: one. */
  readonly maxSelections?: number;
  /** So long it takes votes; absent: as long as the platform usually does. */
  readonly durationSeconds?: number;
  /** Whether it stays hidden who chose what; absent: as the platform usually does. */
  readonly isAnonymous?: boolean;
}

/** What a platform's polls can be. */
export interface PollLimits {
  /** UTF-16 units. */
  readonly questionChars: number;
  readonly optionChars: number;
  readonly maxOptions: number;
  /** True where any number of choices can be asked for; else a person may choose one, or as many as there are. */
  readonly countsSelections: boolean;
  /** How long one may take votes; absent: no poll there ends by itself. */
  readonly duration?: {
    readonly leastSeconds: number;
    readonly mostSeconds: number;
    readonly stepSeconds: number;
  };
  /** True where it can be hidden who chose what; else everybody sees it. */
  readonly hidesVoters: boolean;
}

const minOptions = 2;

/** Why the platform, as people call it, cannot have this poll, with the limit; undefined when it can. */
export function pollProblem(poll: Poll, limits: PollLimits, platform: string): string | undefined {
  const { question, options, maxSelections = 1, isAnonymous = false } = poll;
  const count = options.length;
  if (question === "" || options.includes("")) return "a poll's question and options must not be empty";
  if (question.length > limits.questionChars)
    return `${platform}: a poll's question has at most ${limits.questionChars} characters; this one has ${question.length}`;
  if (count < minOptions || count > limits.maxOptions)
    return `${platform}: a poll has ${minOptions} to ${limits.maxOptions} options; this one has ${count}`;
  const long = options.find((option) => option.length > limits.optionChars);
  if (long !== undefined)
    return `${platform}: a poll's option has at most ${limits.optionChars} characters; one has ${long.length}`;
  if (new Set(options).size < count) return "two options of the poll are the same";
  if (maxSelections > count) return `nobody can choose ${maxSelections} of ${count} options`;
  if (!limits.countsSelections && maxSelections > 1 && maxSelections < count)
    return `${platform}: people choose one option, or as many as they like; maxSelections must be 1 or ${count}`;
  if (isAnonymous && !limits.hidesVoters)
    return `${platform}: a poll there shows who chose what; it cannot be anonymous`;
  return durationProblem(poll.durationSeconds, limits, platform);
}

function durationProblem(
  seconds: number | undefined,
  { duration }: PollLimits,
  platform: string,
): string | undefined {
  if (seconds === undefined) return undefined;
  if (!duration) return `${platform}: a poll there does not end by itself; leave out how long it takes votes`;
  const { leastSeconds, mostSeconds, stepSeconds } = duration;
  if (seconds >= leastSeconds && seconds <= mostSeconds && seconds % stepSeconds === 0) return undefined;
  const range =
    stepSeconds === 1
      ? `${leastSeconds} to ${mostSeconds} seconds`
      : `${leastSeconds / stepSeconds} to ${mostSeconds / stepSeconds} whole hours`;
  return `${platform}: a poll takes votes for ${range}; this one asks for ${seconds} seconds`;
}

/** The poll in words: what is kept of it, and looked through, where a text is expected. */
export function pollText({ question, options }: Poll): string {
  return [question, ...options.map((option) => `- ${option}`)].join("\n");
}
