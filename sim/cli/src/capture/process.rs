//! What the operating system knows of processes and of this one.

use std::fs;
use std::path::Path;

/// True if the process has not ended; one that has ended and was not waited for is over too.
pub(super) fn lives(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name stands in parentheses and may hold anything; the state follows it.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Ends a process.
pub(super) fn kill(pid: u32) {
    #[cfg(unix)]
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = pid;
}

/// The path of a program as a shell finds it.
pub(super) fn resolve(program: &str) -> Option<String> {
    if program.contains('/') {
        return Some(program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file());
    found?.to_str().map(str::to_owned)
}

/// The standard streams that are regular files.
pub(super) fn inherited_files() -> Vec<(i32, String)> {
    let path = |fd| {
        let path = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Path::new(&path).is_file().then(|| path.to_str().map(|path| (fd, path.to_owned())))?
    };
    (0..3).filter_map(path).collect()
}
