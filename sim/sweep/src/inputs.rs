//! The files that points name: read and digested once, when the sweep is planned.
//!
//! Machines and scenarios are kept as they were then. A trace may be larger than memory and is read again by each point: whether it is still
//! the same file is looked at before a result is kept.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};

use pagewalk_explore::{Scenario, read_scenario};
use pagewalk_input::{Place, Refusal};
use pagewalk_machine::Machine;
use sha2::{Digest, Sha256};

use super::point::Values;

/// What the points of a sweep name.
#[derive(Debug, Default)]
pub struct Inputs {
    machines: BTreeMap<String, (Machine, String)>,
    scenarios: BTreeMap<String, (Scenario, String)>,
    traces: BTreeMap<String, (Identity, String)>,
}

/// Which file it is, and in what state: changes with its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    bytes: u64,
    /// Device, inode, and when it was last written, in seconds and nanoseconds; zeros where there is no such thing.
    version: [i64; 4],
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let version = {
            use std::os::unix::fs::MetadataExt;
            [
                metadata.dev().cast_signed(),
                metadata.ino().cast_signed(),
                metadata.mtime(),
                metadata.mtime_nsec(),
            ]
        };
        #[cfg(not(unix))]
        let version = [0; 4];
        Self { bytes: metadata.len(), version }
    }
}

impl Inputs {
    /// Reads what points name.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what it should be.
    pub fn read<'a>(points: impl Iterator<Item = &'a Values>) -> Result<Self, Refusal> {
        let mut inputs = Self::default();
        for values in points {
            if let Some(name) = scenario(values) {
                if !inputs.scenarios.contains_key(name) {
                    let (scenario, text) = read_scenario(name)?;
                    inputs.scenarios.insert(name.to_owned(), (scenario, digest([text.as_str()])));
                }
                continue;
            }
            let name = machine(values);
            if !inputs.machines.contains_key(name) {
                let (machine, text) = Machine::read(name)?;
                inputs.machines.insert(name.to_owned(), (machine, digest([&*text])));
            }
            for name in traces(values) {
                if !inputs.traces.contains_key(name) {
                    let trace = read_trace(name).map_err(|error| unreadable(name, &error.to_string()))?;
                    inputs.traces.insert(name.to_owned(), trace);
                }
            }
        }
        Ok(inputs)
    }

    /// The machine of a point, before its own settings.
    pub(super) fn machine(&self, values: &Values) -> Machine {
        self.machines.get(machine(values)).expect("all machines were read").0.clone()
    }

    /// The scenario of a point, if it has one.
    pub(super) fn scenario(&self, values: &Values) -> Option<&Scenario> {
        scenario(values).map(|name| &self.scenarios.get(name).expect("all scenarios were read").0)
    }

    /// The name of a point: a digest of configuration, contents of its files, seed and version.
    pub(super) fn id(&self, values: &Values) -> String {
        let settings = values.iter().map(|(name, value)| format!("{name}={value}"));
        let files: Vec<&String> = match scenario(values) {
            Some(name) => self.scenarios.get(name).map(|(_, digest)| digest).into_iter().collect(),
            None => {
                let machine = self.machines.get(machine(values)).map(|(_, digest)| digest);
                let traces = traces(values).filter_map(|name| Some(&self.traces.get(name)?.1));
                machine.into_iter().chain(traces).collect()
            }
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let all: Vec<String> =
            std::iter::once(version).chain(settings).chain(files.into_iter().cloned()).collect();
        digest(all.iter().map(String::as_str))
    }

    /// Whether the traces of a point are as they were read.
    ///
    /// # Errors
    /// If one is gone or has changed.
    pub(super) fn check(&self, values: &Values) -> Result<(), Refusal> {
        for name in traces(values) {
            let now = fs::metadata(name).map_err(|error| unreadable(name, &error.to_string()))?;
            if self.traces.get(name).is_some_and(|(identity, _)| *identity != Identity::of(&now)) {
                return Err(unreadable(name, "it has changed since the sweep began"));
            }
        }
        Ok(())
    }
}

fn unreadable(name: &str, why: &str) -> Refusal {
    Refusal::new(Place::File { file: name.to_owned() }, format!("cannot read it: {why}"))
        .expected("a trace that the sweep names")
}

/// The traces of a point.
pub(super) fn traces(values: &Values) -> impl Iterator<Item = &str> {
    values.get("trace").into_iter().flat_map(|traces| traces.split_whitespace())
}

fn machine(values: &Values) -> &str {
    values.get("machine").map_or("default", |name| name)
}

fn scenario(values: &Values) -> Option<&str> {
    values.get("scenario").map(|name| &**name)
}

/// Which file a trace is, and the digest of its contents.
fn read_trace(name: &str) -> io::Result<(Identity, String)> {
    // Opening a pipe would wait for who writes it.
    let metadata = fs::metadata(name)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut file = File::open(name)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok((Identity::of(&metadata), hexadecimal(&hash.finalize())));
        }
        hash.update(&piece[..count]);
    }
}

/// 128 bits of the digest of some words, in hexadecimal.
pub(super) fn digest<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    hexadecimal(&hash.finalize())[..32].to_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_trace_that_changes_is_noticed() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"one").expect("it can be written");
        let name = file.path().to_str().expect("a plain name").to_owned();
        let point = Values::from([("trace".into(), name.as_str().into())]);
        let inputs = Inputs::read([&point].into_iter()).expect("it is there");
        assert!(inputs.check(&point).is_ok());
        file.write_all(b"two").expect("it can be written");
        let changed = inputs.check(&point).expect_err("it has changed");
        assert!(changed.message.contains("changed since"), "{changed}");
        assert_ne!(inputs.id(&point), Inputs::read([&point].into_iter()).expect("it is there").id(&point));
        drop(file);
        assert!(inputs.check(&point).is_err());
    }
}
