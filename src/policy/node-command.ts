import { type Refusal, refuse } from "../kernel/mod.ts";
import type { ExecSettings } from "./settings.ts";

/** What a node said of a command when it prepared it. It can only make the decision stricter, or name its own rules. */
export interface NodeCommandFacts {
  readonly nodeId: string;
  /** For people; names decide nothing. */
  readonly nodeName: string;
  /** The program's real path on the node. */
  readonly program: string | null;
  /** Of the folder, the program and the scripts as they are on the node now. */
  readonly fingerprint: string;
  readonly policy: {
    readonly security: "deny" | "allowlist" | "full";
    readonly ask: "off" | "on-miss" | "always";
  };
  /** One of the node's standing rules covers exactly this. */
  readonly listed: boolean;
  readonly canRemember: boolean;
}

/** Neither yes nor no: an operator must say. */
export interface NodeQuestion {
  readonly why: string;
  readonly allowedDecisions: readonly ("allow-once" | "allow-always" | "deny")[];
}

/**
 * May this command run on that node? The gateway's settings and the node's rules are both asked, and the stricter
 * answer counts. Standing rules for a node are kept on the node: one of the gateway's own covers nothing there.
 */
export function judgeNodeCommand(
  command: string,
  exec: Pick<ExecSettings, "mode" | "asksAlways">,
  facts: NodeCommandFacts,
): "allow" | NodeQuestion | Refusal {
  const { policy, listed, nodeName } = facts;
  if (exec.mode === "deny") return refuse("policy.exec_denied", command);
  if (policy.security === "deny")
    return refuse("policy.exec_denied", `the rules of the node ${nodeName} allow no command`);
  const nodeAsks = policy.ask === "always" || (policy.security === "allowlist" && !listed);
  if (nodeAsks && policy.ask === "off")
    return refuse("policy.exec_not_allowlisted", `it is not on the allowlist of the node ${nodeName}`);
  if (exec.mode === "allowlist" && !listed)
    return refuse("policy.exec_not_allowlisted", `no standing rule of the node ${nodeName} covers it`);
  const asks = exec.mode === "ask" || exec.mode === "auto";
  const gatewayAsks = exec.asksAlways === true || (asks && !listed);
  if (!nodeAsks && !gatewayAsks) return "allow";
  return {
    why: `It runs on the node ${nodeName}, not on the gateway; no standing rule there covers it.`,
    allowedDecisions: facts.canRemember ? ["allow-once", "allow-always", "deny"] : ["allow-once", "deny"],
  };
}

/** Where a command is to run, of what the call asks for and the config fixes. */
export function commandPlace(
  asked: { readonly host?: string; readonly node?: string },
  exec: Pick<ExecSettings, "host" | "node">,
):
  | { readonly on: "gateway" }
  | { readonly on: "node"; readonly node: string | undefined }
  | { readonly problem: string } {
  const { host = "auto" } = exec;
  const wanted = asked.host === undefined || asked.host === "auto" ? undefined : asked.host;
  // What the config fixes, no call can change: a page that the model read must not choose the machine.
  if (host !== "auto" && wanted !== undefined && wanted !== host)
    return { problem: `Commands run on host ${JSON.stringify(host)} here. Leave host out.` };
  if ((wanted ?? host) !== "node") return { on: "gateway" };
  if (exec.node !== undefined && asked.node !== undefined && asked.node !== exec.node)
    return { problem: `Commands run on the node ${JSON.stringify(exec.node)} here. Leave node out.` };
  return { on: "node", node: exec.node ?? asked.node };
}
