//! How far a replay is: counted by the runs, shown on a terminal, and the way to interrupt it.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pagewalk_replay::Progress;

use crate::exit::Exit;

/// How far the runs of a command are, and whether somebody wants them to end.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    accesses: AtomicU64,
    interrupted: AtomicBool,
    finished: AtomicBool,
}

impl Progress for Counter {
    fn executed(&self, accesses: u64) {
        self.accesses.fetch_add(accesses, Ordering::Relaxed);
    }

    fn stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

impl Counter {
    /// The runs so far were only to find something out: the next ones begin.
    pub(super) fn restart(&self) {
        self.accesses.store(0, Ordering::Relaxed);
        self.finished.store(false, Ordering::Relaxed);
    }

    /// Asks the runs to end when somebody presses Ctrl-C. Who presses it again does not wait for them: what is on disk is whole.
    pub(crate) fn end_on_interrupt(self: &Arc<Self>) {
        let counter = Arc::clone(self);
        // A second handler in one process (tests) is refused; the first one stays.
        let _ = ctrlc::set_handler(move || {
            if counter.interrupted.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted.code().into());
            }
        });
    }
}

/// How often the display looks.
const LOOK: Duration = Duration::from_millis(100);
/// Looks between two lines where there is no terminal: ten seconds.
const LOOKS_PER_LINE: u64 = 100;

/// Shows the progress of `work` on standard error while it runs: a bar on a terminal, else a line every ten seconds.
pub(super) fn with_progress<R>(
    counter: &Arc<Counter>,
    total: u64,
    what: &str,
    work: impl FnOnce() -> R,
) -> R {
    let bar = ProgressBar::new(total);
    let template = "{prefix}  {wide_bar:.cyan/dim}  {human_pos} of {human_len}  {rate}  {eta} left";
    let style = ProgressStyle::with_template(template).expect("a constant template");
    bar.set_style(style.with_key("rate", rate));
    bar.set_prefix(what.to_owned());
    let result = std::thread::scope(|scope| {
        let shown = Arc::clone(counter);
        let watched = bar.clone();
        let watcher = scope.spawn(move || watch(&shown, &watched, total)).thread().clone();
        // Dropped also when `work` panics: the watcher must not keep the scope waiting.
        let _finished = Finished(counter, watcher);
        work()
    });
    bar.finish_and_clear();
    result
}

/// Accesses a second, in millions with one decimal.
fn rate(state: &ProgressState, out: &mut dyn Write) {
    let tenths = (state.per_sec() / 1e5) as u64;
    // A display that cannot be written to has nobody to tell.
    let _ = write!(out, "{}.{} M/s", tenths / 10, tenths % 10);
}

/// Tells the watcher that the work is over.
struct Finished<'a>(&'a Counter, Thread);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.finished.store(true, Ordering::Relaxed);
        self.1.unpark(); // a short run must not wait for the next look
    }
}

fn watch(counter: &Counter, bar: &ProgressBar, total: u64) {
    let mut looks = 0;
    while !counter.finished.load(Ordering::Relaxed) {
        std::thread::park_timeout(LOOK);
        looks += 1;
        let done = counter.accesses.load(Ordering::Relaxed);
        bar.set_position(done);
        if bar.is_hidden() && looks % LOOKS_PER_LINE == 0 {
            eprintln!("pagewalk: {done} of {total} accesses");
        }
    }
}
