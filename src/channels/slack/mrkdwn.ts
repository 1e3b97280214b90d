/** Longer texts are sent without formatting: the work below stays bounded. */
const maxFormattedChars = 40_000;

/**
 * The Markdown that models write, as the mrkdwn that Slack takes. The three characters that begin Slack's own marks are
 * escaped before any mark is made, so nothing in a text calls anybody (`<!channel>`, `<@U1>`); only http and https
 * become links, and one whose label looks like another address shows both.
 */
export function slackText(markdown: string): string {
  if (markdown.length > maxFormattedChars) return escaped(markdown);
  let fence: string | undefined;
  const lines = markdown.split("\n").map((line) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      const closes = mark?.startsWith(fence) && line.trim() === mark;
      if (!closes) return escaped(line).replaceAll("```", "`\u200b``");
      fence = undefined;
      return "```";
    }
    if (mark) {
      fence = mark;
      return "```";
    }
    const heading = /^ {0,3}#{1,6} +(.+)$/.exec(line)?.[1];
    if (heading !== undefined) return `*${escaped(heading.replaceAll("*", ""))}*`;
    return outsideCode(line.replace(/^(\s*)[*+] +/, "$1• "));
  });
  if (fence !== undefined) lines.push("```");
  return lines.join("\n");
}

export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Inline code stays as it is; the text around it is formatted. */
function outsideCode(line: string): string {
  return line
    .split(/(``[^`]+``|`[^`]+`)/)
    .map((part, index) => (index % 2 === 1 ? `\`${escaped(part.replace(/^`+|`+$/g, ""))}\`` : links(part)))
    .join("");
}

const linked = /!?\[([^\][]*)\]\((https?:\/\/[^\s()<>|]+(?:\([^\s()<>|]*\)[^\s()<>|]*)*)\)/gi;

function links(text: string): string {
  let made = "";
  let at = 0;
  for (const match of text.matchAll(linked)) {
    made += emphasis(escaped(text.slice(at, match.index)));
    made += link(match[1] ?? "", match[2] ?? "");
    at = match.index + match[0].length;
  }
  return made + emphasis(escaped(text.slice(at)));
}

/** A label that itself looks like an address would promise one place and lead to another. */
function link(label: string, url: string): string {
  const address = escaped(url);
  if (label.trim() === "" || label === url) return `<${address}>`;
  const isHonest = !/:\/\/|\bwww\.|[a-z0-9-]\.[a-z]{2,}/i.test(label);
  const words = escaped(label).replaceAll("|", "/");
  return isHonest ? `<${address}|${words}>` : `${words} (<${address}>)`;
}

/** Slack's bold is one star, its italics an underscore, its strike one tilde. */
function emphasis(text: string): string {
  const bold = "\u0000";
  return text
    .replace(/\*\*(?=\S)([^*]*[^*\s])\*\*/g, `${bold}$1${bold}`)
    .replace(/(?<![\p{L}\p{N}_])__(?=\S)([^_]*[^_\s])__(?![\p{L}\p{N}_])/gu, `${bold}$1${bold}`)
    .replace(/(?<![\p{L}\p{N}*])\*(?=\S)([^*]*[^*\s])\*(?![\p{L}\p{N}*])/gu, "_$1_")
    .replace(/~~(?=\S)([^~]*[^~\s])~~/g, "~$1~")
    .replaceAll(bold, "*");
}

/** What a person sees of a text that Slack delivers; mentions of members stay as they are (`<@U1>`). */
export function plainText(mrkdwn: string): string {
  return mrkdwn
    .replace(/<([^<>]*)>/g, (whole, inside: string) => {
      const [target = "", label] = inside.split("|", 2);
      if (target.startsWith("@")) return `<${target}>`;
      if (target.startsWith("#")) return label ? `#${label}` : whole;
      if (target.startsWith("!")) return label || `@${target.slice(1).replace(/\^.*/, "")}`;
      return label && label !== target && !target.endsWith(label) ? `${label} (${target})` : target;
    })
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
