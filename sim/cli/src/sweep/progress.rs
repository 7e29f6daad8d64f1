//! A sweep while it runs: a bar of points on a terminal, and the slowest of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pagewalk_sweep::PointProgress;

/// The bar.
pub(super) struct Bar {
    bar: ProgressBar,
    slowest: Mutex<Duration>,
}

impl Bar {
    /// Not shown yet.
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::new(0), slowest: Mutex::default() }
    }
}

impl PointProgress for Bar {
    fn begin(&self, open: u64, skipped: u64) {
        let template =
            "{prefix}  {wide_bar:.cyan/dim}  {human_pos} of {human_len}  {per_sec}  {eta} left\n{msg}";
        self.bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        self.bar.set_length(open);
        let prefix = if skipped > 0 { format!("sweep ({skipped} there already)") } else { "sweep".into() };
        self.bar.set_prefix(prefix);
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    fn done(&self, took: Duration, about: &dyn Fn() -> String) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        if took > *slowest {
            *slowest = took;
            self.bar.set_message(format!("slowest {:.1} s: {}", took.as_secs_f64(), about()));
        }
        self.bar.inc(1);
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
