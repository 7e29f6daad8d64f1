//! `pagewalk trace`: capturing, importing, making and looking at traces.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pagewalk_input::{Place, Refusal};
use pagewalk_replay::diagnose;
use pagewalk_trace::{
    GeneratorSpec, IMPORTERS, ImportOptions, Importer, Log, PendingFile, TraceError, TraceFile, TraceSummary,
    TraceWriter, decompress, export_text, generate, sniff,
};
use serde_json::json;

use crate::capture::{self, CaptureArgs};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::named::one_of;
use crate::replay::write_answer;
use crate::style::ColorChoice;

/// Arguments of `pagewalk trace`.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    #[command(subcommand)]
    command: TraceCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum TraceCommand {
    /// Run a command and its children under Valgrind, and make a trace of them
    #[command(after_help = "Example:
  pagewalk trace capture -o sort.pwt -- sort -S 1M lines.txt

Needs Valgrind. Programs run about a hundred times slower than otherwise.")]
    Capture(CaptureArgs),
    /// Make a native trace from a log
    #[command(after_help = "Example:
  valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes --trace-sched=yes --trace-children=yes \\
      --log-file=/tmp/ls.%p ls -l
  pagewalk trace import /tmp/ls.* -o ls.pwt")]
    Import {
        /// The logs of one command, one for each process, plain or compressed with gzip or zstd; - reads standard input
        #[arg(required = true, value_name = "LOG")]
        logs: Vec<String>,
        /// What the logs are [default: what they begin like]
        #[arg(long, value_parser = one_of(IMPORTERS.iter().map(|format| (format.name(), format.about(), Format(*format)))))]
        format: Option<Format>,
        /// Record so many accesses and end there
        #[arg(long, value_name = "ACCESSES")]
        max: Option<u64>,
        #[command(flatten)]
        output: Output,
    },
    /// Say what is in a trace
    Info {
        /// Native traces
        #[arg(required = true, value_name = "TRACE")]
        traces: Vec<PathBuf>,
        /// How to answer
        #[arg(long, value_enum, default_value_t = InfoFormat::Text)]
        format: InfoFormat,
    },
    /// Make a synthetic trace from a few numbers and a seed
    #[command(after_help = "Example:
  pagewalk trace make 'pattern: zipf, pages: 4096, accesses: 1000000' -o zipf.pwt")]
    Make {
        /// A RON file with the generator's parameters, or the parameters themselves
        spec: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args, Clone, Debug)]
struct Output {
    /// The native trace to write; it appears when it is complete
    #[arg(long, short, value_name = "TRACE")]
    output: PathBuf,
    /// How hard to compress: 1 is fast, 19 is small
    #[arg(long, default_value_t = 3, value_name = "LEVEL", value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
}

/// A format to import.
#[derive(Clone, Copy)]
struct Format(&'static dyn Importer);

impl fmt::Debug for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.name())
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum InfoFormat {
    /// A summary for people
    Text,
    /// A summary for programs
    Json,
    /// The whole trace in its text twin, record by record
    Records,
}

/// Runs `pagewalk trace` and writes its answer.
pub fn run(args: &TraceArgs, color: ColorChoice) -> Exit {
    let mut exit = Exit::Held;
    let done = match &args.command {
        TraceCommand::Capture(capture) => capture::run(capture).and_then(|captured| {
            exit = captured;
            // Standard output is the command's.
            let name = capture.target().display().to_string();
            let file = TraceFile::open(&name).map_err(|error| diagnose(&error))?;
            let summary = TraceSummary::of(&file).map_err(|error| diagnose(&error))?;
            eprint!("{name}\n{summary}");
            Ok(())
        }),
        TraceCommand::Import { logs, format, max, output } => import(logs, *format, *max, output),
        TraceCommand::Info { traces, format } => {
            traces.iter().try_for_each(|trace| info(&trace.display().to_string(), *format))
        }
        TraceCommand::Make { spec, output } => make(spec, output),
    };
    match done {
        Ok(()) => exit,
        Err(refusal) => {
            eprint!("{}", refusal.to_text(color.for_stderr()));
            refusal.exit()
        }
    }
}

fn open_log(log: &str) -> io::Result<Box<dyn Read>> {
    if log == "-" { decompress(io::stdin()) } else { decompress(File::open(log)?) }
}

fn import(
    names: &[String],
    format: Option<Format>,
    max: Option<u64>,
    output: &Output,
) -> Result<(), Refusal> {
    let mut logs = Vec::new();
    for name in names {
        let name = if name == "-" { "standard input" } else { name };
        let refused = |error: io::Error| {
            Refusal::new(Place::File { file: name.to_owned() }, format!("cannot be read: {error}"))
        };
        let input = open_log(if name == "standard input" { "-" } else { name }).map_err(refused)?;
        logs.push(Log { name: name.to_owned(), input });
    }
    let (importer, logs) = match format {
        Some(Format(importer)) => (importer, logs),
        None => sniff(logs).map_err(|error| diagnose(&error).help("--format NAME says what the logs are"))?,
    };
    let trace = || {
        let mut file = PendingFile::create(&output.output)?;
        let mut writer = TraceWriter::within(&mut file, output.level)?;
        importer.import(logs, ImportOptions { max_accesses: max, look: true }, &mut writer)?;
        writer.finish()?;
        file.commit()
    };
    trace().map_err(|error| diagnose(&error))?;
    info(&output.output.display().to_string(), InfoFormat::Text)
}

fn make(spec: &str, output: &Output) -> Result<(), Refusal> {
    let spec = read_spec(spec)?;
    let trace = || {
        let mut writer = TraceWriter::create(&output.output, output.level)?;
        generate(&spec, &mut writer)?;
        writer.finish()
    };
    trace().map_err(|error: TraceError| diagnose(&error))?;
    info(&output.output.display().to_string(), InfoFormat::Text)
}

/// Said where the parameters of a generator cannot be read.
const PARAMETERS: &str = "every parameter but `pattern` may be left out; docs/guide.md lists them";

/// The largest file of generator parameters that is read.
const MAX_SPEC_BYTES: u64 = 64 << 10;

fn read_spec(spec: &str) -> Result<GeneratorSpec, Refusal> {
    let inline = spec.contains(':');
    let text = if inline { Ok(spec.to_owned()) } else { read_small(spec) };
    let text = text.map_err(|error| {
        Refusal::new(Place::File { file: spec.to_owned() }, format!("cannot be read: {error}"))
            .help("parameters can also stand on the command line, as in 'pattern: uniform, pages: 4096'")
    })?;
    parse_generator_str(if inline { "SPEC" } else { spec }, &text)
}

/// The generator parameters in `text`, with or without the outer parentheses. `name` is the text's name in messages.
///
/// # Errors
/// If the text is no RON, names an unknown parameter, or a value is of the wrong type or out of its range.
pub fn parse_generator_str(name: &str, text: &str) -> Result<GeneratorSpec, Refusal> {
    let bare = !text.trim_start().starts_with('(');
    let wrapped = if bare { format!("({text})") } else { text.to_owned() };
    let parsed: Result<GeneratorSpec, _> = ron::Options::default().from_str(&wrapped);
    let spec = parsed.map_err(|error| {
        let start = error.span.start;
        let before: usize =
            wrapped.split_inclusive('\n').take(start.line.saturating_sub(1)).map(str::len).sum();
        let rest = &wrapped[before..];
        let column = rest.char_indices().nth(start.col.saturating_sub(1)).map_or(rest.len(), |(n, _)| n);
        let marked = rest[column..].chars().next().map_or(0, char::len_utf8);
        let place = Place::in_text(name, &wrapped, before + column..before + column + marked);
        Refusal::new(place, error.code.to_string()).help(PARAMETERS)
    })?;
    spec.validate().map_err(|error| diagnose(&error))?;
    Ok(spec)
}

fn read_small(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_SPEC_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn info(name: &str, format: InfoFormat) -> Result<(), Refusal> {
    let refused = |error: TraceError| diagnose(&error);
    let file = TraceFile::open(name).map_err(refused)?;
    if format == InfoFormat::Records {
        return match export_text(&file, io::stdout().lock()) {
            // A reader that went away has what it wanted.
            Err(TraceError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(refused),
        };
    }
    let summary = TraceSummary::of(&file).map_err(refused)?;
    let text = match format {
        InfoFormat::Text => format!("{name}\n{summary}"),
        InfoFormat::Json | InfoFormat::Records => to_json(name, &file, &summary),
    };
    write_answer(&text, Exit::Held);
    io::stdout().flush().unwrap_or_default();
    Ok(())
}

fn to_json(name: &str, file: &TraceFile, summary: &TraceSummary) -> String {
    let [fetches, loads, stores, modifies] = summary.totals.by_op;
    let provenance = &summary.totals.provenance;
    let threads: Vec<_> = file
        .threads()
        .iter()
        .map(|thread| json!({"pid": thread.pid, "tid": thread.tid, "accesses": thread.accesses, "events": thread.events}))
        .collect();
    let value = json!({
        "schema": "pagewalk.trace-info/1",
        "file": name,
        "bytes": summary.header.file_len,
        "accesses": summary.totals.accesses(),
        "fetches": fetches,
        "loads": loads,
        "stores": stores,
        "modifies": modifies,
        "events": summary.totals.events(),
        "source": provenance.source,
        "command": provenance.command,
        "notes": provenance.notes,
        "threads": threads,
    });
    format!("{value:#}\n")
}
