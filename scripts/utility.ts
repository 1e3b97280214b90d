/**
 * npm run utility: does the everyday tasks of test/utility through a whole gateway, prints what each cost, and writes
 * docs/utility.md. Fails when one of them cost something else than its table says.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { countOf, isAs, page, tasks } from "../test/utility/page.ts";
import { hasSandbox, missing, openScene, type Place } from "../test/utility/scene.ts";
import type { Outcome } from "../test/utility/task.ts";

const ends: (() => Promise<void>)[] = [];
const table: Record<string, Outcome>[] = [];
const found: Record<Place, Outcome[]> = { host: [], sandbox: [] };
try {
  const scene = await openScene({ after: (end) => void ends.push(end) });
  for (const task of tasks) {
    const absent = missing(task);
    const row: Record<string, Outcome> = { task: task.name };
    for (const place of ["host", ...(hasSandbox ? ["sandbox" as const] : [])] as const) {
      if (absent.length > 0) row[place] = `(no ${absent.join(", ")} here)`;
      else {
        const outcome = await scene.run(task, place);
        row[place] = isAs(outcome, task[place]) ? task[place] : `${outcome}, not ${task[place]}`;
        found[place].push(outcome);
        if (!isAs(outcome, task[place])) process.exitCode = 1;
      }
    }
    table.push(row);
  }
} finally {
  for (const end of ends.reverse()) await end();
}
console.table(table);
console.table({ host: countOf(found.host), sandbox: countOf(found.sandbox) });
writeFileSync(join(import.meta.dirname, "../docs/utility.md"), page());
