/** On which channels each attack of a sender or a platform can be tried, and which channels a test file is about. */
export const carriers = [
  "telegram",
  "discord",
  "slack",
  "signal",
  "imessage",
  "whatsapp",
  "email",
  "github",
  "irc",
] as const;

export type Carrier = (typeof carriers)[number];

/** These run on every channel. */
const suites = ["test/contracts/channel.ts", "test/contracts/channel-attacks.ts"];

/** These drive the whole gateway over one channel. */
const whole: Readonly<Record<string, Carrier>> = {
  "test/attacks/guests.test.ts": "telegram",
  "test/attacks/events.test.ts": "telegram",
  "test/path/access.test.ts": "telegram",
  "test/path/media.test.ts": "telegram",
  "test/path/telegram.test.ts": "telegram",
};

/** The channels on which the tests of a file run. */
export function carriersOf(file: string): readonly Carrier[] {
  if (suites.includes(file)) return carriers;
  const named = /^(?:src\/channels\/|test\/contracts\/)([a-z]+)/.exec(file)?.[1];
  return carriers.filter((carrier) => carrier === named || carrier === whole[file]);
}

export interface Reach {
  readonly id: string;
  /** Empty: it does not come over a channel. */
  readonly on: readonly Carrier[];
  /** Why not on the others; empty where it is on all. */
  readonly why: string;
}

/** id | channels | why not on the others */
const table = `
A-055 | all |
A-056 | all |
A-057 | slack signal imessage email github irc | the ids of the others are digits
A-058 | signal imessage whatsapp | the others have no telephone numbers
A-059 | all |
A-061 | all |
A-062 | all |
A-063 | all |
A-064 | signal imessage whatsapp email | the others have neither numbers nor addresses
A-066 | all |
A-067 | all |
A-068 | telegram discord slack | the others have no buttons
A-069 | telegram discord slack signal imessage whatsapp irc | e-mail and GitHub have one kind of conversation
A-070 | telegram discord slack signal imessage whatsapp github irc | an e-mail is always meant for who gets it
A-071 | telegram discord slack signal imessage whatsapp github | an e-mail's and IRC's quotations are the sender's own text
A-072 | telegram discord slack | each adapter hands in a reference, which the turn of an admitted message fetches
A-074 | none | the rules of a group are those of the chat that a message came from; nobody names another one
A-075 | none | the queue is the gateway's, behind every channel
A-076 | none | no tool reads a channel
A-077 | all |
A-078 | slack | the others have no consents, and one workspace
A-079 | all |
A-080 | all |
A-082 | all |
A-083 | none | it is a control client's
A-084 | all |
A-085 | none | there are no skills that dispatch
A-086 | all |
A-087 | none | there are no subagents
A-088 | all |
A-171 | telegram | it is Telegram's own; the next row has the other webhooks
A-172 | slack github | the others post nothing to us, or are in the row above
A-174 | none | Discord comes over a socket that we open
A-175 | none | there are no such channels
A-176 | none | there are no such channels
A-177 | none | there is no such channel
A-179 | none | there are no bridges
A-180 | all |
A-181 | all |
A-245 | none | a hook is no channel
A-247 | all |
A-248 | none | it comes over HTTP
A-249 | all |
`;

export const reaches: readonly Reach[] = table
  .trim()
  .split("\n")
  .map((line) => {
    const [id = "", on = "", why = ""] = line.split("|").map((cell) => cell.trim());
    return {
      id,
      on: on === "all" ? carriers : carriers.filter((carrier) => on.split(" ").includes(carrier)),
      why,
    };
  });
