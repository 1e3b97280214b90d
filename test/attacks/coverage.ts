/** Tests that show an attack without naming its id. */
export interface Coverage {
  readonly id: string;
  readonly file: string;
  readonly title: string;
}

const table: Readonly<Record<string, readonly (readonly [ids: string, title: string])[]>> = {
  "src/policy/approvals.test.ts": [
    ["A-118", "policy (3): a question that nobody answers expires, and can no longer be answered"],
    ["A-118", "an expiry that could not be written still ends the wait, as a no"],
  ],
  "src/policy/decide.test.ts": [
    ["A-122", "typing into a running program is judged like a command that is on no list"],
    ["A-118", "policy (3): only a literal allow permits"],
  ],
  "src/cli/visible.test.ts": [
    ["A-119 A-236", "cli (5): a line hides nothing: breaks and characters without width show as codes"],
    ["A-119 A-236", "cli (5): no text becomes a control character or reorders a line, and a line stays one"],
  ],
  "src/sandbox/helper-program.test.ts": [
    [
      "A-123",
      "sandbox (4): a helper gets its arguments as they are, and nothing of the gateway's environment",
    ],
  ],
  "src/sandbox/commands.test.ts": [
    ["A-122", "commands are limited per session, seen by their session only, and forgotten oldest first"],
    ["A-127", "sandbox (4): a command inherits nothing from the gateway"],
    ["A-191", "sandbox (6): a flood of output is bounded and counted"],
  ],
  "src/sandbox/workspace.test.ts": [
    ["A-146", "sandbox (2): a file that becomes a link, or another file, between check and use is refused"],
    ["A-146", "sandbox (2): a folder that is swapped after it was opened leads nowhere else"],
    ["A-146", "sandbox (2): a thread that swaps a folder for a link all the time gains nothing"],
    ["A-146", "sandbox (2): a file that a redirection opens is the one that was looked at, or none"],
  ],
  "src/sandbox/web.test.ts": [
    ["A-158 A-159", "sandbox (5): private addresses are refused in every spelling, before anything connects"],
    ["A-163", "sandbox (5): a name with one private address among its answers is refused"],
    [
      "A-163",
      "sandbox (5): a name that answers public first and 127.0.0.1 next is not asked twice in one hop",
    ],
    ["A-164 B-07", "sandbox (5): each redirect is judged like a first URL"],
    [
      "A-164",
      "sandbox (5): headers of the caller stay with its own origin, and framing headers are never the caller's",
    ],
    ["A-187", "sandbox (6): an endless body, and one that breaks off, come to an end"],
    ["A-187", "sandbox (6): compressed data that decodes to nothing is bounded too"],
  ],
  "src/config/load.test.ts": [
    [
      "A-157",
      "config (2): an include cannot leave the config's folder, by path or by link, unless a root allows it",
    ],
    ["A-157", "includes that are missing, circular, too deep, too large or misnamed are errors"],
    ["A-229", "config (3): an unset variable is not accepted as the gateway's secret"],
  ],
  "src/config/watch.test.ts": [
    ["A-229", "config (7): an invalid edit is reported once and the running config stays"],
  ],
  "test/architecture/house.test.ts": [["A-167", "house: $" + "{rule.name} ($" + "{rule.why})"]],
  "test/path/second-wave.test.ts": [
    [
      "A-153",
      "control (wire): the files that an agent reads are read and written by name, and nothing else is",
    ],
  ],
  "test/path/queue.test.ts": [
    ["A-075", "session (7): nobody's words join another person's turn"],
    ["A-075", "collect: all that wait become one turn, up to the next command; a kill in between loses none"],
  ],
  "test/path/access.test.ts": [
    ["A-190", "a sender who floods is held back and told so a few times; others are answered meanwhile"],
    [
      "B-11",
      "a group is reached by those who are listed and call the agent, by mention, reply or name; a topic has rules of its own",
    ],
    [
      "B-11",
      "access (11): a command is refused to whom nobody named, in a sentence and without a turn; a stranger hears nothing",
    ],
  ],
  "test/path/page.test.ts": [
    ["A-022", "network (2)(3): another site's page, a rebound name and an unknown proxy reach nothing"],
    [
      "A-157",
      "network (5): paths lead nowhere but to the page's own files; bodies are bounded; probes tell nothing",
    ],
  ],
  "test/path/http-api.test.ts": [
    ["A-245 A-253", "http-api (6, 8): a hook's caller chooses neither session, agent, rights nor target"],
    ["A-248", "http-api (6): an owner may name a session and a model; one setting takes the session away"],
    ["A-244", "http-api (6, 8): a hook's caller chooses neither session, agent, rights nor target"],
  ],
  "test/path/tokens.test.ts": [
    ["A-248", "tokens: limits hold for methods, agents and rights, whatever the parameters are called"],
    ["A-248", "tokens: over HTTP the same token does the same, and no more"],
  ],
  "src/channels/imessage/settings.test.ts": [
    [
      "A-057 A-058",
      "channels (5): a sender is a number or an address, and nothing that only looks like one (attack A-064)",
    ],
  ],
  "src/channels/signal/settings.test.ts": [
    [
      "A-057 A-058",
      "channels (5): a sender is a number or an account's id, and nothing that only looks like one (attack A-064)",
    ],
    ["A-181", "two accounts of one number are told, and named ones have numbers of their own"],
  ],
  "src/channels/whatsapp/inbound.test.ts": [
    [
      "A-058",
      "channels (5): only the account itself is the account, however its device is named (attack A-064)",
    ],
    [
      "A-069",
      "whatsapp: reactions, edits, polls, status, our own and nobody's are no messages (attack A-067)",
    ],
    [
      "A-071",
      "whatsapp: mentions, replies, forwards, wrapped messages and files are told as WhatsApp tells them",
    ],
  ],
  "test/contracts/email-wire.test.ts": [
    ["A-067", "email (2): vacation notes, lists, bounces and our own mail are never handed in, and marked"],
  ],
  "src/channels/github/inbound.test.ts": [
    ["A-067", "github (3): edits, deletions and other changes of a post are no messages"],
    ["A-070", "a mention is one that GitHub would make: not in code, quotations, addresses or longer names"],
    [
      "A-071",
      "channels (5): a comment carries the writer's number, place and time; what it is about is a quotation",
    ],
  ],
  "src/channels/signal/inbound.test.ts": [
    ["A-069 A-070 A-071", "signal: groups, mentions, quotes and files are told as Signal tells them"],
  ],
  "src/channels/imessage/inbound.test.ts": [
    ["A-069 A-070 A-071", "imessage: groups, replies and files are told as Messages tells them"],
  ],
  "src/channels/irc/inbound.test.ts": [
    [
      "A-069",
      "the conversation is the channel as configured, or the sender; a message to its operators is a thread",
    ],
  ],
  "src/channels/discord/inbound.test.ts": [
    ["A-070", "a mention is one that Discord marks and that was said to us; a reply is a reply"],
    ["A-071", "discord (2): forwarded words are quoted, whatever they say (attack A-080)"],
  ],
  "src/channels/slack/inbound.test.ts": [
    ["A-070", "a mention is Slack's own mark, outside of quotations and code"],
    ["A-071", "words of others that are shared are quoted, whatever they say (attack A-080)"],
  ],
  "src/session/session.test.ts": [
    ["A-247", "no id of a platform makes its way into another conversation's key"],
  ],
  "test/path/media.test.ts": [["A-072", "media: a stranger's file is never fetched"]],
  "src/config/redact.test.ts": [
    ["A-194", "config (4): no secret survives redaction, wherever the format keeps one"],
    ["A-195", "what was redacted comes back from what is stored, by path and by id"],
  ],
  "src/log/log.test.ts": [
    [
      "A-197",
      "log (1): registered secrets and patterns reach neither file nor terminal, whatever field they came in",
    ],
  ],
  "src/agent/fence.test.ts": [
    ["A-204", "no text closes or opens a fence, whatever it is made of"],
    ["A-206", "control tokens of models lose their brackets, whatever bars they have"],
    ["A-208", "an origin is one line, and cannot say more than where it came from"],
  ],
  "ui/test/page.test.ts": [
    ["A-203", "trades the ticket for a session and takes it out of the address bar"],
    ["B-01", "trades the ticket for a session and takes it out of the address bar"],
    ["B-01", "shows why a ticket is refused and takes the token instead"],
  ],
  "test/path/flood.test.ts": [
    [
      "B-02",
      "auth (5): a thousand wrong secrets at once wait; who came in does not, and the owner still can (A-240)",
    ],
  ],
  "test/attacks/files.test.ts": [
    ["B-05", "sandbox (1): names that only look like a way out are read and written (A-143, control)"],
  ],
  "test/attacks/addresses.test.ts": [
    [
      "B-07 B-08",
      "policy (5): a host that an operator listed is reached on its port, and its redirects are judged like any address (A-164, control)",
    ],
  ],
  "test/path/telegram.test.ts": [
    [
      "B-09",
      "webhook: the secret opens the door, a kill loses nothing, a repeated delivery is answered once",
    ],
  ],
  "test/path/methods.test.ts": [
    [
      "B-14",
      "control (wire): the whole config is replaced only by who read the newest, and secrets survive it",
    ],
  ],
  "test/utility/utility.test.ts": [
    [
      "B-15",
      "utility: with the first run's config everyday tasks run as docs/utility.md says, and their results are there",
    ],
  ],
};

export const coverage: readonly Coverage[] = Object.entries(table).flatMap(([file, rows]) =>
  rows.flatMap(([ids, title]) => ids.split(" ").map((id) => ({ id, file, title }))),
);
