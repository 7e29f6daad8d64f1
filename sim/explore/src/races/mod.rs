//! The races by number: which step comes between which, what is lost, and what shows it here.

mod cow;
mod files;
mod protocol;
mod swap;
mod tlb;

use pagewalk_pages::{Fix, Mutant};

/// What is told of one race.
///
/// Which mutants and fixes belong to it they say themselves ([`RaceInfo::mutants`], [`RaceInfo::fixes`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaceInfo {
    /// By which mutants and fixes name it: `R08b`.
    pub number: &'static str,
    /// In a few words: `stale-slot-wrong-page`.
    pub name: &'static str,
    /// Which step of which path comes between which steps of which other, and what is lost.
    pub what: &'static str,
    /// The invariants that it breaks.
    pub invariants: &'static [&'static str],
    /// The commit that closed it, with the first release that has it; or the mail or comment that describes it. `derived`:
    /// from the text of 2.6.27, reported by nobody. `synthetic`: a step left out, without such a mistake in history.
    pub source: &'static str,
    /// Whether Linux 2.6.27 as released has it.
    pub latent: bool,
    /// A later fix that brings it, to a kernel without the fix that closes it.
    pub brought_by: Option<Fix>,
    /// The shipped scenario that shows it: with its mutant or, if it has none, on `linux-2.6.27`.
    pub scenario: Option<&'static str>,
    /// Why nothing shows it yet: neither a mutant, nor a kernel without a fix.
    pub missing: Option<&'static str>,
}

/// The races, a group of paths at a time.
const GROUPS: [&[RaceInfo]; 5] = [&protocol::RACES, &files::RACES, &tlb::RACES, &cow::RACES, &swap::RACES];

/// Every race, in order.
pub fn races() -> impl Iterator<Item = &'static RaceInfo> {
    GROUPS.into_iter().flatten()
}

/// The race of this number, in whatever case.
#[must_use]
pub fn race(number: &str) -> Option<&'static RaceInfo> {
    races().find(|info| info.number.eq_ignore_ascii_case(number))
}

impl RaceInfo {
    /// The mutants that are this race.
    pub fn mutants(&self) -> impl Iterator<Item = Mutant> {
        Mutant::ALL.into_iter().filter(|mutant| self.is_among(mutant.info().race))
    }

    /// The later fixes that close it.
    pub fn fixes(&self) -> impl Iterator<Item = Fix> {
        Fix::ALL.into_iter().filter(|fix| self.is_among(fix.info().race))
    }

    /// Whether numbers as `R08, R08b` name it.
    fn is_among(&self, numbers: &str) -> bool {
        numbers.split(", ").any(|number| number == self.number)
    }

    const fn latent(self) -> Self {
        Self { latent: true, ..self }
    }

    const fn brought_by(self, fix: Fix) -> Self {
        Self { brought_by: Some(fix), ..self }
    }

    const fn in_scenario(self, scenario: &'static str) -> Self {
        Self { scenario: Some(scenario), ..self }
    }

    const fn missing(self, reason: &'static str) -> Self {
        Self { missing: Some(reason), ..self }
    }
}

/// A race that has a mutant, or that a fix closes.
const fn told(
    number: &'static str,
    name: &'static str,
    what: &'static str,
    invariants: &'static [&'static str],
    source: &'static str,
) -> RaceInfo {
    let (latent, brought_by, scenario, missing) = (false, None, None, None);
    RaceInfo { number, name, what, invariants, source, latent, brought_by, scenario, missing }
}

/// Reasons that several races share.
const NO_MUTANT: &str = "there is no mutant of it";
const NO_PIN: &str = "there is no mutant of it, and scenarios have no operation that pins a page";
const NO_SWAP: &str = "there is no mutant of it, and scenarios have no swap";
const WEAK_MEMORY: &str = "memory is sequentially consistent here; it needs a model of store buffers";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use pagewalk_kernel::invariant;

    #[test]
    fn numbers_are_unique_and_in_order_and_names_unique() {
        let mut expected: Vec<String> = (1..=68).map(|number| format!("R{number:02}")).collect();
        expected.insert(8, "R08b".into());
        assert_eq!(races().map(|info| info.number).collect::<Vec<_>>(), expected);
        let names: BTreeSet<&str> = races().map(|info| info.name).collect();
        assert_eq!(names.len(), expected.len());
    }

    #[test]
    fn a_race_breaks_invariants_of_the_catalogue() {
        for info in races() {
            assert!(!info.invariants.is_empty(), "{}", info.number);
            assert!(info.invariants.iter().all(|name| invariant(name).is_some()), "{}", info.number);
        }
    }

    #[test]
    fn every_race_that_a_mutant_or_fix_names_is_in_the_catalogue() {
        let mutants = Mutant::ALL.into_iter().map(|mutant| mutant.info().race);
        let named = mutants.chain(Fix::ALL.into_iter().map(|fix| fix.info().race));
        for number in named.flat_map(|numbers| numbers.split(", ")).filter(|number| !number.is_empty()) {
            assert!(races().any(|info| info.number == number), "{number}");
        }
    }

    #[test]
    fn what_is_shown_needs_no_reason_and_what_is_not_has_one() {
        for info in races() {
            let shown =
                info.mutants().next().is_some() || info.fixes().next().is_some() || info.scenario.is_some();
            assert_eq!(info.missing.is_none(), shown, "{}", info.number);
        }
    }

    #[test]
    fn what_a_fix_closes_the_released_kernel_has_or_another_fix_brings() {
        for info in races() {
            let had = info.latent || info.brought_by.is_some();
            assert_eq!(info.fixes().next().is_some(), had && info.missing.is_none(), "{}", info.number);
            assert!(!info.latent || info.brought_by.is_none(), "{}", info.number);
        }
    }

    #[test]
    fn a_race_is_found_by_its_number_in_whatever_case() {
        assert_eq!(race("r08B").map(|info| info.name), Some("stale-slot-wrong-page"));
        assert_eq!(race("R69"), None);
    }
}
