//! The end of a run: everything is torn down, and nothing may be left over.

use std::fmt;

use crate::kernel::Kernel;

/// Something that outlived the last process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub what: &'static str,
    /// How many.
    pub count: u64,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.what)
    }
}

impl Kernel {
    /// What is left over after every process has ended: nothing, if the kernel is right (I27).
    pub fn leftovers(&self) -> Vec<Leftover> {
        let usable = u64::from(self.hw.memory.frames()) - 1; // frame 0 is never handed out
        let loaded = self.hw.cores().iter().filter(|core| core.root().is_some()).count();
        let counts = [
            ("frames not free", usable - u64::from(self.hw.free_frames())),
            ("page tables", u64::from(self.hw.tables.in_use())),
            ("anonymous pages mapped", self.stat.nr_anon_pages.get()),
            ("address spaces", self.mms.borrow().len() as u64),
            ("anon_vmas", self.anon_vmas.len() as u64),
            ("address spaces loaded on CPUs", loaded as u64),
            ("contexts inside the kernel", u64::from(self.inside.get())),
        ];
        let left = counts.into_iter().filter(|&(_, count)| count > 0);
        left.map(|(what, count)| Leftover { what, count }).collect()
    }
}
