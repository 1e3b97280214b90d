/** Joins two characters so that nothing is seen between them, and GitHub reads no mark there. */
const joiner = "\u2060";

const fenceLine = /^(`{3,}|~{3,})([^`\n]*)$/;

/**
 * A text of ours as a comment. Outside of fenced code nobody is called (`@name`), nothing reads as the order to close an
 * issue ("fixes #1"), no other repository is referred to (`owner/repo#1`), no HTML is begun, and no picture is fetched:
 * an invisible character takes each mark its meaning. Code stays as it is only where its fences stand at the beginning
 * of lines and cannot be read in another way; in any other text, code is treated like the rest.
 */
export function commentText(text: string): string {
  if (!hasPlainFences(text)) return withoutMarks(text);
  let fence: string | undefined;
  let prose: string[] = [];
  const lines: string[] = [];
  const flush = () => {
    if (prose.length > 0) lines.push(withoutMarks(prose.join("\n")));
    prose = [];
  };
  for (const line of text.split("\n")) {
    if (fence === undefined) {
      fence = fenceLine.exec(line)?.[1];
      if (fence === undefined) prose.push(line);
      else {
        flush();
        lines.push(line);
      }
    } else {
      lines.push(line);
      if (closes(line, fence)) fence = undefined;
    }
  }
  flush();
  return lines.join("\n");
}

/** Every run of three and more is a fence at the beginning of its line, with nothing before it that would hide it. */
function hasPlainFences(text: string): boolean {
  return text.split("\n").every((line) => !/`{3}|~{3}/.test(line) || /^(?:`{3,}|~{3,})[\w+#.-]*$/.test(line));
}

function closes(line: string, fence: string): boolean {
  return line.startsWith(fence) && line.split("").every((mark) => mark === fence[0]);
}

function withoutMarks(text: string): string {
  return (
    text
      .replace(/@(?=\w)/g, `@${joiner}`)
      .replace(/<(?=[A-Za-z/!?])/g, `<${joiner}`)
      .replace(/!(?=\[)/g, `!${joiner}`)
      // The documented keywords; before a number, another repository's, or an address.
      .replace(
        /\b([cfr])(?=(?:lose[sd]?|ix(?:es|ed)?|esolve[sd]?)\b[\s:*_`[(]{0,200}(?:#|gh-|https?:|[\w.-]{1,100}\/[\w.-]{1,100}#))/gi,
        `$1${joiner}`,
      )
      .replace(/(?<=[\w.-])#(?=\d)/g, `#${joiner}`)
      // Entities are read after marks were looked for: what they spell is no mark any more.
      .replace(/&(?=#|commat|lt|excl|num\b)/gi, `&${joiner}`)
  );
}

/** What people see of a text that somebody wrote: comments of HTML are shown to nobody. */
export function visibleText(text: string): string {
  return text.replace(/<!--[\s\S]*?(?:-->|$)/g, "").trim();
}

/** The text without quoted lines and code: GitHub calls nobody from there. */
export function withoutAsides(text: string): string {
  const lines: string[] = [];
  let fence: string | undefined;
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence) && line.trim() === mark) fence = undefined;
    } else if (mark !== undefined) fence = mark;
    else if (!/^ {0,3}>/.test(line)) lines.push(line);
  }
  return withoutSpans(lines.join("\n")).trim();
}

/** Code in a line begins and ends with runs of equally many backticks. One pass, whatever the text. */
function withoutSpans(text: string): string {
  const runs = [...text.matchAll(/`+/g)].map(({ index, 0: { length } }) => ({ index, length }));
  const next: (number | undefined)[] = [];
  const later = new Map<number, number>();
  for (let at = runs.length - 1; at >= 0; at--) {
    const { length } = runs[at] as (typeof runs)[number];
    next[at] = later.get(length);
    later.set(length, at);
  }
  let kept = "";
  let from = 0;
  for (let at = 0; at < runs.length; at++) {
    const end = next[at];
    const begin = runs[at];
    const close = end === undefined ? undefined : runs[end];
    if (end === undefined || !begin || !close) continue;
    kept += `${text.slice(from, begin.index)} `;
    from = close.index + close.length;
    at = end;
  }
  return kept + text.slice(from);
}

/** The logins that a text calls, in lower case; those of Apps with "[bot]" where it is written. */
export function mentionsIn(text: string): readonly string[] {
  const found = text.matchAll(/(?<![\w@/.`-])@([A-Za-z0-9][A-Za-z0-9_-]{0,63}(?:\[bot\])?)(?![\w/-])/g);
  return [...found].map((match) => (match[1] ?? "").toLowerCase());
}
