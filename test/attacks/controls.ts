/** What must go on working beside the attacks. */
export interface Control {
  /** "B-01". */
  readonly id: string;
  readonly what: string;
}

const table = `
B-01 | The page, opened on its own origin with the token, connects
B-02 | Fifty wrong tokens from elsewhere do not keep the command line on this machine out
B-03 | A listed program called as listed runs without a question, operators in its quotes included
B-04 | What looks like a substitution inside of single quotes is text
B-05 | Names with dots, foreign letters and many characters are read and written
B-06 | A link in the workspace to another file of the workspace is read
B-07 | A page behind a redirect to a public name is fetched
B-08 | A private host that the operator listed is reached on its port, and nothing else is
B-09 | An event that is delivered twice is done once, and acknowledged both times
B-10 | Emoji, Arabic, Hebrew and code in the owner's own words arrive as they are
B-11 | A mention in an allowed group is answered, and so is the owner's /status
B-12 | After a rotation new clients come in at once, and paired devices stay
B-13 | A picture of 15 MB within the limit is taken
B-14 | A config that is read and set again keeps its secrets
B-15 | npm test runs in a sandbox without network
`;

export const controls: readonly Control[] = table
  .trim()
  .split("\n")
  .map((line) => {
    const [id = "", what = ""] = line.split("|").map((cell) => cell.trim());
    return { id, what };
  });
