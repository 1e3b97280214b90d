import { visibleText, widthOf } from "./visible.ts";

/** Breaks streamed text into rows of a terminal, at spaces where it can. */
export interface TextFlow {
  /** Rows that are complete now. */
  push(delta: string): string[];
  /** The row that is still growing. */
  readonly rest: string;
  /** Ends the text: gives the last row, if there is one. */
  end(): string[];
}

/** `width` columns a row, at least 10. What comes out is harmless to a terminal. */
export function textFlow(width: number): TextFlow {
  const room = Math.max(10, width);
  let row = "";
  let half = "";

  function rowsOf(text: string): string[] {
    const done: string[] = [];
    for (const character of visibleText(text)) {
      if (character === "\n") {
        done.push(row);
        row = "";
        continue;
      }
      row += character;
      if (widthOf(row) <= room) continue;
      const at = row.lastIndexOf(" ");
      if (at > 0) {
        done.push(row.slice(0, at));
        row = row.slice(at + 1);
      } else {
        done.push(row.slice(0, -character.length));
        row = character;
      }
    }
    return done;
  }

  return {
    push(delta) {
      let text = half + delta;
      half = "";
      // A delta can end in the middle of a surrogate pair or of a line end: its other half comes next.
      if (/[\ud800-\udbff\r]$/.test(text)) {
        half = text.slice(-1);
        text = text.slice(0, -1);
      }
      return rowsOf(text);
    },
    get rest() {
      return row;
    },
    end() {
      // What is left of the text may need a row of its own.
      const done = rowsOf(half);
      const last = row;
      row = "";
      half = "";
      return last === "" ? done : [...done, last];
    },
  };
}
