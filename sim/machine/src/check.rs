//! Rules that bind several parameters together, which no single value can keep by itself.

use super::{Machine, PageSize, TlbArray, WalkCache, Ways};

/// Swap areas there can be (MAX_SWAPFILES of Linux 2.6.27, less two for migration).
const MOST_SWAP_AREAS: usize = 30;

/// Two parameters that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path of the value to change.
    pub path: String,
    /// What does not fit, in one line without the path.
    pub reason: String,
    /// What would fit.
    pub expected: String,
}

impl Conflict {
    fn new(path: impl Into<String>, reason: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), expected: expected.into() }
    }
}

impl Machine {
    /// The first rule between parameters that does not hold.
    ///
    /// # Errors
    /// The conflict, with the path to change. A machine that was read from a text has been checked.
    pub fn check(&self) -> Result<(), Conflict> {
        for (path, arrays) in
            [("tlb.l1i", &self.tlb.l1i), ("tlb.l1d", &self.tlb.l1d), ("tlb.l2", &self.tlb.l2)]
        {
            check_arrays(path, arrays)?;
        }
        check_first_level("tlb.l1i", &self.tlb.l1i)?;
        check_first_level("tlb.l1d", &self.tlb.l1d)?;
        let caches = &self.walk_caches;
        for (path, cache) in [
            ("walk_caches.pml5e", &caches.pml5e),
            ("walk_caches.pml4e", &caches.pml4e),
            ("walk_caches.pdpte", &caches.pdpte),
            ("walk_caches.pde", &caches.pde),
        ] {
            check_walk_cache(path, cache)?;
        }
        let (batch, high) = (self.kernel.pcp_batch.get(), self.kernel.pcp_high.get());
        if high < batch {
            let reason = format!("pcp_high {high} is less than pcp_batch {batch}");
            return Err(Conflict::new("kernel.pcp_high", reason, format!("at least {batch}")));
        }
        if self.swap.len() > MOST_SWAP_AREAS {
            let reason = format!("{} swap areas", self.swap.len());
            return Err(Conflict::new("swap", reason, format!("at most {MOST_SWAP_AREAS}")));
        }
        let (slack, quantum) = (self.scheduler.slack.get(), self.scheduler.quantum.get());
        if slack > quantum {
            let reason = format!("slack {slack} is more than the quantum {quantum}");
            return Err(Conflict::new("scheduler.slack", reason, format!("at most {quantum}")));
        }
        Ok(())
    }
}

/// Every array by itself, and that no page size is held by two arrays of a level.
fn check_arrays(path: &str, arrays: &[TlbArray]) -> Result<(), Conflict> {
    for (index, array) in arrays.iter().enumerate() {
        let at = format!("{path}[{index}]");
        check_ways(&at, array.entries.get(), array.ways)?;
        for (earlier, other) in arrays[..index].iter().enumerate() {
            let held = other.page_sizes.as_slice();
            if let Some(size) = array.page_sizes.as_slice().iter().find(|size| held.contains(size)) {
                let reason = format!("{path}[{earlier}] holds pages of {} too", size.name());
                let at = format!("{at}.page_sizes");
                return Err(Conflict::new(at, reason, "each page size in one array of a level"));
            }
        }
    }
    Ok(())
}

/// A first level without base pages could not hold what a walk finds.
fn check_first_level(path: &str, arrays: &[TlbArray]) -> Result<(), Conflict> {
    let base = |array: &TlbArray| array.page_sizes.as_slice().contains(&PageSize::Base);
    if arrays.iter().any(base) {
        return Ok(());
    }
    Err(Conflict::new(path, "no array holds pages of 4 KiB", "an array with \"4 KiB\" in its page_sizes"))
}

fn check_walk_cache(path: &str, cache: &WalkCache) -> Result<(), Conflict> {
    if cache.entries.get() == 0 { Ok(()) } else { check_ways(path, cache.entries.get(), cache.ways) }
}

fn check_ways(path: &str, entries: u64, ways: Ways) -> Result<(), Conflict> {
    let ways = ways.of_entries(entries);
    if ways > Ways::MAX {
        let reason =
            format!("fully associative with {entries} entries: a set has at most {} ways", Ways::MAX);
        return Err(Conflict::new(format!("{path}.ways"), reason, format!("ways from 1 to {}", Ways::MAX)));
    }
    if entries.is_multiple_of(ways) {
        return Ok(());
    }
    let reason = format!("entries {entries} is not a multiple of ways {ways}");
    let below = entries / ways * ways;
    let near = if below == 0 { format!("{ways}") } else { format!("{below} or {}", below + ways) };
    Err(Conflict::new(path, reason, format!("{near} entries, or other ways")))
}
