//! Rules that bind several parameters together, which no single value can keep by itself.

use super::{Machine, Replacement, TlbArray, WalkCache, Ways};

/// The most arrays one level of a TLB may have on one side.
const MAX_ARRAYS: usize = 8;

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
        let (slack, quantum) = (self.scheduler.slack.get(), self.scheduler.quantum.get());
        if slack > quantum {
            let reason = format!("slack {slack} is more than the quantum {quantum}");
            return Err(Conflict::new("scheduler.slack", reason, format!("at most {quantum}")));
        }
        Ok(())
    }
}

fn check_arrays(path: &str, arrays: &[TlbArray]) -> Result<(), Conflict> {
    if arrays.len() > MAX_ARRAYS {
        let reason = format!("{} arrays are too many for one level", arrays.len());
        return Err(Conflict::new(path, reason, format!("at most {MAX_ARRAYS} arrays")));
    }
    for (index, array) in arrays.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check_ways(&path, array.entries.get(), array.ways)?;
        let ways = array.ways.of_entries(array.entries.get());
        if array.replacement == Replacement::TreePlru && !ways.is_power_of_two() {
            let reason = format!("tree_plru needs a power of two of ways, not {ways}");
            return Err(Conflict::new(format!("{path}.replacement"), reason, "lru, or 1, 2, 4, 8, ... ways"));
        }
    }
    Ok(())
}

fn check_walk_cache(path: &str, cache: &WalkCache) -> Result<(), Conflict> {
    if cache.entries.get() == 0 { Ok(()) } else { check_ways(path, cache.entries.get(), cache.ways) }
}

fn check_ways(path: &str, entries: u64, ways: Ways) -> Result<(), Conflict> {
    let Ways::Count(ways) = ways else { return Ok(()) };
    let ways = u64::from(ways);
    if entries.is_multiple_of(ways) {
        return Ok(());
    }
    let reason = format!("entries {entries} is not a multiple of ways {ways}");
    let below = entries / ways * ways;
    let near = if below == 0 { format!("{ways}") } else { format!("{below} or {}", below + ways) };
    Err(Conflict::new(path, reason, format!("{near} entries, or other ways")))
}
