//! The mutants, kernels that are wrong by one step: one entry each.

use std::fmt;

use super::Fix;

/// What is told of a [`Mutant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutantInfo {
    /// Its name on the command line: `skip-recheck`.
    pub name: &'static str,
    /// The race it is, by the catalogue's number; more than one where it changes more than one path.
    pub race: &'static str,
    /// The invariants that it breaks, the most telling first; one of them must catch it.
    pub invariants: &'static [&'static str],
    /// The fix that is left out with it: whose absence it is, or which hides it.
    pub without: Option<Fix>,
    /// What it does.
    pub what: &'static str,
}

/// The mutants in the order of their numbers: variant, name, number of the race, the invariants that it breaks, the fix that is left out
/// with it, and what it does. The sentence is the variant's documentation, too.
macro_rules! mutants {
    ($($mutant:ident $name:literal, race $race:literal, breaks $invariants:expr, without $without:expr => $what:literal;)*) => {
        /// A kernel wrong by one step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Mutant {
            $(#[doc = $what] $mutant,)*
        }

        /// By [`Mutant`].
        const MUTANTS: &[MutantInfo] = &[$(MutantInfo {
            name: $name,
            race: $race,
            invariants: $invariants,
            without: $without,
            what: $what,
        },)*];

        impl Mutant {
            /// Every mutant.
            pub const ALL: [Self; MUTANTS.len()] = [$(Self::$mutant,)*];
        }
    };
}

mutants! {
    SkipRecheck "skip-recheck", race "R01", breaks &["I9"], without None =>
        "The lookup does not compare the slot again after it has taken its reference (step 3).";
    PlainInc "plain-inc", race "R02", breaks &["I2", "I4", "I1"], without None =>
        "The lookup increments the count whatever it is, also where it is 0 (step 2).";
    CheckThenRemove "check-then-remove", race "R03, R62", breaks &["I3", "I2", "I1", "I4", "I6"], without None =>
        "The remover compares the count and then stores 0, in two steps, instead of freezing it by \
         compare-and-swap (step A): a reference that a lookup takes between them is lost.";
    FreezeLeakDirty "freeze-leak-dirty", race "R05", breaks &["I6", "I27", "I1"], without None =>
        "A remover that finds the frozen page dirty leaves without restoring its count.";
    StaleSlotAfterShrink "stale-slot-after-shrink", race "R08", breaks &["I27"], without Some(Fix::RetiredSlotRetry) =>
        "A gang lookup keeps the address of a slot in a node that a shrinking tree has dropped, and spins \
         on the old page.";
    StaleSlotWrongPage "stale-slot-wrong-page", race "R08b", breaks &["I9", "I15"], without Some(Fix::RetiredSlotRetry) =>
        "A lookup compares the slot it kept in a dropped node, which still shows a page that is a \
         stranger's by now.";
    NodeZeroedBeforeGrace "node-zeroed-before-grace", race "R09", breaks &["I34", "I9"], without None =>
        "A node that leaves the tree is emptied at once, while lookups may still be in it.";
    NodeFreedNoGrace "node-freed-no-grace", race "R10", breaks &["I33", "I9"], without None =>
        "A node that leaves the tree is freed at once, without a grace period.";
    PublishBeforeInit "publish-before-init", race "R11", breaks &["I7", "I23", "I25", "I27", "I2"], without None =>
        "A page is put into the tree before its mapping, index, lock and the cache's reference are set.";
    SetCountClobber "set-count-clobber", race "R13", breaks &["I5", "I1", "I3"], without None =>
        "A new owner of a page stores its count a second time, over a reference that a lookup has added \
         meanwhile.";
    FaultNoIsizeRecheck "fault-no-isize-recheck", race "R21", breaks &["I26"], without None =>
        "A fault does not compare with the end of the file again once it holds the page's lock.";
    ZapFreeBeforeFlush "zap-free-before-flush", race "R36", breaks &["I19", "I2", "I14"], without None =>
        "A page is put when its entry is cleared, before the TLBs are flushed.";
    ZapDropDirty "zap-drop-dirty", race "R28", breaks &["I15", "I16"], without None =>
        "Unmapping reads an entry and then stores none, instead of exchanging it: a dirty bit that the \
         hardware sets between is lost.";
    WpRmapBeforeFlush "wp-rmap-before-flush", race "R44", breaks &["I29", "I14"], without Some(Fix::ReuseByCount) =>
        "A copy-on-write fault takes the old page's mapping away before the entry is switched and the TLBs \
         are flushed. Whoever else has the page looks alone. (Since 5.9 references are counted, not \
         mappings, and nobody asks.)";
    SwapFreeBeforeRmap "swap-free-before-rmap", race "R54", breaks &["I29", "I14"], without None =>
        "A swap-in frees its swap entry and unlocks the page before it stores the entry and counts the \
         mapping.";
    SwapPteBeforeDup "swap-pte-before-dup", race "R55", breaks &["I11", "I12"], without None =>
        "Reclaim stores a swap entry in a page table and counts it only after the page table's lock is \
         released.";
    LruIsolatePlainInc "lru-isolate-plain-inc", race "R18", breaks &["I2", "I3", "I1", "I22"], without None =>
        "A page is taken off the LRU lists with a plain increment of its count, even from 0: the CPU that \
         has put the last reference frees it all the same.";
    WritebackWakeOnce "writeback-wake-once", race "R32", breaks &["I24"], without None =>
        "A waiter for the end of a writeback does not look again when it is woken. The wake may belong to \
         an earlier writeback and come late.";
    SwitchMmBitLate "switch-mm-bit-late", race "R40", breaks &["I19", "I20", "I14", "I2"], without None =>
        "A CPU joins the mask of an address space only after it has loaded the tables. A flush between the \
         two passes over it, and it goes on with what its TLB has kept under the address space's tag \
         (PCID).";
    SwapoffMissesMm "swapoff-misses-mm", race "R61", breaks &["I31", "I27"], without None =>
        "fork does not put the child on the list of address spaces that swapoff looks through: swapoff \
         finds an entry in use that nobody on the list has.";
}

impl Mutant {
    /// What is told of it.
    #[must_use]
    pub const fn info(self) -> &'static MutantInfo {
        &MUTANTS[self as usize]
    }

    /// The mutant of this name; `_` is read as `-`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|mutant| mutant.info().name == name)
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.info().name)
    }
}
