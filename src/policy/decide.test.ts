import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admitted, InputError, schema } from "../kernel/mod.ts";
import { readCommandLine } from "../shell/mod.ts";
import type { CommandRules } from "./command-rules.ts";
import { decide, type Effect, type PolicyContext, policySettings, settle, toolAllowed } from "./mod.ts";
import type { ExecSettings, PolicySettings } from "./settings.ts";
import { type ToolLists, toolLayer } from "./tool-policy.ts";

const exec: ExecSettings = { mode: "ask", safeBins: ["date", "echo", "ls", "cat"], approvalLifetimeMs: 1 };
const settings: PolicySettings = { layers: [], exec, workspaceRoot: "/w" };
const lists = (more: ToolLists) => ({ layers: [toolLayer("tools", more)] });

const network: PolicyContext["ssrf"] = {
  dangerouslyAllowPrivateNetwork: false,
  allowedHostnames: [],
  blockedHostnames: [],
  allowRfc2544BenchmarkRange: false,
  allowIpv6UniqueLocalRange: false,
};

const command = (text: string, more: Partial<Extract<Effect, { kind: "command" }>> = {}): Effect => ({
  kind: "command",
  command: text,
  workdir: ".",
  env: {},
  background: false,
  ...more,
});

function context(effects: readonly Effect[], change: Partial<PolicySettings> = {}): PolicyContext {
  return {
    settings: { ...settings, ...change },
    tool: {
      spec: {
        name: "tool",
        description: "",
        parameters: schema.object({ x: schema.optional(schema.integer()) }),
      },
      plan: () => effects,
    },
    commands: {
      read: readCommandLine,
      identify: (path) => ({ path, realPath: path, device: "1", inode: "1" }),
      allowsProgram: () => false,
      isAllowed: (agentId, argv, workdir) =>
        agentId === "main" && argv.join(" ") === "git pull" && workdir === ".",
      isSystem: () => true,
      resolve: (program) => (program.startsWith("missing") ? undefined : `/usr/bin/${program}`),
      environmentProblem: (env) => (env.LD_PRELOAD === undefined ? undefined : "LD_PRELOAD may not be set"),
    },
    ssrf: network,
  };
}

const request = (more = {}) => ({
  id: "c",
  tool: "tool",
  arguments: {},
  agentId: "main",
  sessionKey: "agent:main:main",
  runId: "r",
  ...more,
});

function outcome(effects: readonly Effect[], change: Partial<PolicySettings> = {}, more = {}): string {
  const decision = decide(request(more), context(effects, change));
  if (decision.ok === "ask") return `ask ${decision.question.approval.allowedDecisions.join(",")}`;
  return admitted(decision) ? "permit" : decision.reason;
}

test("policy (1): what the agent is told before each turn is changed by nobody but its owner, by no tool and no redirection (A-213)", () => {
  const guest = { instructionFiles: ["AGENTS.md", "MEMORY.md"] };
  for (const path of ["AGENTS.md", "./AGENTS.md", "/w/AGENTS.md", "agents.MD", "sub//../MEMORY.md"])
    for (const kind of ["file.write", "file.delete"] as const) {
      assert.equal(outcome([{ kind, path }], guest), "policy.instructions_kept", path);
      assert.equal(outcome([{ kind, path }]), "permit", path);
    }
  for (const line of ["echo x > AGENTS.md", "echo x >> ./MEMORY.md", "cd sub && echo x > /w/AGENTS.md"]) {
    assert.equal(outcome([command(line)], guest), "policy.instructions_kept", line);
    assert.equal(outcome([command(line)]), "permit", line);
  }
  for (const path of ["notes.md", "sub/AGENTS.md", "AGENTS.md.txt"])
    assert.equal(outcome([{ kind: "file.write", path }], guest), "permit", path);
  assert.equal(outcome([{ kind: "file.read", path: "AGENTS.md" }], guest), "permit");
  assert.equal(outcome([command("echo < AGENTS.md")], guest), "permit");
});

const mode = (value: ExecSettings["mode"]) => ({ exec: { ...exec, mode: value } });

const outcomes: readonly (readonly [name: string, outcome: string, expected: string])[] = [
  ["no effect", outcome([]), "permit"],
  [
    "files",
    outcome([
      { kind: "file.read", path: "a" },
      { kind: "file.write", path: "a" },
      { kind: "file.delete", path: "a" },
    ]),
    "permit",
  ],
  ["looking at a running command", outcome([{ kind: "process", action: "poll" }]), "permit"],
  ["policy (1): an effect that no rule knows", outcome([{ kind: "launch" } as never]), "policy.tool_denied"],
  [
    "policy (1): a known and an unknown effect",
    outcome([{ kind: "file.read", path: "a" }, { kind: "launch" } as never]),
    "policy.tool_denied",
  ],
  ["arguments of a wrong shape", outcome([], {}, { arguments: { x: "1" } }), "policy.arguments_invalid"],
  ["arguments that are text", outcome([], {}, { arguments: "{broken" }), "policy.arguments_invalid"],
  ["a private address", outcome([{ kind: "fetch", url: "http://127.0.0.1/" }]), "policy.url_refused"],
  ["a public address", outcome([{ kind: "fetch", url: "https://example.com/" }]), "permit"],
  ["exec off", outcome([command("echo hi")], mode("deny")), "policy.exec_denied"],
  ["exec full", outcome([command("rm -rf x; reboot")], mode("full")), "permit"],
  [
    "exec full does not open the loader",
    outcome([command("ls", { env: { LD_PRELOAD: "x" } })], mode("full")),
    "policy.arguments_invalid",
  ],
  ["a safe program", outcome([command("echo hi")]), "permit"],
  [
    "a safe program with an unsafe argument",
    outcome([command("date -s tomorrow")]),
    "ask allow-once,allow-always,deny",
  ],
  ["a safe program that looks elsewhere", outcome([command("ls /root")]), "ask allow-once,allow-always,deny"],
  [
    "a safe program in the background",
    outcome([command("echo hi", { background: true })]),
    "ask allow-once,allow-always,deny",
  ],
  [
    "a safe program with an environment",
    outcome([command("echo hi", { env: { X: "1" } })]),
    "ask allow-once,deny",
  ],
  ["policy (4): listed exactly", outcome([command("git pull")]), "permit"],
  ["policy (4): listed, with one word more", outcome([command("git pull origin")]), "ask allow-once,deny"],
  [
    "policy (4): listed in another folder",
    outcome([command("git pull", { workdir: "sub" })]),
    "ask allow-once,deny",
  ],
  [
    "policy (4): listed for another agent",
    outcome([command("git pull")], {}, { agentId: "other" }),
    "ask allow-once,deny",
  ],
  ["policy (4): an interpreter is never remembered", outcome([command("bash -c ls")]), "ask allow-once,deny"],
  ["policy (4): nor by its path", outcome([command("/usr/bin/python3.12 x.py")]), "ask allow-once,deny"],
  ["a shell's work is never remembered", outcome([command("echo hi | sh")]), "ask allow-once,deny"],
  [
    "a program that is not found is never remembered",
    outcome([command("missing-tool")]),
    "ask allow-once,deny",
  ],
  ["another program", outcome([command("touch x")]), "ask allow-once,allow-always,deny"],
  [
    "mode allowlist does not ask",
    outcome([command("touch x")], mode("allowlist")),
    "policy.exec_not_allowlisted",
  ],
  ["mode allowlist, listed", outcome([command("git pull")], mode("allowlist")), "permit"],
  ["two commands in one call", outcome([command("touch x"), command("touch y")]), "policy.tool_denied"],
  [
    "a refusal behind a question",
    outcome([command("touch x"), { kind: "fetch", url: "http://10.0.0.1/" }]),
    "policy.url_refused",
  ],
  ["denied", outcome([], lists({ deny: ["tool"] })), "policy.tool_denied"],
  [
    "policy (1): deny wins over allow",
    outcome([], lists({ allow: ["tool"], deny: ["t*"] })),
    "policy.tool_denied",
  ],
  ["not allowed", outcome([], lists({ allow: ["other"] })), "policy.tool_denied"],
];

test("what may happen, what asks, and what is refused", () => {
  for (const [name, got, expected] of outcomes) assert.equal(got, expected, name);
});

test("typing into a running program is judged like a command that is on no list", () => {
  const typing = {
    kind: "process",
    action: "write",
    processId: "1",
    input: "rm -rf /\n",
  } as unknown as Effect;
  assert.equal(outcome([typing]), "ask allow-once,deny");
  assert.equal(outcome([typing], mode("full")), "permit");
  assert.equal(outcome([typing], mode("deny")), "policy.exec_denied");
  assert.equal(outcome([typing], mode("allowlist")), "policy.exec_not_allowlisted");
});

test("typing into no program in particular asks too", () => {
  assert.equal(outcome([{ kind: "process", action: "write", input: "x" }]), "ask allow-once,deny");
});

test("policy (6), A-126: a variable within the line is refused as one of the call is", () => {
  assert.equal(outcome([command("LD_PRELOAD=x ls")]), "policy.arguments_invalid");
  assert.equal(outcome([command("LD_PRELOAD=x ls")], mode("full")), "policy.arguments_invalid");
});

test("a tool that is not there, or whose plan says no", () => {
  const unknown = decide(request(), { ...context([]), tool: undefined });
  assert.ok(!admitted(unknown as never));
  const failing = (error: Error): PolicyContext => ({
    ...context([]),
    tool: {
      spec: { name: "tool", description: "", parameters: schema.any() },
      plan: () => {
        throw error;
      },
    },
  });
  const said = decide(request(), failing(new InputError("no such path")));
  assert.ok(
    said.ok === false && said.reason === "policy.arguments_invalid" && said.detail === "no such path",
  );
  assert.throws(() => decide(request(), failing(new TypeError("a fault of ours"))), TypeError);
});

test("policy (2): a Permit names exactly what was judged, and is good for one execution", () => {
  const effects = [{ kind: "file.read", path: "a" } as const];
  const asked = request();
  const decision = decide(asked, context(effects));
  assert.ok(decision.ok === true);
  assert.equal(decision.value.request, asked);
  assert.deepEqual(decision.value.effects, effects);
  assert.equal(decision.value.spend(), true);
  assert.equal(decision.value.spend(), false);
});

test("policy (3): only a literal allow permits", () => {
  const decision = decide(request(), context([command("touch x", { workdir: "sub" })]));
  assert.ok(decision.ok === "ask");
  assert.equal(decision.question.approval.cwd, "/w/sub");
  for (const workdir of ["./sub/", "/w/sub"]) {
    const other = decide(request(), context([command("touch x", { workdir })]));
    assert.equal(other.ok === "ask" && other.question.approval.cwd, "/w/sub");
  }
  for (const yes of ["allow-once", "allow-always"]) assert.equal(settle(decision.question, yes).ok, true);
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constantFrom("allow", "ALLOW-ONCE", "allow-once ", "deny", "true")),
      (answer) => {
        const verdict = settle(decision.question, answer);
        assert.equal(verdict.ok, answer === "allow-once" || answer === "allow-always");
      },
    ),
  );
  const denied = settle(decision.question, "deny");
  const expired = settle(decision.question, undefined);
  assert.ok(denied.ok === false && denied.reason === "policy.approval_denied");
  assert.ok(expired.ok === false && expired.reason === "policy.approval_expired");
});

test("policy (1): each layer of the config only narrows, and globs mean what they say", () => {
  const read = (tools: unknown, agentTools: unknown = {}) =>
    policySettings({ tools, agents: { list: [{ id: "main", tools: agentTools }] } } as never, "main", "/w");
  const allowed = (tools: unknown, agentTools?: unknown) =>
    ["read", "write", "edit", "apply_patch", "exec", "process", "web_fetch"].filter((name) =>
      toolAllowed(name, read(tools, agentTools)),
    );
  assert.equal(allowed({}).length, 7);
  assert.deepEqual(allowed({ profile: "minimal" }), []);
  assert.deepEqual(allowed({ allow: ["group:fs"] }), ["read", "write", "edit", "apply_patch"]);
  assert.deepEqual(allowed({ allow: ["read", "exec"] }, { allow: ["exec", "write"] }), ["exec"]);
  assert.deepEqual(allowed({ allow: ["*"] }, { allow: ["w*"] }), ["write", "web_fetch"]);
  assert.deepEqual(allowed({ allow: ["w*"] }, { allow: ["*"] }), ["write", "web_fetch"]);
  assert.deepEqual(allowed({ deny: ["GROUP:RUNTIME"] }, { deny: ["Web_*", "group:fs"] }), []);
  assert.deepEqual(allowed({ profile: "minimal" }, { allow: ["exec"] }), []);
  assert.deepEqual(allowed({ allow: ["re.d", "e?it"] }), [], "only * is a glob");
});

test("exec settings: the older pair of keys, and an unset key never means anything goes", () => {
  const read = (tools: unknown) =>
    policySettings({ tools: { exec: tools } } as never, "main", "/w").exec.mode;
  const cases: readonly (readonly [unknown, ExecSettings["mode"]])[] = [
    [undefined, "ask"],
    [{}, "ask"],
    [{ mode: "deny" }, "deny"],
    [{ mode: "auto" }, "auto"],
    [{ mode: "full" }, "full"],
    [{ security: "deny", ask: "off" }, "deny"],
    [{ security: "full" }, "ask"],
    [{ security: "full", ask: "off" }, "full"],
    [{ security: "full", ask: "on-miss" }, "ask"],
    [{ security: "allowlist", ask: "off" }, "allowlist"],
    [{ security: "allowlist" }, "ask"],
    [{ ask: "off" }, "ask"],
  ];
  for (const [given, expected] of cases) assert.equal(read(given), expected, JSON.stringify(given));
});

test("why it asks is said in words", () => {
  const why = (text: string, more = {}) => {
    const decision = decide(request(), context([command(text, more)]));
    return decision.ok === "ask" ? decision.question.approval.warningText : "";
  };
  assert.match(why("for x in a; do b; done"), /It has a loop \("for"\), so a shell has to interpret it/);
  assert.match(why("missing-tool"), /was not found in the trusted folders/);
  assert.match(why("touch x"), /touch is not on this agent's allowlist/);
  assert.match(why("echo x", { env: { A: "1" } }), /sets environment variables/);
});

test('policy (9): ask "always" asks for what is listed and for safe programs too; a call may ask for that, never for less', () => {
  const always = { exec: { ...exec, asksAlways: true } };
  for (const text of ["git pull", "echo hi", "touch x"]) {
    assert.equal(outcome([command(text)], always), "ask allow-once,deny", text);
    assert.equal(outcome([command(text, { ask: "always" })]), "ask allow-once,deny", text);
  }
  assert.equal(
    outcome([command("echo hi")], { exec: { ...exec, mode: "full", asksAlways: true } }),
    "ask allow-once,deny",
  );
  assert.equal(
    outcome([command("touch x", { ask: "on-miss" })], mode("full")),
    "ask allow-once,allow-always,deny",
  );
  assert.equal(
    outcome([command("touch x", { ask: "always" })], mode("allowlist")),
    "policy.exec_not_allowlisted",
  );
  assert.equal(outcome([command("touch x", { ask: "on-miss" })], mode("deny")), "policy.exec_denied");
  const why = (text: string) => {
    const decision = decide(request(), context([command(text)], always));
    return decision.ok === "ask" ? decision.question.approval.warningText : "";
  };
  assert.match(why("echo hi"), /Each command asks here/);
  assert.match(why("touch x"), /touch is not on this agent's allowlist/);
});

test("policy (4): the rule that an allow-always would keep is shown with the question, and only where one may stand", () => {
  const standing = (text: string, more = {}) => {
    const decision = decide(request(), context([command(text, more)]));
    assert.ok(decision.ok === "ask");
    return decision.question.approval.standing;
  };
  const rule = standing("touch 'a b'", { workdir: "/w/sub/" });
  assert.deepEqual([rule?.commands, rule?.workdir], [[["touch", "a b"]], "sub"]);
  assert.match(rule?.text ?? "", /exactly this in sub of its workspace: touch 'a b'/);
  for (const text of ["python3 x.py", "git push", "nice touch x", "touch x && touch y", "touch $HOME"])
    assert.equal(standing(text), undefined, text);
  assert.equal(standing("touch x", { workdir: "/elsewhere" }), undefined, "a folder that no rule can name");
});

test("policy (6): what a line opens by itself is an effect like a file tool's, and needs that tool", () => {
  const effects = (text: string, change: Partial<PolicySettings> = {}) => {
    const decision = decide(request(), context([command(text)], change));
    assert.ok(decision.ok === true, text);
    return decision.value.effects.slice(1);
  };
  assert.deepEqual(effects("echo hi > a/../notes.txt".replace("a/../", "")), [
    { kind: "file.write", path: "notes.txt" },
  ]);
  assert.deepEqual(effects("cd sub && ls < in >> /w/out 2> /dev/null"), [
    { kind: "file.read", path: "sub/in" },
    { kind: "file.write", path: "out" },
  ]);
  const denied = (tool: string) => outcome([command("ls < in > out")], lists({ deny: [tool] }));
  assert.equal(denied("write"), "ask allow-once,deny");
  assert.equal(denied("read"), "ask allow-once,deny");
  assert.equal(denied("edit"), "permit");
});

test("policy (6): a permit carries the tree that was judged; what was not understood goes to a shell, and asks", () => {
  const run = (text: string, change: Partial<PolicySettings> = {}) => {
    const decision = decide(request(), context([command(text)], change));
    const effects =
      decision.ok === "ask" ? decision.question.effects : decision.ok ? decision.value.effects : [];
    const [effect] = effects;
    return effect?.kind === "command" ? effect.run?.kind : undefined;
  };
  assert.equal(run("echo hi | wc -l"), "tree");
  assert.equal(run("touch x"), "tree");
  assert.equal(run("echo $HOME"), "shell");
  assert.equal(run("echo $HOME", mode("full")), "shell");
  assert.equal(run("echo hi > /etc/x", mode("full")), "shell");
});

test("policy (7): the digest of a question changes with each fact that an answer is bound to", () => {
  const digest = (
    text: string,
    more: object = {},
    change: object = {},
    files: Partial<CommandRules> = {},
  ) => {
    const base = context([command(text, change)]);
    const decision = decide(request(more), { ...base, commands: { ...base.commands, ...files } });
    assert.ok(decision.ok === "ask");
    return decision.question.approval.binding;
  };
  const first = digest("touch x");
  assert.equal(digest("touch x"), first);
  const identity = { path: "/usr/bin/touch", realPath: "/usr/bin/touch", device: "1", inode: "2" };
  const others = [
    digest("touch y"),
    digest("touch  x"),
    digest("touch x", { agentId: "other" }),
    digest("touch x", { sessionKey: "agent:main:other" }),
    digest("touch x", { runId: "r2" }),
    digest("touch x", { id: "c2" }),
    digest("touch x", {}, { env: { A: "1" } }),
    digest("touch x", {}, { workdir: "sub" }),
    digest("touch x", {}, { background: true }),
    digest("touch x", {}, { elevated: true }),
    digest("touch x", {}, {}, { identify: () => identity }),
    digest("touch x", {}, {}, { identify: () => undefined }),
    digest("touch x", {}, {}, { resolve: () => "/opt/touch" }),
  ];
  assert.equal(new Set([first, ...others]).size, others.length + 1);
});
