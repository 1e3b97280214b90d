type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

/** Colours where a person looks on; plain text in a pipe, with NO_COLOR (no-color.org) and on a dumb terminal. */
export function styleOf(cli: {
  readonly isTTY: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Style {
  const plain = !cli.isTTY || (cli.env.NO_COLOR ?? "") !== "" || cli.env.TERM === "dumb";
  const paint =
    (on: number, off: number): Paint =>
    (text) =>
      plain || text === "" ? text : `\x1b[${on}m${text}\x1b[${off}m`;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}
