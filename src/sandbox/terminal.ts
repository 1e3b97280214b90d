import type { FileIdentity } from "../policy/command-tree.ts";

/** What a program in a terminal of ours believes to be shown on. */
export const terminalType = "xterm-256color";
const rows = 30;
const columns = 120;

/**
 * Makes a terminal, starts the program in it as the leader of its session, and carries bytes between the terminal and
 * its own input and output. Fixed text; everything else is an argument. The program gets its descriptors from the
 * terminal alone. Ends as the program ended; when either side of it is gone, so is the terminal, and what runs in it is
 * told so by the system (SIGHUP). An end of input is what a person would type: control-D.
 */
const source = `
import errno, fcntl, os, pty, select, signal, struct, sys, termios
rows, columns, count = (int(word) for word in sys.argv[1:4])
judged, (file, *argv) = sys.argv[4:4 + 2 * count], sys.argv[4 + 2 * count:]
def require_same():
    for path, identity in zip(judged[::2], judged[1::2]):
        now = os.stat(path)
        if "%d:%d:%d" % (now.st_dev, now.st_ino, now.st_ctime_ns) != identity:
            raise OSError(0, "%s is not what it was when this command was judged" % path)
started, starting = os.pipe()
pid, master = pty.fork()
if pid == 0:
    try:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        require_same()
        os.execve(file, argv, os.environ)
    except OSError as error:
        os.write(2, ("could not be started: %s\\n" % error.strerror).encode())
    os._exit(126)
# What is typed before the program has its terminal would be lost. The pipe closes when it starts, or cannot.
os.close(starting)
os.read(started, 1)
os.set_blocking(master, False)
woken, wake = os.pipe()
os.set_blocking(wake, False)
signal.set_wakeup_fd(wake)
signal.signal(signal.SIGCHLD, lambda *_: None)
ended = lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
typed, reading = b"", True
while True:
    inputs = [master, woken] + ([0] if reading and len(typed) < 65536 else [])
    over = ended()
    ready, writable, _ = select.select(inputs, [master] if typed else [], [], 0 if over else None)
    if master in ready:
        try:
            printed = os.read(master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                continue
            # Everybody has closed it; the program may be about to end, and must not be told that its terminal is gone.
            if not over:
                select.select([woken], [], [], 1)
            break
        try:
            while printed:
                printed = printed[os.write(1, printed):]
        except OSError:
            break
    elif over:
        break
    if woken in ready:
        os.read(woken, 512)
    if 0 in ready:
        more = os.read(0, 65536)
        reading = more != b""
        typed += more or b"\\x04"
    if writable:
        try:
            typed = typed[os.write(master, typed[:1024]):]
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):
                break
os.close(master)
status = os.waitpid(pid, 0)[1]
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) not in (9, 19) else None
    os.kill(os.getpid(), os.WTERMSIG(status))
os._exit(os.waitstatus_to_exitcode(status))
`;

/**
 * The arguments of a Python 3.9 or newer that runs `file` in a terminal of its own. That takes it some milliseconds, so
 * it looks again whether `files` are what was judged, right before.
 */
export function terminalArguments(
  file: string,
  argv: readonly string[],
  files: readonly FileIdentity[] = [],
): readonly string[] {
  const judged = files.flatMap(({ realPath, device, inode, content }) =>
    content ? [realPath, `${device}:${inode}:${content.changedAtNs}`] : [],
  );
  const words = [rows, columns, judged.length / 2].map(String);
  // Nothing of Python's environment, of the working folder or of anybody's packages is read.
  return ["-I", "-S", "-c", source, ...words, ...judged, file, ...argv];
}

/** The same as text for a shell inside a sandbox. */
export function terminalText(text: string): string {
  const words = ["python3", ...terminalArguments("/bin/sh", ["sh", "-c", "--", text])];
  return `exec ${words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")}`;
}
