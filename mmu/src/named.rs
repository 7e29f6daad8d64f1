//! Which CPUs may hold a translation that names a frame: a filter in front of the search that the observer of I19 makes.
//!
//! That search looks at every slot of every TLB, each time a page becomes free or is handed out. Most CPUs have never had the page.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use pagewalk_engine::{Context, CpuId};

use crate::{Hardware, Pfn};

/// CPUs that have filled an entry for a frame since they were last searched for it and had none.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// A bit for each CPU; those from 64 on share bits.
    by_frame: RefCell<BTreeMap<Pfn, u64>>,
    /// Some entry covered more than a base page: then nothing is known.
    large: Cell<bool>,
}

pagewalk_engine::keep!(Named: by_frame, large);

fn bit(cpu: usize) -> u64 {
    1 << (cpu % 64)
}

impl Hardware {
    /// The CPU is about to keep a translation that names these frames.
    pub(crate) fn note_named(&self, cx: &Context, pfn: Pfn, pages: u64) {
        if !cx.engine().config().checks {
            return;
        }
        if pages > 1 {
            self.named.large.set(true);
        }
        *self.named.by_frame.borrow_mut().entry(pfn).or_default() |= bit(usize::from(cx.cpu().id().0));
    }

    /// The CPUs that must be searched for the frame.
    pub fn may_name(&self, pfn: Pfn) -> Vec<CpuId> {
        let mask = match self.named.large.get() {
            true => u64::MAX,
            false => self.named.by_frame.borrow().get(&pfn).copied().unwrap_or(0),
        };
        let all = (0..self.cores().len()).filter(|&cpu| mask & bit(cpu) != 0);
        all.map(|cpu| CpuId(cpu as u16)).collect()
    }

    /// No CPU holds anything that names the frame, under whatever tag.
    pub fn note_unnamed(&self, pfn: Pfn) {
        self.named.by_frame.borrow_mut().remove(&pfn);
    }
}
