/** The filter of system calls for sandboxes without an engine that brings its own. */

interface Machine {
  /** AUDIT_ARCH_* of linux/audit.h */
  readonly auditArch: number;
  readonly clone: number;
  readonly ioctl: number;
  readonly denied: readonly number[];
}

/**
 * The same on every processor since Linux 5.1: io_uring_*, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick,
 * pidfd_getfd, mount_setattr.
 */
const deniedEverywhere = [425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442];
const clone3 = 435;

/**
 * ptrace, process_vm_*, kcmp; mounts, roots and namespaces; modules, kexec, reboot, swap; keys; bpf, perf, userfaultfd;
 * files by handle; clocks, accounting, the kernel's log, ports. From the kernel's tables of system calls.
 */
const machines: Readonly<Record<string, Machine>> = {
  x64: {
    auditArch: 0xc000003e,
    clone: 56,
    ioctl: 16,
    denied: [
      ...[101, 310, 311, 312, 165, 166, 155, 161, 272, 308, 175, 176, 313, 246, 320, 169, 167, 168],
      ...[248, 249, 250, 321, 298, 323, 303, 304, 227, 164, 159, 305, 163, 179, 103, 172, 173, 153, 154, 212],
    ],
  },
  arm64: {
    auditArch: 0xc00000b7,
    clone: 220,
    ioctl: 29,
    denied: [
      ...[117, 270, 271, 272, 40, 39, 41, 51, 97, 268, 105, 106, 273, 104, 294, 142, 224, 225],
      ...[217, 218, 219, 280, 241, 282, 264, 265, 112, 170, 171, 266, 89, 60, 116, 58, 18],
    ],
  },
};

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
const newNamespaces = 0x7e020000;
/** TIOCSTI types into a terminal, TIOCLINUX into a console. */
const typingIoctls = [0x5412, 0x541c];
const x32Bit = 0x40000000;

const load = 0x20;
const jumpEqual = 0x15;
const jumpAtLeast = 0x35;
const jumpAnyBit = 0x45;
const answer = 0x06;
const allow = 0x7fff0000;
const errno = (number: number) => 0x00050000 | number;
const notPermitted = errno(1);
/** So that the C library falls back to clone, whose flags can be read. */
const notImplemented = errno(38);
/** Offsets in struct seccomp_data. */
const at = { number: 0, arch: 4, firstArgument: 16, secondArgument: 24 };

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/** A BPF program (struct sock_filter[], little endian) for this processor (as Node names it); undefined: none is known. */
export function seccompFilter(architecture: string): Buffer | undefined {
  const machine = Object.hasOwn(machines, architecture) ? machines[architecture] : undefined;
  if (!machine) return undefined;
  const give = (value: number): Instruction => [answer, 0, 0, value];
  const when = (number: number, value: number): Instruction[] => [[jumpEqual, 0, 1, number], give(value)];
  const program: Instruction[] = [
    [load, 0, 0, at.arch],
    [jumpEqual, 1, 0, machine.auditArch],
    give(notPermitted),
    [load, 0, 0, at.number],
    [jumpAtLeast, 0, 1, x32Bit],
    give(notPermitted),
    ...when(clone3, notImplemented),
    ...[...machine.denied, ...deniedEverywhere].flatMap((number) => when(number, notPermitted)),
    [jumpEqual, 0, 4, machine.clone],
    [load, 0, 0, at.firstArgument],
    [jumpAnyBit, 0, 1, newNamespaces],
    give(notPermitted),
    give(allow),
    [jumpEqual, 0, 6, machine.ioctl],
    [load, 0, 0, at.secondArgument],
    ...typingIoctls.flatMap((request) => when(request, notPermitted)),
    give(allow),
    give(allow),
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
