//! A search while it runs: how far it is, and the two ways to end it early, Ctrl-C and the end of its time.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pagewalk_replay::Progress;
use serde::Serialize;

use crate::replay::Counter;
use crate::style::group;

/// How often the display changes.
const LOOK: Duration = Duration::from_millis(100);

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// Nothing was left to try.
    Complete,
    /// Nothing was left to try but what follows the runs that were cut off.
    CutOff,
    /// As many runs as were allowed.
    Runs,
    /// The time was up.
    Budget,
    /// Somebody interrupted it.
    Interrupted,
}

impl Ended {
    /// How a search ended that was stopped `early`, if it was stopped.
    pub(super) fn of(ended: pagewalk_explore::Ended, early: Option<Self>) -> Self {
        match ended {
            pagewalk_explore::Ended::Complete => Self::Complete,
            pagewalk_explore::Ended::CutOff => Self::CutOff,
            pagewalk_explore::Ended::Runs => Self::Runs,
            pagewalk_explore::Ended::Stopped => early.unwrap_or(Self::Interrupted),
        }
    }
}

/// Watches one search.
pub(super) struct Watch {
    counter: Arc<Counter>,
    begin: Instant,
    budget: Option<Duration>,
    bar: ProgressBar,
    shown: Cell<Duration>,
    runs: Cell<u64>,
    classes: Cell<Option<u64>>,
    failing: Cell<u64>,
    /// States, the steps between them, and whether something is broken.
    states: Cell<Option<((u64, u64), bool)>>,
    ended: Cell<Option<Ended>>,
}

impl Watch {
    /// Begins: from here on Ctrl-C ends the search rather than the program. A search of `total` runs, if it is known how many
    /// there will be, gets a bar; on a terminal only.
    pub(super) fn begin(what: &'static str, total: Option<u64>, budget: Option<Duration>) -> Rc<Self> {
        let counter = Arc::<Counter>::default();
        counter.end_on_interrupt();
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{prefix}  {wide_bar:.cyan/dim}  {human_pos} of {human_len}  {msg}  {eta} left",
            None => "{prefix}  {msg}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        bar.set_prefix(what);
        #[expect(
            clippy::disallowed_methods,
            reason = "time is shown, and ends a search where the user says so"
        )]
        let begin = Instant::now();
        Rc::new(Self {
            counter,
            begin,
            budget,
            bar,
            shown: Cell::default(),
            runs: Cell::default(),
            classes: Cell::default(),
            failing: Cell::default(),
            states: Cell::default(),
            ended: Cell::default(),
        })
    }

    /// What is asked after every run: whether there is to be another.
    pub(super) fn asked(self: &Rc<Self>) -> Rc<dyn Fn() -> bool> {
        let watch = Rc::clone(self);
        Rc::new(move || watch.goes_on())
    }

    /// A run ended and stands for a class of schedules.
    pub(super) fn note_class(&self) {
        self.classes.set(Some(self.classes.get().unwrap_or(0) + 1));
    }

    /// A run showed something wrong.
    pub(super) fn note_failing(&self) {
        self.failing.set(self.failing.get() + 1);
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// So many states are known, and steps between them.
    pub(super) fn note_states(&self, counts: (u64, u64), broken: bool) {
        self.states.set(Some((counts, broken)));
    }

    /// Whether there is to be another run.
    pub(super) fn goes_on(&self) -> bool {
        self.runs.set(self.runs.get() + 1);
        let elapsed = self.begin.elapsed();
        if elapsed - self.shown.get() >= LOOK {
            self.shown.set(elapsed);
            self.show(elapsed);
        }
        let over = self.budget.is_some_and(|budget| elapsed >= budget);
        let ended = match (self.counter.stop(), over) {
            (true, _) => Some(Ended::Interrupted),
            (false, true) => Some(Ended::Budget),
            (false, false) => None,
        };
        self.ended.set(ended);
        ended.is_none()
    }

    fn show(&self, elapsed: Duration) {
        if self.bar.is_hidden() {
            return;
        }
        let runs = self.runs.get();
        let rate = (runs as f64 / elapsed.as_secs_f64().max(1e-9)) as u64;
        let failing = group(self.failing.get());
        if let Some(((states, steps), broken)) = self.states.get() {
            let rate = group((states as f64 / elapsed.as_secs_f64().max(1e-9)) as u64);
            let broken = if broken { "something breaks  " } else { "" };
            let counts = format!("{} states, {} steps", group(states), group(steps));
            return self
                .bar
                .set_message(format!("{counts}  {rate} a second  {broken}{}", self.time(elapsed)));
        }
        let told = match (self.bar.length(), self.classes.get()) {
            (Some(_), _) => {
                format!("{} a second  {failing} failing  {}", group(rate), self.time(elapsed))
            }
            (None, None) => format!("{} runs", group(runs)),
            (None, Some(classes)) => format!(
                "{} classes in {} runs  {} a second  {failing} failing  {}",
                group(classes),
                group(runs),
                group(rate),
                self.time(elapsed)
            ),
        };
        self.bar.set_position(runs);
        self.bar.set_message(told);
    }

    /// The time so far, and how much there is.
    fn time(&self, elapsed: Duration) -> String {
        let of = self.budget.map(|budget| format!(" of {}", clock(budget))).unwrap_or_default();
        clock(elapsed) + &of
    }

    /// The search is over: the display goes. On a terminal a line stays that says how long it took.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
        if !self.bar.is_hidden() {
            let seconds = self.begin.elapsed().as_secs_f64();
            let (runs, rate) = (group(self.runs.get()), self.runs.get() as f64 / seconds.max(1e-9));
            eprintln!("{runs} runs in {seconds:.3} s, {} a second", group(rate as u64));
        }
    }

    /// Whether it was interrupted or out of time.
    pub(super) fn ended_early(&self) -> Option<Ended> {
        self.ended.get()
    }
}

/// `0:07`, `12:34`, `1:02:03`.
fn clock(time: Duration) -> String {
    let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_show_hours_only_where_there_are_some() {
        let at = |seconds| clock(Duration::from_secs(seconds));
        assert_eq!([at(7), at(754), at(3723)], ["0:07", "12:34", "1:02:03"]);
    }
}
