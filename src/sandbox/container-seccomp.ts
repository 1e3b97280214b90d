/**
 * The filter of system calls for containers: what is not listed is refused. The list is the one that engines use by
 * themselves (https://docs.docker.com/engine/security/seccomp/), without ptrace, io_uring and calls of 32-bit programs,
 * and the same for every engine, whatever its own list is.
 */
const allowed = (
  "accept accept4 access alarm arch_prctl bind brk capget capset chdir chmod chown clock_getres clock_gettime " +
  "clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 " +
  "epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat " +
  "faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr " +
  "flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_waitv futimesat get_robust_list " +
  "getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp " +
  "getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt " +
  "gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel " +
  "io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set kill landlock_add_rule " +
  "landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen listxattr llistxattr " +
  "lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create mincore mkdir mkdirat mknod mknodat " +
  "mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink " +
  "mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat openat2 " +
  "pause pidfd_open pidfd_send_signal pipe pipe2 poll ppoll prctl pread64 preadv preadv2 prlimit64 " +
  "process_mrelease pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom " +
  "recvmmsg recvmsg removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction " +
  "rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo " +
  "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam " +
  "sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler " +
  "sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list " +
  "set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid " +
  "setresuid setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown " +
  "sigaltstack signalfd signalfd4 socket socketpair splice stat statfs statx symlink symlinkat sync " +
  "sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime " +
  "timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink " +
  "unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write writev"
).split(" ");

const architectures: Readonly<Record<string, string>> = {
  x64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
};

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
const newNamespaces = 0x7e020000;
/** PER_LINUX, PER_LINUX32, UNAME26, both, and the question which it is. */
const personalities = [0, 8, 0x20000, 0x20008, 0xffffffff];
/** ENOSYS, so that the C library falls back to clone, whose flags can be read. */
const notImplemented = 38;

/** As JSON, for this processor (as Node names it); undefined: it is not known. */
export function seccompProfile(architecture: string): string | undefined {
  const own = Object.hasOwn(architectures, architecture) ? architectures[architecture] : undefined;
  if (own === undefined) return undefined;
  const equal = (value: number) => ({ index: 0, value, op: "SCMP_CMP_EQ" });
  const allow = (names: readonly string[], args?: readonly object[]) => ({
    names,
    action: "SCMP_ACT_ALLOW",
    ...(args ? { args } : {}),
  });
  return JSON.stringify({
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: [own],
    syscalls: [
      allow(allowed),
      allow(["clone"], [{ index: 0, value: newNamespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }]),
      ...personalities.map((value) => allow(["personality"], [equal(value)])),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: notImplemented },
    ],
  });
}
