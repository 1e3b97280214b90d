/**
 * Programs of a few system calls, as ELF files made here: what a probe tries must not depend on which tools an image
 * happens to have. Layout from the System V ABI (gABI 4.1, chapter 4), calls from the kernel's tables.
 */

type Argument = number | "previous" | Buffer;

interface Call {
  readonly number: number;
  readonly args: readonly Argument[];
}

interface Machine {
  /** e_machine */
  readonly elf: number;
  readonly calls: Readonly<Record<"ptrace" | "mount" | "unshare" | "socket" | "connect" | "exit", number>>;
  /** Does the calls and exits with 0 when the last one succeeded, else with 1. `at` is where data will be. */
  code(calls: readonly Call[], exit: number, at: (data: Buffer) => number): Buffer;
}

const base = 0x400000;
const headerBytes = 120;

const machines: Readonly<Record<string, Machine>> = {
  x64: {
    elf: 62,
    calls: { ptrace: 101, mount: 165, unshare: 272, socket: 41, connect: 42, exit: 60 },
    code(calls, exit, at) {
      // mov edi/esi/edx/r10d, imm32
      const load = [[0xbf], [0xbe], [0xba], [0x41, 0xba]];
      const bytes: number[] = [];
      for (const { number, args } of calls) {
        args.forEach((arg, index) => {
          if (arg === "previous")
            bytes.push(0x48, 0x89, 0xc7); // mov rdi, rax
          else bytes.push(...(load[index] ?? []), ...word(typeof arg === "number" ? arg : at(arg)));
        });
        bytes.push(0xb8, ...word(number), 0x0f, 0x05); // mov eax, number; syscall
      }
      // xor edi, edi; test rax, rax; setne dil; mov eax, exit; syscall
      bytes.push(0x31, 0xff, 0x48, 0x85, 0xc0, 0x40, 0x0f, 0x95, 0xc7, 0xb8, ...word(exit), 0x0f, 0x05);
      return Buffer.from(bytes);
    },
  },
  arm64: {
    elf: 183,
    calls: { ptrace: 117, mount: 40, unshare: 97, socket: 198, connect: 203, exit: 93 },
    code(calls, exit, at) {
      const words: number[] = [];
      // movz xN, low; movk xN, high, lsl 16
      const load = (register: number, value: number) =>
        words.push(
          0xd2800000 + (value & 0xffff) * 32 + register,
          0xf2a00000 + (value >>> 16) * 32 + register,
        );
      const call = 0xd4000001; // svc 0
      for (const { number, args } of calls) {
        // "previous" is in x0 already.
        args.forEach((arg, index) => {
          if (arg !== "previous") load(index, typeof arg === "number" ? arg : at(arg));
        });
        load(8, number);
        words.push(call);
      }
      words.push(0xf100001f, 0x9a9f07e0); // cmp x0, 0; cset x0, ne
      load(8, exit);
      words.push(call);
      return Buffer.concat(words.map((value) => Buffer.from(word(value))));
    },
  },
};

/** The attempts that are made with these programs, each an ELF file; undefined: this processor (as Node names it) is not known. */
export function probePrograms(
  architecture: string,
  port: number,
): Readonly<Record<string, Buffer>> | undefined {
  const machine = Object.hasOwn(machines, architecture) ? machines[architecture] : undefined;
  if (!machine) return undefined;
  const { calls } = machine;
  const none = Buffer.from("none\0");
  const program = (...steps: Call[]) => elf(machine, steps);
  return {
    // PTRACE_TRACEME
    trace: program({ number: calls.ptrace, args: [0, 0, 0, 0] }),
    mount: program({
      number: calls.mount,
      args: [none, Buffer.from("/tmp\0"), Buffer.from("tmpfs\0"), 0],
    }),
    // CLONE_NEWUSER, CLONE_NEWNS
    "own-users": program({ number: calls.unshare, args: [0x10000000] }),
    "own-mounts": program({ number: calls.unshare, args: [0x00020000] }),
    // AF_INET, SOCK_STREAM; struct sockaddr_in of 127.0.0.1
    connect: program(
      { number: calls.socket, args: [2, 1, 0] },
      {
        number: calls.connect,
        args: [
          "previous",
          Buffer.from([2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
          16,
        ],
      },
    ),
  };
}

function elf(machine: Machine, calls: readonly Call[]): Buffer {
  // Its length is the same wherever the data is.
  const size = machine.code(calls, machine.calls.exit, () => base).length;
  const data: Buffer[] = [];
  let end = base + headerBytes + size;
  const code = machine.code(calls, machine.calls.exit, (bytes) => {
    data.push(bytes);
    end += bytes.length;
    return end - bytes.length;
  });
  const header = Buffer.alloc(headerBytes);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(machine.elf, 18);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(base + headerBytes, 24); // entry
  header.writeUInt32LE(64, 32); // program headers
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // readable, executable
  header.writeUInt32LE(base, 80);
  header.writeUInt32LE(base, 88);
  header.writeUInt32LE(end - base, 96);
  header.writeUInt32LE(end - base, 104);
  header.writeUInt32LE(0x10000, 112);
  return Buffer.concat([header, code, ...data]);
}

function word(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255];
}
