/**
 * The Markdown that models write, as Discord shows it. Discord reads nearly the same; what differs is changed, and
 * Discord's own marks are made text: nothing in an answer calls a person, a role or a channel, or offers a command
 * (`<@1>`, `<#1>`, `</wipe:1>`), and no link hides where it leads behind the text of another.
 */
export function discordText(markdown: string): string {
  let fence: string | undefined;
  const lines = markdown.split("\n").map((line) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      const closes = mark?.startsWith(fence) && line.trim() === mark;
      if (!closes) return line.replaceAll("```", "`\u200b``");
      fence = undefined;
      return "```";
    }
    if (mark) {
      fence = mark;
      const language = /^[`~]+\s*([A-Za-z0-9+#-]{1,30})\s*$/.exec(line.trim())?.[1] ?? "";
      return `\`\`\`${language}`;
    }
    return outsideCode(line, plainLine);
  });
  if (fence !== undefined) lines.push("```");
  return lines.join("\n");
}

/** A mention, a channel, a command, an emoji of a server, a time, a page of a server, escaped or not. */
const live = /\\*<(?=@[!&]?\d|#\d|\/[^<>]{1,100}:\d|a?:\w+:\d|t:-?\d|id:\w)/g;

/** Applies `change` to what stands outside of inline code. */
function outsideCode(line: string, change: (text: string) => string): string {
  return line
    .split(/(``[^`]+``|`[^`]+`)/)
    .map((part, index) => (index % 2 === 1 ? part : change(part)))
    .join("");
}

function plainLine(text: string): string {
  return (
    text
      .replace(/^ {0,3}#{4,6} +(.+)$/, "**$1**")
      // "-# " makes small print, which can hide what a message says.
      .replace(/^-# /, "\\-# ")
      .replace(live, "\\<")
      .replace(/!?\[([^\][]*)\]\((https?:\/\/[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)/gi, link)
  );
}

/** A label that itself looks like an address would promise one place and lead to another. */
function link(_whole: string, label: string, url: string): string {
  const isHonest = label.trim() !== "" && !/:\/\/|\bwww\.|[a-z0-9-]\.[a-z]{2,}/i.test(label);
  if (isHonest) return `[${label}](${url})`;
  return label.trim() === "" || label === url ? url : `${label} (${url})`;
}
