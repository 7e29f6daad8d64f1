//! `pagewalk trace capture`: runs a command and its children under Valgrind, and makes a trace of them while they run.
//!
//! Each program of each process writes a log, which is read as it grows and given back to the disk behind the reader.

mod launcher;
mod process;
mod tail;

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use pagewalk_input::{Place, Refusal};
use pagewalk_replay::diagnose;
use pagewalk_trace::{LogImport, LogOptions, TraceError, TraceWriter, Turn};
use process::{inherited_files, kill, resolve};
use tail::Watch;

use crate::exit::Exit;

/// How long to sleep when no log has grown.
const PAUSE: Duration = Duration::from_millis(1);

/// Arguments of `pagewalk trace capture`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CaptureArgs {
    /// The native trace to write; it appears when it is complete [default: the command's name with .pwt]
    #[arg(long, short, value_name = "TRACE")]
    pub(crate) output: Option<PathBuf>,
    /// How hard to compress: 1 is fast, 19 is small
    #[arg(long, default_value_t = 3, value_name = "LEVEL", value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// Record so many accesses and end there; the command is stopped
    #[arg(long, value_name = "ACCESSES", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// The command, after --
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl CaptureArgs {
    /// Where the trace will be.
    pub(crate) fn target(&self) -> PathBuf {
        let name = Path::new(&self.command[0]).file_name().unwrap_or_default();
        self.output.clone().unwrap_or_else(|| Path::new(name).with_extension("pwt"))
    }
}

/// Why a capture ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All processes ended.
    Complete,
    /// As many accesses as asked for were recorded.
    Full,
    /// Ctrl-C.
    Interrupted,
}

/// Captures a trace, and says on standard error how the command ended.
pub(crate) fn run(args: &CaptureArgs) -> Result<Exit, Refusal> {
    let no_directory = |error| {
        refused(&std::env::temp_dir().display().to_string(), format!("no directory for logs: {error}"))
    };
    let aside = tempfile::Builder::new().prefix("pagewalk-capture").tempdir().map_err(no_directory)?;
    let directory = aside.path().join("logs");
    std::fs::create_dir(&directory).map_err(no_directory)?;
    let mut writer = TraceWriter::create(args.target(), args.level).map_err(|error| diagnose(&error))?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&interrupted);
    // A second handler cannot be set; there is none before.
    let _ = ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed));
    let mut child = launcher::start(&args.command, &directory, aside.path())?;
    let mut watch = Watch::new(&directory, child.id());
    let ended = follow(&mut writer, args, &mut child, &mut watch, &interrupted);
    let end = match ended {
        Ok(end) => end,
        Err(error) => {
            stop(&mut child, &watch);
            return Err(diagnose(&error));
        }
    };
    if end != End::Complete {
        stop(&mut child, &watch);
    }
    let status =
        child.wait().map_err(|error| refused(&args.command[0], format!("cannot be waited for: {error}")))?;
    if !watch.found_any() {
        let message = format!("did not start under Valgrind, which ended with {status}");
        return Err(refused(&args.command[0], message));
    }
    writer.finish().map_err(|error| diagnose(&error))?;
    Ok(report(&args.command[0], end, status))
}

fn refused(file: &str, message: String) -> Refusal {
    Refusal::new(Place::File { file: file.to_owned() }, message)
}

/// Reads the logs until all processes have ended, or enough was recorded.
fn follow<W: std::io::Write>(
    writer: &mut TraceWriter<W>,
    args: &CaptureArgs,
    child: &mut Child,
    watch: &mut Watch,
    interrupted: &AtomicBool,
) -> Result<End, TraceError> {
    let directory = std::env::current_dir().ok().and_then(|path| path.to_str().map(str::to_owned));
    let options = LogOptions {
        program: resolve(&args.command[0]),
        directory,
        open_files: inherited_files(),
        look: true,
        max_accesses: args.max,
    };
    let mut import = LogImport::new(writer, options, true);
    let mut end = End::Complete;
    loop {
        if interrupted.load(Ordering::Relaxed) && end == End::Complete {
            // What the logs already hold is still read.
            end = End::Interrupted;
            stop(child, watch);
        }
        let over = child.try_wait().is_ok_and(|status| status.is_some());
        for log in watch.look(over) {
            import.add_log(log.pid, log.root, &log.name, log.tail)?;
        }
        if watch.all_ended() {
            import.no_more_logs();
        }
        match import.turn()? {
            Turn::Progress => {}
            Turn::Starved => std::thread::sleep(PAUSE),
            Turn::Done => break,
            Turn::Full => {
                end = End::Full;
                break;
            }
        }
    }
    import.finish()?;
    Ok(end)
}

/// Ends the command and the processes that it started.
fn stop(child: &mut Child, watch: &Watch) {
    // It may have ended by itself.
    let _ = child.kill();
    watch.living().for_each(kill);
}

/// Says how the command ended.
fn report(command: &str, end: End, status: ExitStatus) -> Exit {
    match end {
        End::Complete => {
            eprintln!("{command} ended with {status}");
            Exit::Held
        }
        End::Full => {
            eprintln!("{command} was stopped: as many accesses as asked for are recorded");
            Exit::Held
        }
        End::Interrupted => {
            eprintln!("{command} was interrupted; the trace holds what it did until then");
            Exit::Interrupted
        }
    }
}
