//! A kernel between two runs: kept once, and set back before each run that begins where it was.

use std::rc::Rc;

use pagewalk_engine::{Keep, KeptEngine};
use pagewalk_mmu::Hardware;
use pagewalk_pages::Zone;

use crate::fs::File;
use crate::kernel::Kernel;
use crate::mm::{AnonVma, Mm, ReverseMapping, Vma};

/// A machine with its kernel as [`Kernel::kept`] found it. What the machine refers to weakly is in it and lives as long.
pub struct KeptKernel {
    engine: KeptEngine,
    hw: Hardware,
    zone: Zone,
    kernel: Kernel,
    mms: Vec<(Rc<Mm>, Mm)>,
    areas: Vec<(Rc<Vma>, ReverseMapping)>,
    anon_vmas: Vec<(Rc<AnonVma>, AnonVma)>,
    files: Vec<(Rc<File>, File)>,
}

/// An object with its twin.
fn with_twin<T: Keep>(object: Rc<T>) -> (Rc<T>, T) {
    let kept = (*object).keep();
    (object, kept)
}

fn set_back<T: Keep>(objects: &[(Rc<T>, T)]) {
    objects.iter().for_each(|(object, kept)| (**object).set_back(kept));
}

impl Kernel {
    /// Outside a run: the machine as it is now, what [`Kernel::set_back`] goes back to. No context is left, and `files` are open.
    ///
    /// # Panics
    /// If a context has not ended.
    pub fn kept(&self, files: impl Iterator<Item = Rc<File>>) -> KeptKernel {
        let mms: Vec<_> = self.all_mms().into_iter().map(with_twin).collect();
        let areas: Vec<Rc<Vma>> =
            mms.iter().flat_map(|(mm, _)| mm.areas.observe().iter().cloned().collect::<Vec<_>>()).collect();
        KeptKernel {
            engine: self.engine.kept(),
            hw: (*self.hw).keep(),
            zone: (*self.zone).keep(),
            kernel: self.keep(),
            mms,
            anon_vmas: self.anon_vmas.all().into_iter().map(with_twin).collect(),
            areas: areas
                .into_iter()
                .map(|area| {
                    let kept = area.anon_vma.keep();
                    (area, kept)
                })
                .collect(),
            files: files.map(with_twin).collect(),
        }
    }

    /// Outside a run: the machine is as it was when it was `kept`, whatever has run since. The mutants that were reached stay reached, and who
    /// observes goes on.
    pub fn set_back(&self, kept: &KeptKernel) {
        self.engine.set_back(&kept.engine); // contexts first: what they drop they may count down
        (*self.hw).set_back(&kept.hw);
        (*self.zone).set_back(&kept.zone);
        Keep::set_back(self, &kept.kernel);
        set_back(&kept.mms);
        kept.areas.iter().for_each(|(area, kept)| area.anon_vma.set_back(kept));
        set_back(&kept.anon_vmas);
        set_back(&kept.files);
    }
}
