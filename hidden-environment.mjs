import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/** Names that are worth hiding from our own children too, should one ever inherit. */
const secretName = /TOKEN|SECRET|PASS|CREDENTIAL|KEY|AUTH|COOKIE|DSN|_URL$|_URI$/i;

/**
 * Takes the environment out of the memory where the system shows it to every process of the same user
 * (/proc/PID/environ, ps e): a command that an agent was allowed to run must not find the gateway's tokens in its
 * parent (attack A-127). What does not look like a secret is set again, in memory that nothing shows. Plain JavaScript,
 * because the launcher needs it on an older Node.
 *
 * @param {Record<string, string | undefined>} env `process.env`
 * @returns the whole environment as it was, and whether the system no longer shows it: only Linux lets us.
 */
export function hideEnvironment(env) {
  const values = { ...env };
  const isHidden = eraseBlock();
  for (const [name, value] of Object.entries(values)) {
    if (secretName.test(name)) delete env[name];
    else if (isHidden) env[name] = value;
  }
  return { values, isHidden };
}

function eraseBlock() {
  try {
    // proc(5): fields 50 and 51 are where the block begins and ends; the second holds a name with anything in it.
    const stat = readFileSync("/proc/self/stat", "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [begin, end] = [Number(fields[47]), Number(fields[48])];
    if (!(begin > 0 && end >= begin)) return false;
    const memory = openSync("/proc/self/mem", "r+");
    try {
      for (let at = begin; at < end; ) at += writeSync(memory, Buffer.alloc(end - at), 0, end - at, at);
    } finally {
      closeSync(memory);
    }
    return readFileSync("/proc/self/environ").every((byte) => byte === 0);
  } catch {
    return false;
  }
}
