/** Text and its styles, each as "start:length:STYLE" in UTF-16 units (as signal-cli takes them). */
export interface Styled {
  readonly text: string;
  readonly styles: readonly string[];
}

const inline =
  /(?<code>`+)(?<verbatim>[^`\n]+)\k<code>|(?<both>\*\*|__|~~|\|\|)(?<wide>[^\n]+?)\k<both>|(?<![\w*])(?<thin>[*_])(?<narrow>[^\s*_](?:[^*_\n]*[^\s*_])?)\k<thin>(?!\w)/u;

const styleOf: Readonly<Record<string, string>> = {
  "**": "BOLD",
  __: "BOLD",
  "~~": "STRIKETHROUGH",
  "||": "SPOILER",
  "*": "ITALIC",
  _: "ITALIC",
};

/** The Markdown that models write, without its marks. What is none of them stays as it is. */
export function styledText(markdown: string): Styled {
  const styles: string[] = [];
  let text = "";
  const add = (piece: string, style?: string) => {
    if (style !== undefined && piece !== "") styles.push(`${text.length}:${piece.length}:${style}`);
    text += piece;
  };
  const addInline = (piece: string): void => {
    let rest = piece;
    for (let found = inline.exec(rest); found?.groups; found = inline.exec(rest)) {
      const { verbatim, both, wide, thin, narrow } = found.groups;
      add(rest.slice(0, found.index));
      const from = text.length;
      if (verbatim === undefined) addInline(wide ?? narrow ?? "");
      else add(verbatim);
      const style = verbatim === undefined ? styleOf[both ?? thin ?? ""] : "MONOSPACE";
      styles.push(`${from}:${text.length - from}:${style}`);
      rest = rest.slice(found.index + found[0].length);
    }
    add(rest);
  };
  const parts = markdown.split(/^ {0,3}```[^\n`]*\n([\s\S]*?)\n? {0,3}```[ \t]*$/m);
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) {
      add(part, "MONOSPACE");
      continue;
    }
    for (const [at, line] of part.split("\n").entries()) {
      if (at > 0) add("\n");
      const heading = /^ {0,3}#{1,6} +(.+)$/.exec(line)?.[1];
      const from = text.length;
      addInline(heading ?? line);
      if (heading !== undefined) styles.push(`${from}:${text.length - from}:BOLD`);
    }
  }
  return { text, styles };
}
