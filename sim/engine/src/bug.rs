//! `BUG`: the kernel's text finds the machine in a state that it holds to be impossible, and stops the run.
//!
//! It is a violation like any other, and the engine stops as it does for any other reason; but the step in whose midst it happens is
//! never over, and the context that has hit it never goes on. Nothing is unwound. A panic would be shorter to write, but where a
//! panic ends the program, as in WebAssembly, a search would end with it; and what unwinding drops on its way would be reported as
//! lost. So a function that is no `async fn` returns what is wrong, and the path that called it says so with [`Context::bug`] and
//! awaits what never comes. Handlers of interrupts and callbacks, which await nothing, call [`Engine::bug`] and return.

use std::fmt::Display;
use std::future::{Pending, pending};
use std::panic::Location;

use crate::context::Context;
use crate::engine::Engine;

impl Engine {
    /// Notes that the kernel's text is wrong about the machine, and ends the run in the midst of the present step. The place that is
    /// told is the caller's. The first BUG of a run is told, and it is why the run ends, whatever else would have ended it.
    #[cold]
    #[track_caller]
    pub fn bug(&self, what: impl Display) {
        if self.broken_off.replace(true) {
            return;
        }
        let at = Location::caller();
        let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".rs");
        let told = format!("BUG at {file}:{}: {what}", at.line());
        let reason = format!("panic: {told}");
        self.violation("panic", told);
        self.stop(reason.as_str());
        self.stopped.replace(Some(reason));
    }
}

impl Context {
    /// [`Engine::bug`], for a path, which does not go on: what it awaits never comes.
    #[cold]
    #[track_caller]
    #[must_use = "a path does not go on after a BUG: it awaits this"]
    pub fn bug<T>(&self, what: impl Display) -> Pending<T> {
        self.engine().bug(what);
        pending()
    }
}
