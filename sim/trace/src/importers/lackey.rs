//! Logs of Valgrind's lackey, as one of the formats to import: of accesses alone, or with system calls and threads.

use super::{AnyTraceWriter, ImportOptions, Importer};
use crate::error::TraceError;
use crate::lackey::{import_lackey_up_to, is_line};
use crate::valgrind::{Log, LogOptions, has_calls, import_logs};

/// One log for each process of a command.
pub(super) struct Lackey;

impl Importer for Lackey {
    fn name(&self) -> &'static str {
        "lackey"
    }

    fn about(&self) -> &'static str {
        "Valgrind's lackey with --trace-mem=yes, with or without system calls and threads; mappings that no call made are \
         inferred"
    }

    fn sniff(&self, start: &[u8], _name: &str) -> bool {
        let mut lines =
            start.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        // An empty log is one of a program that did nothing.
        lines.find(|line| !line.trim_ascii().is_empty()).is_none_or(is_line)
    }

    fn import(
        &self,
        inputs: Vec<Log<'_>>,
        options: ImportOptions,
        writer: &mut AnyTraceWriter<'_>,
    ) -> Result<(), TraceError> {
        let mut calls = inputs.len() > 1;
        let mut logs = Vec::new();
        for Log { name, input } in inputs {
            let (found, input) = has_calls(input).map_err(|e| TraceError::io(&name, e))?;
            calls |= found;
            logs.push(Log { name, input });
        }
        match logs.pop() {
            Some(log) if !calls => import_lackey_up_to(options.max_accesses, log.input, &log.name, writer),
            last => {
                logs.extend(last);
                let ImportOptions { max_accesses, look } = options;
                import_logs(logs, LogOptions { look, max_accesses, ..LogOptions::default() }, writer)
            }
        }
    }
}
