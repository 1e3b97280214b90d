/** A gateway whose model makes the calls that a test names: the way on which a hijacked model attacks. */
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

export type ToolCall = readonly [tool: string, args: unknown];

/** No answer may call more tools than this at once. */
const batchSize = 100;

export async function toolScene(
  t: TestContext,
  config: Readonly<Record<string, unknown>> = {},
  env: Readonly<Record<string, string>> = {},
) {
  let waiting: readonly ToolCall[] = [];
  let results: string[] = [];
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      const ids = waiting.map(([tool], index) => `${tool.replace(/\W/g, "_")}_${index}`);
      const answered = (body.messages as { role: string; content: unknown }[]).filter(
        ({ role }) => role === "tool",
      );
      if (waiting.length > 0 && body.messages.at(-1).role !== "tool")
        return waiting.map(([name, args], index) => ({
          call: { name, arguments: JSON.stringify(args), id: `${ids[index]}_${randomUUID().slice(0, 8)}` },
        }));
      results = answered.slice(-waiting.length).map(({ content }) => JSON.stringify(content));
      return [{ text: "done" }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: { ...modelConfig(model.url), ...config }, env });
  const client = await gateway.connect();
  const workspace = join(gateway.stateFolder, "workspace");
  const outside = join(gateway.folder, "out");
  mkdirSync(workspace, { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "THE SECRET\n");

  /** What the model read of each of these calls, as JSON text, in order. */
  async function callAll(calls: readonly ToolCall[]): Promise<readonly string[]> {
    const all: string[] = [];
    for (let from = 0; from < calls.length; from += batchSize) {
      waiting = calls.slice(from, from + batchSize);
      const end = await client.say("go", `agent:main:${randomUUID()}`);
      if (end.state !== "final" || results.length !== waiting.length)
        throw new Error(`${waiting.length} calls ended ${JSON.stringify(end).slice(0, 500)}`);
      all.push(...results);
    }
    waiting = [];
    return all;
  }
  return { gateway, client, model, workspace, outside, callAll };
}
