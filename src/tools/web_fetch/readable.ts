import { setImmediate } from "node:timers/promises";
import type { Parser } from "htmlparser2";
import { type HiddenNames, hasBackground, isHidden, readStyleSheet } from "./hidden.ts";
import { MarkdownWriter } from "./markdown-writer.ts";

export interface Readable {
  readonly text: string;
  /** At most 256 characters; undefined when the page has none. */
  readonly title: string | undefined;
  /** There was more text than `maxChars`. */
  readonly truncated: boolean;
  /** Text was left out that a reader would not see. */
  readonly hasHidden: boolean;
}

const maxTitleChars = 256;
/** Less in the page's main part than this: it is a shell around something else, and the whole page is taken. */
const minMainChars = 200;
/** Parsed between two turns of the event loop; takes a few milliseconds. */
const sliceChars = 32_768;

/** No page nests like this; each level more would slow down every tag, so the reading ends here. */
const maxDepth = 2000;
const maxSheetChars = 200_000;

/** What holds nothing to read, or nothing of this page. */
const dropped: ReadonlySet<string> = new Set(
  (
    "script style noscript template svg math iframe object embed canvas audio video map nav footer aside menu dialog " +
    "button select option textarea input datalist head"
  ).split(" "),
);
const blocks: ReadonlySet<string> = new Set(
  "p div section article main header figure figcaption address details summary fieldset form table dl body".split(
    " ",
  ),
);
const inlineMarks: Readonly<Record<string, string>> = {
  strong: "**",
  b: "**",
  em: "_",
  i: "_",
  del: "~~",
  s: "~~",
};

interface Frame {
  readonly name: string;
  readonly isDropped: boolean;
  readonly isHidden: boolean;
  readonly hasBackground: boolean;
  readonly isMain: boolean;
  /** What to do at its end. */
  readonly end: ((writer: MarkdownWriter) => void) | undefined;
}

/**
 * The readable text of an HTML page: without scripts, styles, navigation, comments, and what a reader would not see
 * (hidden elements are where text for machines is put). The main part alone when the page marks one.
 * One pass in time linear in the page, in slices that leave the event loop free.
 */
export async function readableText(
  html: string,
  options: { readonly mode: "markdown" | "text"; readonly baseUrl: string; readonly maxChars: number },
): Promise<Readable> {
  const { Parser: HtmlParser } = await import("htmlparser2");
  const page = new PageReader(options);
  const parser: Parser = new HtmlParser(page, { decodeEntities: true, lowerCaseTags: true });
  for (let at = 0; at < html.length && !page.isTooDeep; at += sliceChars) {
    parser.write(html.slice(at, at + sliceChars));
    await setImmediate();
  }
  if (!page.isTooDeep) parser.end();
  return page.result();
}

class PageReader {
  readonly #markdown: boolean;
  readonly #baseUrl: string;
  readonly #whole: MarkdownWriter;
  readonly #main: MarkdownWriter;
  readonly #frames: Frame[] = [];
  isTooDeep = false;
  #droppedDepth = 0;
  #hiddenDepth = 0;
  #backgrounds = 0;
  /** A page with style sheets may stand on any colour. */
  #hasStyleSheets = false;
  #sheet: string | undefined;
  #hasHidden = false;
  readonly #hiddenNames: HiddenNames = { classes: new Set(), ids: new Set(), shown: new Set() };
  #mainDepth = 0;
  #preDepth = 0;
  #title = "";
  #inTitle = false;
  readonly #lists: { readonly ordered: boolean; count: number }[] = [];
  readonly #rows: { cells: number; rows: number }[] = [];

  constructor(options: {
    readonly mode: "markdown" | "text";
    readonly baseUrl: string;
    readonly maxChars: number;
  }) {
    this.#markdown = options.mode === "markdown";
    this.#baseUrl = options.baseUrl;
    this.#whole = new MarkdownWriter(options.maxChars);
    this.#main = new MarkdownWriter(options.maxChars);
  }

  result(): Readable {
    const writer = this.#main.length >= minMainChars || this.#whole.length === 0 ? this.#main : this.#whole;
    const title = this.#title.replace(/\s+/g, " ").trim().slice(0, maxTitleChars);
    return {
      text: writer.toString(),
      title: title === "" ? undefined : title,
      truncated: writer.isFull || this.isTooDeep,
      hasHidden: this.#hasHidden,
    };
  }

  onopentag(name: string, attributes: Readonly<Record<string, string>>): void {
    if (this.#frames.length >= maxDepth) this.isTooDeep = true;
    if (this.isTooDeep) return;
    if (name === "title" && this.#title === "" && !this.#frames.some((frame) => frame.name === "svg"))
      this.#inTitle = true;
    if (name === "style" && !/print|speech/i.test(attributes.media ?? "")) this.#sheet = "";
    if (name === "style" || (name === "link" && /stylesheet/i.test(attributes.rel ?? "")))
      this.#hasStyleSheets = true;
    const onWhite = this.#backgrounds === 0 && !this.#hasStyleSheets && !hasBackground(attributes);
    const isUnseen = isHidden(attributes, { names: this.#hiddenNames, onWhite });
    const isDropped = dropped.has(name) || isUnseen;
    if (isUnseen) this.#hiddenDepth += 1;
    if (hasBackground(attributes)) this.#backgrounds += 1;
    const isMain = !isDropped && (name === "main" || name === "article" || attributes.role === "main");
    if (isDropped) this.#droppedDepth += 1;
    if (isMain) this.#mainDepth += 1;
    const end = this.#droppedDepth > 0 ? undefined : this.#begin(name, attributes);
    this.#frames.push({
      ...{ name, isDropped, isMain, end },
      isHidden: isUnseen,
      hasBackground: hasBackground(attributes),
    });
  }

  onclosetag(name: string): void {
    if (this.isTooDeep) return;
    if (name === "title") this.#inTitle = false;
    if (name === "style" && this.#sheet !== undefined) {
      readStyleSheet(this.#sheet, this.#hiddenNames);
      this.#sheet = undefined;
    }
    const frame = this.#frames.pop();
    if (!frame) return;
    if (frame.end) this.#each(frame.end);
    if (frame.isDropped) this.#droppedDepth -= 1;
    if (frame.isHidden) this.#hiddenDepth -= 1;
    if (frame.hasBackground) this.#backgrounds -= 1;
    if (frame.isMain) this.#mainDepth -= 1;
  }

  ontext(data: string): void {
    if (this.isTooDeep) return;
    if (this.#inTitle && this.#title.length < 4 * maxTitleChars) this.#title += data;
    if (this.#sheet !== undefined && this.#sheet.length < maxSheetChars) this.#sheet += data;
    if (this.#hiddenDepth > 0 && this.#hiddenDepth === this.#droppedDepth && data.trim() !== "")
      this.#hasHidden = true;
    if (this.#droppedDepth > 0 || this.#inTitle) return;
    this.#each((writer) => (this.#preDepth > 0 ? writer.preformatted(data) : writer.text(data)));
  }

  /** Writes to the whole page, and to its main part when inside it. */
  #each(act: (writer: MarkdownWriter) => void): void {
    act(this.#whole);
    if (this.#mainDepth > 0) act(this.#main);
  }

  /** What an element writes before its content; gives what it writes after. */
  #begin(name: string, attributes: Readonly<Record<string, string>>): Frame["end"] {
    const blank = (writer: MarkdownWriter) => writer.break(2);
    const heading = /^h([1-6])$/.exec(name)?.[1];
    if (heading !== undefined) {
      this.#each((writer) => {
        writer.break(2);
        if (this.#markdown) writer.open(`${"#".repeat(Number(heading))} `);
      });
      return (writer) => {
        if (this.#markdown) writer.close("");
        writer.break(2);
      };
    }
    const mark = this.#markdown && Object.hasOwn(inlineMarks, name) ? inlineMarks[name] : undefined;
    if (mark !== undefined) return this.#inline(mark, mark);
    switch (name) {
      case "br":
        this.#each((writer) => writer.break(1));
        return undefined;
      case "hr":
        this.#each((writer) => {
          writer.break(2);
          if (this.#markdown) writer.raw("---");
        });
        return blank;
      case "a":
        return this.#link(attributes.href);
      case "code":
        return this.#markdown && this.#preDepth === 0 ? this.#inline("`", "`") : undefined;
      case "pre":
        return this.#pre();
      case "blockquote":
        this.#each((writer) => writer.quote(1));
        return (writer) => writer.quote(-1);
      case "ul":
      case "ol":
        return this.#list(name === "ol");
      case "li":
        this.#item();
        return (writer) => writer.break(1);
      case "tr":
        return this.#row();
      case "td":
      case "th":
        this.#cell();
        return undefined;
      case "dt":
      case "dd":
        this.#each((writer) => writer.break(1));
        return (writer) => writer.break(1);
      default:
        if (name === "table") this.#rows.push({ cells: 0, rows: 0 });
        if (!blocks.has(name)) return undefined;
        this.#each(blank);
        return blank;
    }
  }

  #inline(open: string, close: string): Frame["end"] {
    this.#each((writer) => writer.open(open));
    return (writer) => writer.close(close);
  }

  #link(href: string | undefined): Frame["end"] {
    const target = href === undefined ? null : URL.parse(href, this.#baseUrl);
    // A link inside the page, or to something that no tool here opens, is only its text.
    if (!this.#markdown || !target || !/^https?:$/.test(target.protocol) || href?.startsWith("#"))
      return undefined;
    const shown = target.href.replace(/[()]/g, (char) => (char === "(" ? "%28" : "%29"));
    return this.#inline("[", `](${shown.slice(0, 2000)})`);
  }

  #pre(): Frame["end"] {
    this.#preDepth += 1;
    this.#each((writer) => {
      writer.break(2);
      if (this.#markdown) {
        writer.raw("```");
        writer.break(1);
      }
    });
    let left = 0;
    return (writer) => {
      // Called once for each writer; the depth falls once.
      left += 1;
      if (left === 1) this.#preDepth -= 1;
      if (this.#markdown) {
        writer.break(1);
        writer.raw("```");
      }
      writer.break(2);
    };
  }

  #list(ordered: boolean): Frame["end"] {
    this.#lists.push({ ordered, count: 0 });
    const isInner = this.#lists.length > 1;
    this.#each((writer) => {
      writer.break(isInner ? 1 : 2);
      writer.indent(1);
    });
    let left = 0;
    return (writer) => {
      left += 1;
      if (left === 1) this.#lists.pop();
      writer.indent(-1);
      writer.break(isInner ? 1 : 2);
    };
  }

  #item(): void {
    const list = this.#lists.at(-1);
    if (list) list.count += 1;
    this.#each((writer) => writer.item(list?.ordered ? `${list.count}. ` : "- "));
  }

  #row(): Frame["end"] {
    const table = this.#rows.at(-1) ?? { cells: 0, rows: 0 };
    table.cells = 0;
    table.rows += 1;
    this.#each((writer) => writer.break(1));
    const isFirst = table.rows === 1;
    return (writer) => {
      if (this.#markdown && table.cells > 0) {
        writer.raw(" |");
        if (isFirst) {
          writer.break(1);
          writer.raw(`|${" --- |".repeat(Math.min(table.cells, 50))}`);
        }
      }
      writer.break(1);
    };
  }

  #cell(): void {
    const table = this.#rows.at(-1);
    const isFirst = (table?.cells ?? 0) === 0;
    if (table) table.cells += 1;
    this.#each((writer) => {
      if (this.#markdown) writer.raw(isFirst ? "| " : " | ");
      else if (!isFirst) writer.raw("  ");
    });
  }
}
