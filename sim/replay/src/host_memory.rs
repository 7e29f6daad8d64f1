//! How much memory the host has to spare. It decides what is kept, never what comes out.

use std::fs;

/// What is kept where nobody says how much there is, in bytes.
const UNKNOWN: u64 = 256 << 20;

/// Bytes that runs may keep of what they can make again: a quarter of what the host has available, of what the control group of this
/// process may have, or of what Slurm gave its task, whichever is less.
#[must_use]
pub fn to_keep() -> u64 {
    let available = available(&|path| fs::read_to_string(path).ok());
    let given = given(&|name| std::env::var(name).ok());
    available.into_iter().chain(given).min().unwrap_or(4 * UNKNOWN) / 4
}

/// Bytes that Slurm gave the task on this node; `None` where there is no task. Tasks that share a node's memory get little, since nobody knows how
/// many they are.
fn given(variable: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| variable(name)?.trim().parse().ok().filter(|&number: &u64| number > 0);
    variable("SLURM_JOB_ID")?;
    let per_cpu =
        || Some(number("SLURM_MEM_PER_CPU")?.saturating_mul(number("SLURM_CPUS_ON_NODE").unwrap_or(1)));
    let megabytes = number("SLURM_MEM_PER_NODE").or_else(per_cpu);
    Some(megabytes.map_or(4 * UNKNOWN, |megabytes| megabytes.saturating_mul(1 << 20)))
}

/// Bytes available, by Linux's files; `None` where they do not say.
fn available(read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let meminfo = read("/proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(|line| group_limit(line, read));
    Some(limits.fold(kilobytes.saturating_mul(1024), u64::min))
}

/// The least limit of the group that a line of `/proc/self/cgroup` names and of those around it.
fn group_limit(line: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    // Hierarchy number, controllers, path: `0::/job` in version 2, `9:memory:/job` in version 1.
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, mut group) = (parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mut least: Option<u64> = None;
    loop {
        group = group.trim_end_matches('/');
        // `max` is no number: no limit.
        let limit = read(&format!("{root}{group}/{file}")).and_then(|text| text.trim().parse().ok());
        least = least.into_iter().chain(limit).min();
        match group.rfind('/') {
            Some(end) => group = &group[..end],
            None => return least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host<'a>(files: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
    }

    #[test]
    fn a_task_of_slurm_has_what_it_was_given() {
        let of = |set: &[(&str, &str)]| {
            given(&|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        let job = ("SLURM_JOB_ID", "7");
        assert_eq!(of(&[("SLURM_MEM_PER_NODE", "64")]), None);
        assert_eq!(of(&[job, ("SLURM_MEM_PER_NODE", "64")]), Some(64 << 20));
        assert_eq!(of(&[job, ("SLURM_MEM_PER_CPU", "8"), ("SLURM_CPUS_ON_NODE", "4")]), Some(32 << 20));
        assert_eq!(of(&[job, ("SLURM_MEM_PER_NODE", "0")]), Some(4 * UNKNOWN));
    }

    const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   4096 kB\n");

    #[test]
    fn the_least_of_the_host_and_all_groups_around_counts() {
        assert_eq!(available(&host(&[])), None);
        assert_eq!(available(&host(&[("/proc/meminfo", "MemTotal: 9 kB\n")])), None);
        assert_eq!(available(&host(&[MEMINFO])), Some(4 << 20));
        let version_2 = [
            MEMINFO,
            ("/proc/self/cgroup", "0::/slurm/job_7/step_0\n"),
            ("/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n"),
            ("/sys/fs/cgroup/slurm/job_7/memory.max", "1048576\n"),
            ("/sys/fs/cgroup/memory.max", "2097152\n"),
        ];
        assert_eq!(available(&host(&version_2)), Some(1 << 20));
        let version_1 = [
            MEMINFO,
            ("/proc/self/cgroup", "3:cpu:/x\n9:pids,memory:/job\n"),
            ("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2097152\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(available(&host(&version_1)), Some(2 << 20));
    }
}
