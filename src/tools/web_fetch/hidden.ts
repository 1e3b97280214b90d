/**
 * What a reader of a page does not see, as far as the page itself says: its style attributes, and the plain rules of
 * its own style sheets. Text for machines is put there (attack A-210).
 */

const maxSheetChars = 200_000;
/** Nobody reads what is smaller, or fainter. */
const maxHiddenPx = 1;
const maxHiddenOpacity = 0.05;
/** Beyond the edge of any screen. */
const offScreenPx = 500;

type Declarations = ReadonlyMap<string, string>;

/** Names of classes and elements that a page's style sheets hide. */
export interface HiddenNames {
  readonly classes: Set<string>;
  readonly ids: Set<string>;
  /** Shown again somewhere, as the open one of several tabs: whether it is hidden is not known. */
  readonly shown: Set<string>;
}

export interface HiddenContext {
  readonly names: HiddenNames;
  /** Nothing says what stands behind the text: then it is the white of the browser. */
  readonly onWhite: boolean;
}

export function isHidden(attributes: Readonly<Record<string, string>>, context: HiddenContext): boolean {
  if (attributes.hidden !== undefined || attributes["aria-hidden"]?.toLowerCase() === "true") return true;
  const classes = (attributes.class ?? "").split(/\s+/).filter((name) => name !== "");
  if (classes.some((name) => /^(?:sr-only|visually-hidden|screen-reader-text|visuallyhidden)$/i.test(name)))
    return true;
  const { names } = context;
  if (classes.some((name) => names.classes.has(name) && !names.shown.has(name))) return true;
  if (attributes.id !== undefined && names.ids.has(attributes.id)) return true;
  const style = declarationsOf(attributes.style ?? "");
  if (style.size === 0 && attributes.color === undefined) return false;
  return (
    isTakenAway(style) ||
    numberOf(style.get("opacity")) <= maxHiddenOpacity ||
    isInvisibleColor(style, attributes.color, context.onWhite)
  );
}

/** True when the element says what is behind its text. */
export function hasBackground(attributes: Readonly<Record<string, string>>): boolean {
  return attributes.bgcolor !== undefined || /background/i.test(attributes.style ?? "");
}

/** Adds what a style sheet hides. Only rules for one class or one id are read, and none for other media than a screen. */
export function readStyleSheet(css: string, names: HiddenNames): void {
  const text = css.slice(0, maxSheetChars).replace(/\/\*[\s\S]*?\*\//g, " ");
  const skipTo = (from: number) => {
    let depth = 0;
    for (let at = from; at < text.length; at += 1) {
      if (text[at] === "{") depth += 1;
      if (text[at] === "}" && --depth <= 0) return at + 1;
    }
    return text.length;
  };
  for (let at = 0; at < text.length; ) {
    const open = text.indexOf("{", at);
    if (open < 0) return;
    const prelude = text.slice(at, open).replace(/[};]/g, " ").trim();
    if (/^@(?:media\s+(?:all|screen)\s*$|layer|supports)/i.test(prelude)) {
      at = open + 1;
      continue;
    }
    const end = skipTo(open);
    if (!prelude.startsWith("@")) readRule(prelude, text.slice(open + 1, end - 1), names);
    at = end;
  }
}

function readRule(selectors: string, body: string, names: HiddenNames): void {
  const style = declarationsOf(body);
  const display = style.get("display");
  if ((display !== undefined && display !== "none") || style.get("visibility") === "visible")
    for (const [, name] of selectors.matchAll(/\.([\w-]+)/g)) names.shown.add(name as string);
  // Pages that fade in begin with opacity 0: of style sheets that says nothing.
  if (!isTakenAway(style)) return;
  for (const selector of selectors.split(",")) {
    const [, mark, name = ""] = /^\s*[a-z0-9]*([.#])([\w-]+)\s*$/i.exec(selector) ?? [];
    if (mark === ".") names.classes.add(name);
    else if (mark === "#") names.ids.add(name);
  }
}

function isTakenAway(style: Declarations): boolean {
  const is = (name: string, pattern: RegExp) => pattern.test(style.get(name) ?? "");
  if (
    is("display", /^none/) ||
    is("visibility", /^(?:hidden|collapse)/) ||
    is("content-visibility", /^hidden/)
  )
    return true;
  if (numberOf(style.get("font-size")) <= maxHiddenPx && !is("font-size", /^1(?:em|rem)$/)) return true;
  const noRoom = ["width", "height", "max-width", "max-height"].some(
    (name) => numberOf(style.get(name)) <= maxHiddenPx,
  );
  if (noRoom && is("overflow", /^(?:hidden|clip)/)) return true;
  if (
    is("clip", /^rect\((?:[01](?:px)?[,\s]*){4}\)/) ||
    is("clip-path", /^(?:inset\((?:[5-9]\d|100)%|circle\(0|polygon\(00)/)
  )
    return true;
  if (
    is("transform", /scale(?:3d|[xy])?\(0(?:\.0*)?[,)]/) ||
    is("transform", /translate(?:3d|[xy])?\((?:[^)]*,)?-\d{3,}/)
  )
    return true;
  const isPlaced = is("position", /^(?:absolute|fixed)/);
  const places = [
    "text-indent",
    "margin-left",
    "margin-top",
    ...(isPlaced ? ["left", "top", "right", "bottom"] : []),
  ];
  return places.some((name) => Number.parseFloat(style.get(name) ?? "0") <= -offScreenPx);
}

function isInvisibleColor(style: Declarations, attribute: string | undefined, onWhite: boolean): boolean {
  const color = plainColor(style.get("color") ?? attribute?.toLowerCase().replace(/\s+/g, ""));
  if (color === undefined) return false;
  if (
    color === "transparent" ||
    /^(?:rgb|hsl)a?\(.*[,/]0(?:\.0*)?%?\)$/.test(color) ||
    /^#(?:[0-9a-f]{3}0|[0-9a-f]{6}00)$/.test(color)
  )
    return true;
  const behind = style.get("background-color") ?? style.get("background");
  return behind === undefined ? onWhite && color === "white" : plainColor(behind) === color;
}

/** One word for the commonest colours, in whatever way they are written. */
function plainColor(color: string | undefined): string | undefined {
  if (color === undefined) return undefined;
  if (/^(?:white|#fff|#ffffff|rgba?\(255,255,255(?:,1)?\))$/.test(color)) return "white";
  return /^(?:black|#000|#000000|rgba?\(0,0,0(?:,1)?\))$/.test(color) ? "black" : color;
}

/** Lower case, without blanks and "!important". The last of several counts. */
function declarationsOf(style: string): Declarations {
  const found = new Map<string, string>();
  if (!style.includes(":")) return found;
  for (const part of style.toLowerCase().split(";")) {
    const colon = part.indexOf(":");
    if (colon < 0) continue;
    const value = part
      .slice(colon + 1)
      .replace(/\s+/g, "")
      .replace(/!important$/, "");
    found.set(part.slice(0, colon).trim(), value);
  }
  return found;
}

/** Not a number in one of these units: NaN, which is not smaller than anything. */
function numberOf(value: string | undefined): number {
  const digits = value === undefined ? undefined : /^(\d*\.?\d+)(?:px|pt|em|rem|%)?$/.exec(value)?.[1];
  return digits === undefined ? Number.NaN : Number(digits);
}
