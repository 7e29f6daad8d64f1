//! The file in which a search by state keeps what it has found.

use std::cell::Cell;
use std::fs::File;
use std::hash::Hash;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use pagewalk_engine::Digest;
use pagewalk_explore::{Scenario, StateGraph, StrategyKind};
use pagewalk_input::{Place, Refusal, WholeFile};

use super::args::ExploreArgs;

/// How often it is written.
const PAUSE: Duration = Duration::from_secs(30);

/// The file of one search.
pub(super) struct Checkpoint {
    file: PathBuf,
    /// The scenario, the kernel and the version as a number.
    subject: u128,
    written: Cell<Duration>,
}

impl Checkpoint {
    /// The file that `args` name, if they name one.
    ///
    /// # Errors
    /// If the search is not one by state.
    pub(super) fn of(args: &ExploreArgs, scenario: &Scenario) -> Result<Option<Self>, Refusal> {
        let Some(file) = &args.checkpoint else { return Ok(None) };
        if !matches!(args.strategy, StrategyKind::Auto | StrategyKind::States) {
            let name = args.strategy.name();
            let place = Place::in_option("--strategy", name, 0..name.len());
            let message = "only a search by state goes on from a checkpoint".to_owned();
            return Err(Refusal::new(place, message).expected("states"));
        }
        let mut digest = Digest::default();
        format!("{scenario:?}").hash(&mut digest);
        args.kernel.names().words().hash(&mut digest);
        env!("CARGO_PKG_VERSION").hash(&mut digest);
        Ok(Some(Self { file: file.clone(), subject: digest.value(), written: Cell::default() }))
    }

    /// What it holds; nothing is known if there is none yet.
    ///
    /// # Errors
    /// If it is not whole, or of something else.
    pub(super) fn load(&self) -> Result<StateGraph, Refusal> {
        let wrong = |why: String| {
            let name = self.file.display().to_string();
            let place = Place::in_text(&name, "", 0..0);
            Refusal::new(place, format!("the search cannot go on from this file: {why}"))
                .help("remove it to begin anew")
        };
        match File::open(&self.file) {
            Ok(file) => {
                let read = StateGraph::read_from(&mut BufReader::new(file), self.subject);
                read.map_err(|error| wrong(error.to_string()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(StateGraph::new()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Writes it, if it was long ago.
    pub(super) fn save_if_due(&self, graph: &StateGraph, now: Duration) -> Result<(), Refusal> {
        if now < self.written.get() + PAUSE {
            return Ok(());
        }
        self.written.set(now);
        self.save(graph)
    }

    /// Writes it.
    ///
    /// # Errors
    /// If it cannot be written; what was there stays.
    pub(super) fn save(&self, graph: &StateGraph) -> Result<(), Refusal> {
        let mut file = WholeFile::create(&self.file)?;
        file.write(|out| graph.write_to(out, self.subject))?;
        file.finish()
    }
}
