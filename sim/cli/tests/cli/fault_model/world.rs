//! The model's machine: processes with their address spaces, one cache of files, and two counters.

use std::collections::BTreeMap;

use pagewalk_trace::{Event, EventRecord, MapKind};

use super::cache::Cache;
use super::space::Space;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) pgfault: u64,
    pub(crate) pgmajfault: u64,
    /// Accesses that the program may not make; those beyond the end of a file are not told of by the replay.
    pub(crate) refused: u64,
}

/// Accesses that are known to need no fault, so that most of a long trace takes no search.
pub(super) const RECENT: usize = 1024;

pub(crate) struct World {
    pub(super) cache: Cache,
    pub(super) by_path: BTreeMap<String, usize>,
    /// Sizes and numbers of files, from the whole trace.
    pub(super) sizes: BTreeMap<String, u64>,
    pub(super) numbers: BTreeMap<u32, String>,
    pub(super) opens: BTreeMap<(u32, usize), usize>,
    pub(super) spaces: BTreeMap<u32, Space>,
    /// How many entries map each anonymous frame.
    pub(super) users: Vec<u32>,
    pub(super) families: u64,
    /// Pages of the aligned block that a read fault maps.
    pub(super) around: u64,
    pub(super) recent: Vec<(u32, u64)>,
    pub(crate) faults: Faults,
}

pub(super) fn pages(start: u64, len: u64) -> (u64, u64) {
    (start / 4096, (start + len).div_ceil(4096))
}

impl World {
    /// A machine for a trace with these events.
    pub(crate) fn new(window: u64, around: u64, events: &[EventRecord]) -> Self {
        let (mut introduced, mut mapped, mut numbers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for record in events {
            match &record.event {
                Event::File { file, path, size } => {
                    numbers.insert(*file, path.clone());
                    introduced.entry(path.clone()).or_insert(*size);
                }
                Event::Map { len, kind: MapKind::File { path, offset }, .. } => {
                    let size: &mut u64 = mapped.entry(path.clone()).or_default();
                    *size = (offset + len).max(*size);
                }
                _ => {}
            }
        }
        mapped.extend(introduced);
        Self {
            cache: Cache::new(window),
            by_path: BTreeMap::new(),
            sizes: mapped,
            numbers,
            opens: BTreeMap::new(),
            spaces: BTreeMap::new(),
            users: Vec::new(),
            families: 0,
            around,
            recent: vec![(0, u64::MAX); RECENT],
            faults: Faults::default(),
        }
    }

    pub(super) fn space(&mut self, pid: u32) -> &mut Space {
        self.spaces.entry(pid).or_default()
    }

    pub(super) fn open_path(&mut self, pid: u32, path: &str) -> usize {
        let inode = match self.by_path.get(path) {
            Some(&inode) => inode,
            None => {
                let inode = self.cache.create(self.sizes.get(path).copied().unwrap_or(0), true);
                self.by_path.insert(path.to_owned(), inode);
                inode
            }
        };
        *self.opens.entry((pid, inode)).or_insert_with(|| self.cache.open(inode))
    }

    pub(super) fn open_number(&mut self, pid: u32, file: u32) -> usize {
        let path = self.numbers[&file].clone();
        self.open_path(pid, &path)
    }

    /// One event of the trace.
    pub(crate) fn event(&mut self, record: &EventRecord) {
        self.recent.fill((0, u64::MAX));
        let pid = record.pid;
        match record.event {
            Event::Map { .. }
            | Event::Unmap { .. }
            | Event::Protect { .. }
            | Event::Brk { .. }
            | Event::Remap { .. }
            | Event::Discard { .. } => self.change_mapping(pid, &record.event),
            Event::Fork { child_pid, .. } => self.fork(pid, child_pid),
            Event::Exec { .. } => self.drop_space(pid),
            Event::ExitProcess { .. } => {
                self.drop_space(pid);
                self.opens.retain(|&(owner, _), _| owner != pid);
            }
            Event::File { .. } | Event::Clone { .. } | Event::ExitThread | Event::Wait { .. } => {}
            _ => self.use_file(pid, &record.event),
        }
    }
}
