//! Reading a scenario, and saying exactly what is wrong with one.

use pagewalk_input::{Place, Refusal, find, offset_of, read_text};

use crate::Scenario;

/// The longest scenario or case accepted, in bytes: 1 MiB.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// The scenario in a file, checked, and its text.
///
/// # Errors
/// When the file cannot be read, or as [`parse_scenario_str`].
pub fn read_scenario(name: &str) -> Result<(Scenario, String), Refusal> {
    let text = read_text(name, "scenario", MAX_BYTES)?;
    Ok((parse_scenario_str(name, &text)?, text))
}

/// Reads a scenario; `name` is what messages call it. No text makes it panic.
///
/// # Errors
/// When it is not RON of the form that `docs/explore.md` describes, or names what is not there.
pub fn parse_scenario_str(name: &str, text: &str) -> Result<Scenario, Refusal> {
    let scenario: Scenario = ron::from_str(text).map_err(|error| {
        let range = offset_of(text, error.span.start)..offset_of(text, error.span.end);
        Refusal::new(Place::in_text(name, text, range), error.code.to_string())
    })?;
    scenario.check().map_err(|problem| {
        let place = Place::in_text(name, text, find(text, &problem.word));
        Refusal::new(place, problem.message)
    })?;
    Ok(scenario)
}
