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
    ["A-164", "sandbox (5): each redirect is judged like a first URL"],
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
};

export const coverage: readonly Coverage[] = Object.entries(table).flatMap(([file, rows]) =>
  rows.flatMap(([ids, title]) => ids.split(" ").map((id) => ({ id, file, title }))),
);
