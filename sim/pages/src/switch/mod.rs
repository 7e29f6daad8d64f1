//! Which kernel: the fixes that came after the 2.6.27 design, and the mutants, each a named switch.
//!
//! A fix is a change that Linux made later; presets are sets of fixes. A mutant is the kernel wrong by one step: it is
//! applied on top of a preset and consulted at exactly that step, where it is one visible line.

mod fixes;
mod mutants;

use crate::Zone;

pub use fixes::{Fix, FixInfo};
pub use mutants::{Mutant, MutantInfo};

/// The fixes a kernel has and the mutants it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    fixes: u32,
    mutants: u32,
}

impl Switches {
    /// The kernel with every fix: what replay uses unless told otherwise.
    pub const FIXED: Self = Self { fixes: (1 << Fix::ALL.len()) - 1, mutants: 0 };
    /// Linux 2.6.27 as released, with its latent bugs: the lockless lookup and nothing that came later.
    pub const LINUX_2_6_27: Self = Self { fixes: 1 << Fix::LocklessLookup as u8, mutants: 0 };
    /// Before the lockless lookup: 2.6.27 with the locking of the page cache of Linux 2.6.22.
    pub const LINUX_2_6_22: Self = Self { fixes: 0, mutants: 0 };
    /// The presets by name, the default first.
    pub const PRESETS: [KernelPreset; 3] = [
        KernelPreset { name: "fixed", about: "Linux 2.6.27 with every later fix", switches: Self::FIXED },
        KernelPreset {
            name: "linux-2.6.27",
            about: "Linux 2.6.27 as released, with its latent bugs",
            switches: Self::LINUX_2_6_27,
        },
        KernelPreset {
            name: "linux-2.6.22",
            about: "The same with the page cache's lookups under tree_lock, as in Linux 2.6.22",
            switches: Self::LINUX_2_6_22,
        },
    ];

    /// Whether the kernel has `fix`.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, fix: Fix) -> bool {
        self.fixes & (1 << fix as u8) != 0
    }

    /// Whether the kernel carries `mutant`.
    #[inline(always)]
    #[must_use]
    pub const fn mutant(self, mutant: Mutant) -> bool {
        self.mutants & (1 << mutant as u8) != 0
    }

    /// The same with `fix`.
    #[must_use]
    pub const fn with(self, fix: Fix) -> Self {
        Self { fixes: self.fixes | (1 << fix as u8), ..self }
    }

    /// The same without `fix`.
    #[must_use]
    pub const fn without(self, fix: Fix) -> Self {
        Self { fixes: self.fixes & !(1 << fix as u8), ..self }
    }

    /// The same carrying `mutant`, and without the fix that the mutant leaves out.
    #[must_use]
    pub const fn with_mutant(self, mutant: Mutant) -> Self {
        let mutated = Self { mutants: self.mutants | (1 << mutant as u8), ..self };
        match mutant.info().without {
            Some(fix) => mutated.without(fix),
            None => mutated,
        }
    }

    /// Of the mutants it carries, those that `reached` has not: a bit each, as [`Zone::reached_mutants`] yields them.
    pub fn mutants_beyond(self, reached: u32) -> impl Iterator<Item = Mutant> {
        self.mutants().filter(move |&mutant| reached & (1 << mutant as u8) == 0)
    }

    /// The mutants it carries.
    pub fn mutants(self) -> impl Iterator<Item = Mutant> {
        Mutant::ALL.into_iter().filter(move |&mutant| self.mutant(mutant))
    }
}

/// A kernel that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelPreset {
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// What it is, in a sentence without its full stop.
    pub about: &'static str,
    /// Its switches.
    pub switches: Switches,
}

impl KernelPreset {
    /// The preset of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Switches::PRESETS.into_iter().find(|preset| preset.name == name)
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self::FIXED
    }
}

impl Zone {
    /// The kernel that manages the zone: what its paths ask at the steps that differ.
    #[inline(always)]
    pub fn switches(&self) -> Switches {
        self.switches.get()
    }

    /// Whether the kernel that runs carries `mutant`; asked exactly where the mutant goes another way, and noted if it does.
    #[inline(always)]
    pub fn mutant(&self, mutant: Mutant) -> bool {
        let carried = self.switches().mutant(mutant);
        if carried {
            self.reached.set(self.reached.get() | 1 << mutant as u8);
        }
        carried
    }

    /// The mutants whose line was reached since the machine was made or [`Self::forget_reached`]: a bit each, by number.
    pub fn reached_mutants(&self) -> u32 {
        self.reached.get()
    }

    /// What was reached so far was only the way to where something begins.
    pub fn forget_reached(&self) {
        self.reached.set(0);
    }

    /// Chooses the kernel. Before the first step: a kernel does not change while it runs.
    pub fn set_switches(&self, switches: Switches) {
        self.switches.set(switches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_is_found_by_its_own_name_only() {
        for fix in Fix::ALL {
            assert_eq!(Fix::from_name(fix.info().name), Some(fix));
        }
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::from_name(mutant.info().name), Some(mutant));
        }
        assert_eq!(Fix::from_name("skip-recheck"), None);
    }

    #[test]
    fn presets_differ_by_the_fixes_they_are_named_after() {
        assert!(Fix::ALL.into_iter().all(|fix| Switches::FIXED.has(fix)));
        let has = |fix: &Fix| Switches::LINUX_2_6_27.has(*fix);
        assert_eq!(Fix::ALL.iter().copied().filter(has).collect::<Vec<_>>(), [Fix::LocklessLookup]);
        assert_eq!(Switches::LINUX_2_6_22.with(Fix::LocklessLookup), Switches::LINUX_2_6_27);
        assert!(!Switches::FIXED.without(Fix::RereadSlot).has(Fix::RereadSlot));
    }

    #[test]
    fn a_mutant_that_is_a_missing_fix_takes_the_fix_away() {
        let mutated = Switches::FIXED.with_mutant(Mutant::StaleSlotWrongPage);
        assert!(mutated.mutant(Mutant::StaleSlotWrongPage) && !mutated.has(Fix::RetiredSlotRetry));
        assert_eq!(mutated.mutants().collect::<Vec<_>>(), [Mutant::StaleSlotWrongPage]);
    }
}
