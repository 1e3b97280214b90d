import { edit, exec, read, type Task, write } from "./task.ts";

const calendar = `BEGIN:VCALENDAR
BEGIN:VEVENT
SUMMARY:Review
DTSTART:20261201T090000Z
END:VEVENT
END:VCALENDAR
`;
const csvToJson = `import csv, json
json.dump(list(csv.DictReader(open("people.csv"))), open("people.json", "w"))
`;
/** Halves a picture in the form that needs no library. */
const thumbnail = `head, data = open("photo.pgm", "rb").read().split(b"\\n255\\n")
wide, high = map(int, head.split()[1:3])
rows = [data[y * wide : (y + 1) * wide : 2] for y in range(0, high, 2)]
open("small.pgm", "wb").write(b"P5 %d %d\\n255\\n" % (wide // 2, high // 2) + b"".join(rows))
`;

/** What an office worker's assistant does all day. */
export const officeTasks: readonly Task[] = [
  {
    name: "CSV to JSON",
    files: { "people.csv": "name,city\nAda,London\n" },
    calls: () => [write("convert.py", csvToJson), exec("python3 convert.py")],
    isDone: ({ file }) => file("people.json") === '[{"name": "Ada", "city": "London"}]',
    needs: ["python3"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "minutes in Markdown as a web page",
    files: { "minutes.md": "# Minutes\n\n- agreed\n" },
    calls: () => [read("minutes.md"), write("minutes.html", "<h1>Minutes</h1><ul><li>agreed</li></ul>\n")],
    isDone: ({ said, file }) => said.includes("agreed") && file("minutes.html").includes("<li>agreed"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "make a picture smaller",
    files: { "photo.pgm": `P5 4 4\n255\n${"abcd".repeat(4)}`, "smaller.py": thumbnail },
    calls: () => [exec("python3 smaller.py")],
    isDone: ({ file }) => file("small.pgm") === "P5 2 2\n255\nacac",
    needs: ["python3"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "move an appointment in a calendar file",
    files: { "team.ics": calendar },
    calls: () => [read("team.ics"), edit("team.ics", "20261201T090000Z", "20261202T100000Z")],
    isDone: ({ file }) => file("team.ics").includes("DTSTART:20261202T100000Z"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "rename files by a pattern",
    files: { "one.jpeg": "1", "two.jpeg": "2" },
    calls: () => [exec('for f in *.jpeg; do mv "$f" "$(basename "$f" .jpeg).jpg"; done')],
    isDone: ({ file, has }) => file("one.jpg") === "1" && file("two.jpg") === "2" && !has("one.jpeg"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "how many words a report has",
    files: { "report.md": "five words are in here\n" },
    calls: () => [exec("wc -w report.md")],
    isDone: ({ said }) => said.includes("5 report.md"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "summarise a folder of notes",
    files: { "notes/a.md": "The offer is late.\n", "notes/b.md": "The room is booked.\n" },
    calls: () => [
      read("notes"),
      read("notes/a.md"),
      read("notes/b.md"),
      write("summary.md", "- offer late\n- room booked\n"),
    ],
    isDone: ({ said, file }) => said.includes("booked") && file("summary.md").includes("room booked"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "tick off a to-do list",
    files: { "todo.md": "- [ ] call Ada\n- [ ] pay rent\n" },
    calls: () => [read("todo.md"), edit("todo.md", "[ ] call", "[x] call")],
    isDone: ({ file }) => file("todo.md").startsWith("- [x] call Ada"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "one contact list out of two, without doubles",
    files: { "a.csv": "ada@x.org\nbob@x.org\n", "b.csv": "bob@x.org\neve@x.org\n" },
    calls: () => [exec("sort -u a.csv b.csv > all.csv")],
    isDone: ({ file }) => file("all.csv") === "ada@x.org\nbob@x.org\neve@x.org\n",
    host: 1,
    sandbox: 0,
  },
  {
    name: "add up expenses",
    files: { "expenses.csv": "taxi,12\nlunch,30\n" },
    calls: () => [exec("awk -F, '{ s += $2 } END { print s }' expenses.csv")],
    isDone: ({ said }) => said.includes("42"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "file documents away",
    files: { "invoice-1.txt": "1", "invoice-2.txt": "2" },
    calls: () => [exec("mkdir -p 2026/invoices && mv invoice-*.txt 2026/invoices/")],
    isDone: ({ file, has }) => file("2026/invoices/invoice-2.txt") === "2" && !has("invoice-1.txt"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "draft a letter from notes",
    files: { "notes.txt": "thank Ada, propose Friday\n" },
    calls: () => [read("notes.txt"), write("letter.md", "Dear Ada,\n\nthank you. Would Friday suit you?\n")],
    isDone: ({ file }) => file("letter.md").includes("Friday"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "the differences of two documents",
    files: { "old.txt": "price 10\nsame\n", "new.txt": "price 12\nsame\n" },
    calls: () => [exec("diff -u old.txt new.txt")],
    isDone: ({ said }) => said.includes("+price 12"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "a text from Latin-1 to UTF-8",
    prepare: [["sh", "-c", "printf 'caf\\351\\n' > in.txt"]],
    calls: () => [exec("iconv -f latin1 -t utf-8 in.txt > out.txt")],
    isDone: ({ file }) => file("out.txt") === "café\n",
    needs: ["iconv"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "zip a folder to send it",
    files: { "docs/a.txt": "a", "docs/b.txt": "b" },
    calls: () => [exec("zip -qr docs.zip docs && unzip -l docs.zip")],
    isDone: ({ said, has }) => has("docs.zip") && said.includes("docs/b.txt"),
    needs: ["zip", "unzip"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "back up a folder with tar",
    files: { "docs/a.txt": "a" },
    calls: () => [exec("tar czf backup.tar.gz docs && tar tzf backup.tar.gz")],
    isDone: ({ said }) => said.includes("docs/a.txt"),
    needs: ["tar", "gzip"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "read a page of an allowed host, keep a summary",
    calls: (site) => [
      ["web_fetch", { url: `${site}/page` }],
      write("summary.md", "Open from nine to five.\n"),
    ],
    isDone: ({ said, file }) => said.includes("nine to five") && file("summary.md").includes("nine to five"),
    host: 0,
    sandbox: "policy.tool_denied: web_fetch is none of a sandbox's tools",
  },
  {
    name: "a line more in a journal",
    files: { "journal.md": "Monday\n" },
    calls: () => [exec("echo 'Tuesday: offer sent' >> journal.md")],
    isDone: ({ file }) => file("journal.md") === "Monday\nTuesday: offer sent\n",
    host: 0,
    sandbox: 0,
  },
  {
    name: "another separator in a table",
    files: { "in.csv": "a;b\n1;2\n" },
    calls: () => [exec("tr ';' ',' < in.csv > out.csv && wc -l < out.csv")],
    isDone: ({ file }) => file("out.csv") === "a,b\n1,2\n",
    host: 0,
    sandbox: 0,
  },
  {
    name: "throw old copies away",
    files: { "draft.bak": "x", "keep.txt": "y" },
    calls: () => [exec("rm draft.bak && ls")],
    isDone: ({ has, said }) => !has("draft.bak") && said.includes("keep.txt"),
    host: 1,
    sandbox: 0,
  },
];
