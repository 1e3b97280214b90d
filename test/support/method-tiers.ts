/**
 * The methods of protocol v4 that basic clients need (core) and those of the second wave (next), with what each asks of
 * its caller: facts about the existing system, recorded by calling every method without scopes. "role node": only a
 * node may call it; "none": any operator.
 */
const recorded: Readonly<Record<string, Readonly<Partial<Record<"core" | "next", string>>>>> = {
  none: {
    core: `health`,
    next: `device.scopes.requestUpgrade device.scopes.waitUpgrade`,
  },
  "operator.read": {
    core: `status system-presence gateway.identity.get last-heartbeat logs.tail diagnostics.stability
    usage.cost config.get config.schema config.schema.lookup agents.list agent.identity.get models.list
    commands.list tools.catalog skills.status hooks.status sessions.list sessions.subscribe
    sessions.messages.subscribe sessions.messages.unsubscribe sessions.describe sessions.resolve
    sessions.preview chat.history node.list node.describe cron.status cron.list cron.get cron.runs
    tasks.list taskSuggestions.list audit.activity.list channels.status`,
    next: `system.info usage.status gateway.restart.preflight gateway.suspend.status agents.files.list
    agents.files.get models.authStatus tools.effective doctor.memory.status sessions.get sessions.usage
    sessions.groups.list sessions.search chat.startup chat.metadata chat.message.get tasks.get
    voicewake.get voicewake.routing.get users.self users.list`,
  },
  "operator.admin": {
    core: `system-event set-heartbeats config.set config.patch config.apply secrets.reload sessions.reset
    sessions.delete sessions.compact chat.inject exec.approvals.get exec.approvals.set
    exec.approvals.node.get exec.approvals.node.set cron.add cron.update cron.remove cron.run
    channels.start channels.stop channels.logout`,
    next: `gateway.restart.request gateway.suspend.prepare gateway.suspend.resume update.status agents.create
    agents.update agents.delete agents.files.set sessions.cleanup device.pair.setupCode
    device.pair.setupStatus cron.scratch.get cron.scratch.set`,
  },
  "operator.write": {
    core: `wake sessions.create sessions.send sessions.abort sessions.patch chat.send chat.abort agent
    agent.wait node.invoke send message.action`,
    next: `tools.invoke sessions.patchMany node.pending.enqueue tasks.cancel poll voicewake.set`,
  },
  "role node": {
    core: `skills.bins node.invoke.result node.event node.skills.update node.pluginTools.update
    node.runnerInventory.update`,
    next: `node.pending.pull node.pending.ack node.pending.drain node.invoke.progress`,
  },
  "operator.approvals": {
    core: `exec.approval.request exec.approval.waitDecision exec.approval.get exec.approval.list
    exec.approval.resolve exec.approval.grants.list approval.get approval.resolve plugin.approval.list
    openclaw.approval.list`,
    next: `exec.approval.grants.revoke approval.history plugin.approval.request plugin.approval.waitDecision
    plugin.approval.resolve`,
  },
  "operator.questions": {
    core: `question.list`,
    next: `question.request question.waitAnswer question.get question.resolve`,
  },
  "operator.pairing": {
    core: `device.pair.list device.pair.approve device.pair.reject device.pair.remove device.pair.rename
    device.token.rotate device.token.revoke node.rename node.pair.list node.pair.approve
    node.pair.reject node.pair.remove`,
    next: `channels.pairing.list channels.pairing.approve channels.pairing.dismiss`,
  },
};

export interface DocumentedMethod {
  readonly name: string;
  readonly tier: "core" | "next";
  readonly role: "operator" | "node" | "both";
  /** Undefined: no scope is asked for. */
  readonly scope: string | undefined;
}

export const documentedMethods: readonly DocumentedMethod[] = Object.entries(recorded).flatMap(
  ([scope, tiers]) =>
    Object.entries(tiers).flatMap(([tier, names]) =>
      names.split(/\s+/).map(
        (name): DocumentedMethod => ({
          name,
          tier: tier as "core" | "next",
          role: scope === "role node" ? "node" : name === "health" ? "both" : "operator",
          scope: scope.startsWith("operator.") ? scope : undefined,
        }),
      ),
    ),
);
