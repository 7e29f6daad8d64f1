//! Which memory system calls read and write for their callers, apart from reads and writes of files.

use super::call::Call;

/// How many bytes of a buffer are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Len {
    /// Always so many: the size of a structure on x86-64.
    Bytes(u64),
    /// What the call returned.
    Returned,
    /// An argument, times so many bytes.
    Arg(usize, u64),
}

use Len::{Arg, Bytes, Returned};

/// Of longer buffers only the start is touched: a record for each page of a huge one would say little.
const MOST: u64 = 1 << 20;

/// Call, argument that points to the buffer, true if the kernel writes it, length.
const BUFFERS: [(&str, usize, bool, Len); 61] = [
    ("accept", 2, true, Bytes(4)),
    ("bind", 1, false, Arg(2, 1)),
    ("clock_getres", 1, true, Bytes(16)),
    ("clock_gettime", 1, true, Bytes(16)),
    ("clock_nanosleep", 2, false, Bytes(16)),
    ("connect", 1, false, Arg(2, 1)),
    ("epoll_ctl", 3, false, Bytes(12)),
    ("epoll_wait", 1, true, Arg(2, 12)),
    ("fgetxattr", 2, true, Returned),
    ("fstat", 1, true, Bytes(144)),
    ("fstatfs", 1, true, Bytes(120)),
    ("futex", 0, false, Bytes(4)),
    ("getcwd", 0, true, Returned),
    ("getdents", 1, true, Returned),
    ("getdents64", 1, true, Returned),
    ("getgroups", 1, true, Arg(0, 4)),
    ("getrandom", 0, true, Returned),
    ("getresgid", 0, true, Bytes(4)),
    ("getresuid", 0, true, Bytes(4)),
    ("getrlimit", 1, true, Bytes(16)),
    ("getrusage", 1, true, Bytes(144)),
    ("gettimeofday", 0, true, Bytes(16)),
    ("getxattr", 2, true, Returned),
    ("lgetxattr", 2, true, Returned),
    ("lstat", 1, true, Bytes(144)),
    ("nanosleep", 0, false, Bytes(16)),
    ("newfstat", 1, true, Bytes(144)),
    ("newfstatat", 2, true, Bytes(144)),
    ("newlstat", 1, true, Bytes(144)),
    ("newstat", 1, true, Bytes(144)),
    ("newuname", 0, true, Bytes(390)),
    ("old_getrlimit", 1, true, Bytes(16)),
    ("openat2", 2, false, Bytes(24)),
    ("pipe", 0, true, Bytes(8)),
    ("pipe2", 0, true, Bytes(8)),
    ("poll", 0, true, Arg(1, 8)),
    ("ppoll", 0, true, Arg(1, 8)),
    ("prlimit64", 2, false, Bytes(16)),
    ("prlimit64", 3, true, Bytes(16)),
    ("readlink", 1, true, Returned),
    ("readlinkat", 2, true, Returned),
    ("recv", 1, true, Returned),
    ("recvfrom", 1, true, Returned),
    ("recvmsg", 1, true, Bytes(56)),
    ("rt_sigaction", 1, false, Bytes(32)),
    ("rt_sigaction", 2, true, Bytes(32)),
    ("rt_sigprocmask", 1, false, Bytes(8)),
    ("rt_sigprocmask", 2, true, Bytes(8)),
    ("sched_getaffinity", 2, true, Returned),
    ("select", 1, true, Bytes(128)),
    ("send", 1, false, Returned),
    ("sendmsg", 1, false, Bytes(56)),
    ("sendto", 1, false, Returned),
    ("statfs", 1, true, Bytes(120)),
    ("statx", 4, true, Bytes(256)),
    ("sysinfo", 0, true, Bytes(112)),
    ("time", 0, true, Bytes(8)),
    ("times", 0, true, Bytes(32)),
    ("wait4", 1, true, Bytes(4)),
    ("wait4", 3, true, Bytes(144)),
    ("waitid", 2, true, Bytes(128)),
];

/// The buffers of a call that returned `result`: start, length in bytes, and whether the kernel wrote it. The strings
/// that it read, such as paths, come first.
pub(super) fn buffers(call: &Call, result: u64) -> Vec<(u64, u64, bool)> {
    let strings = call.texts.iter().map(|(arg, text)| (call.arg(*arg), text.len() as u64 + 1, false));
    let known = BUFFERS.iter().filter(|(name, ..)| *name == call.name);
    let structures = known.map(|&(_, arg, written, len)| {
        let len = match len {
            Bytes(len) => len,
            Returned => result,
            Arg(arg, size) => u64::from(call.arg(arg) as u32).saturating_mul(size),
        };
        (call.arg(arg), len, written)
    });
    let all = strings.chain(structures).map(|(start, len, written)| (start, len.min(MOST), written));
    all.filter(|(start, len, _)| *start != 0 && *len > 0).collect()
}

/// True if the call's buffers are known, or it has none and changes nothing that a trace holds.
pub(super) fn understood(name: &str) -> bool {
    const PLAIN: [&str; 31] = [
        "access",
        "alarm",
        "arch_prctl",
        "faccessat",
        "faccessat2",
        "getegid",
        "geteuid",
        "getgid",
        "getpgid",
        "getpgrp",
        "getpid",
        "getppid",
        "getpriority",
        "getsid",
        "gettid",
        "getuid",
        "kill",
        "mkdir",
        "mkdirat",
        "rmdir",
        "rt_sigreturn",
        "sched_yield",
        "set_robust_list",
        "set_tid_address",
        "setpgid",
        "setsid",
        "sigaltstack",
        "socket",
        "tgkill",
        "tkill",
        "umask",
    ];
    PLAIN.contains(&name) || BUFFERS.iter().any(|(known, ..)| *known == name)
}
