/** Tests that show an attack without naming its id. */
export interface Coverage {
  readonly id: string;
  readonly file: string;
  readonly title: string;
}

const table: Readonly<Record<string, readonly (readonly [id: string, title: string])[]>> = {};

export const coverage: readonly Coverage[] = Object.entries(table).flatMap(([file, rows]) =>
  rows.map(([id, title]) => ({ id, file, title })),
);
