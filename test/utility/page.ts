/** docs/utility.md: what everyday tasks cost in approvals, from the outcomes that the tests hold. */
import { developerTasks } from "./developer-tasks.ts";
import { officeTasks } from "./office-tasks.ts";
import type { Place } from "./scene.ts";
import type { Outcome, Task } from "./task.ts";

export const tasks: readonly Task[] = [...developerTasks, ...officeTasks];

export interface Count {
  readonly withoutAsking: number;
  readonly withOneApproval: number;
  readonly withMore: number;
  readonly notAtAll: number;
}

export function countOf(outcomes: readonly Outcome[]): Count {
  const times = (fits: (outcome: Outcome) => boolean) => outcomes.filter(fits).length;
  return {
    withoutAsking: times((outcome) => outcome === 0),
    withOneApproval: times((outcome) => outcome === 1),
    withMore: times((outcome) => typeof outcome === "number" && outcome > 1),
    notAtAll: times((outcome) => typeof outcome === "string"),
  };
}

export function expected(place: Place): readonly Outcome[] {
  return tasks.map((task) => task[place]);
}

/** True for the same number, and for the same refusal whatever is said about it. */
export function isAs(found: Outcome, wanted: Outcome): boolean {
  return typeof wanted === "string" ? wanted.split(":", 1)[0] === found : wanted === found;
}

export function page(): string {
  const [host, sandbox] = [countOf(expected("host")), countOf(expected("sandbox"))];
  const row = (what: string, key: keyof Count) => `| ${what} | ${host[key]} | ${sandbox[key]} |`;
  return `# What everyday tasks cost

${tasks.length} tasks of a developer's and an office worker's assistant, done through the whole gateway with the config that a first
run writes: a scripted model makes the calls that a model makes for them, every question is answered with "once", and
what the task was to bring about is looked for afterwards. "Host" is the main conversation. "Sandbox" is any other one,
in bubblewrap, after its agent was let in for good (one approval). Printed by \`npm run utility\`; a test holds every row.

| | host | sandbox |
|---|---|---|
${row("ran without asking", "withoutAsking")}
${row("with one approval", "withOneApproval")}
${row("with more", "withMore")}
${row("not at all", "notAtAll")}

The operator has added two things to the first run's config: a model, and the address of one web site
(\`tools.web.fetch.ssrfPolicy.allowedHostnames\`). Each call of \`exec\` that is not safe by itself asks, so a task costs as
many approvals as it has such calls; a model that puts them into one line (\`a && b\`) is asked once. What is allowed for
good ([commands](commands-safety.md)) asks no more.

| task | calls | host | sandbox |
|---|---|---|---|
${tasks.map(taskRow).join("\n")}
`;
}

function taskRow(task: Task): string {
  const calls = task.calls("http://site").map(([tool, args]) => callText(tool, args));
  const cells = [task.name, calls.join("<br>"), ...[task.host, task.sandbox].map(outcomeText)];
  return `| ${cells.join(" | ")} |`;
}

function callText(tool: string, args: Readonly<Record<string, unknown>>): string {
  const { command, action, path, url } = args;
  const what = [command, action, path, url].find((value) => typeof value === "string");
  const text = tool === "exec" ? String(command) : what === undefined ? tool : `${tool} ${what}`;
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function outcomeText(outcome: Outcome): string {
  if (typeof outcome === "string") return outcome;
  return outcome === 0 ? "runs" : outcome === 1 ? "asks once" : `asks ${outcome} times`;
}
