/** The documented names that stand for several tools. Names of tools that do not exist here yet stand for nothing. */
const sessions =
  "sessions sessions_list sessions_history sessions_search sessions_send sessions_spawn sessions_yield " +
  "conversations_list conversations_send conversations_turn subagents session_status suggest_task dismiss_task";

const groups: Readonly<Record<string, readonly string[]>> = {
  "group:fs": words("read write edit apply_patch extract undo"),
  "group:runtime": words("exec process code_execution"),
  "group:sessions": words(sessions),
  "group:memory": words("memory_search memory_get"),
  "group:web": words("web_search x_search web_fetch"),
  "group:ui": words("browser screen theme dashboard terminal portal canvas show_widget"),
  "group:automation": words("heartbeat_respond cron automations gateway plugins openclaw"),
  "group:messaging": words("message"),
  "group:nodes": words("nodes computer"),
  "group:agents": words("agents_list get_goal create_goal update_goal progress_card ask_user skill_workshop"),
  "group:media": words("view_image image_generate music_generate video_generate tts pdf"),
};

/** Tools of the house but those that touch files, run commands or draw on the canvas. */
const ownTools = Object.entries(groups)
  .filter(([name]) => !/^group:(?:fs|runtime)$/.test(name))
  .flatMap(([, members]) => members)
  .filter((name) => !/^(?:canvas|message)$/.test(name));

const allGroups: ReadonlyMap<string, readonly string[]> = new Map([
  ...Object.entries(groups),
  ["group:openclaw", ownTools],
  // Tools of plugins and MCP servers bear their server's name.
  ["group:plugins", ["bundle-mcp", "*__*"]],
]);

/** Undefined: no filter. */
const profiles: ReadonlyMap<string, readonly string[] | undefined> = new Map([
  ["minimal", words("session_status")],
  [
    "messaging",
    words("group:messaging sessions sessions_* conversations_* subagents session_status ask_user"),
  ],
  [
    "coding",
    words(
      "group:fs group:runtime group:web group:sessions group:memory cron *_goal progress_card group:media",
    ),
  ],
  ["full", undefined],
]);

/** Other names of tools, of older versions. */
const aliases: ReadonlyMap<string, string> = new Map([["bash", "exec"]]);

/** What a turn that the owner did not write may never use, whatever the lists say. */
export const ownerOnlyTools = words("cron automations gateway nodes plugins openclaw");

export function profileTools(profile: string): readonly string[] | undefined {
  return profiles.get(profile);
}

/** The names that an entry of a list stands for, in lower case. */
export function namesOf(entry: string): readonly string[] {
  const lower = entry.trim().toLowerCase();
  return allGroups.get(lower) ?? [aliases.get(lower) ?? lower];
}

function words(text: string): readonly string[] {
  return text.split(" ");
}
