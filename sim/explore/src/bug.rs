//! A panic in the kernel's text: a mistake of ours that ends a run as a `BUG` does, and is part of its verdict.
//!
//! A `BUG` of the kernel's own is no panic: `Engine::bug` ends the run, and nothing is caught. This is for assertions that only our
//! mistake can fail. Where a panic ends the program, as in WebAssembly, it ends there.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

/// Where the kernel's text and what it stands on is, and the programs that stand for it in tests: a panic from elsewhere is a mistake
/// of the search itself.
const TEXT: [&str; 8] = [
    "mmu/src/",
    "sim/pages/src/",
    "pagecache/src/",
    "swap/src/",
    "sim/kernel/src/",
    "sim/engine/src/",
    "explore/src/scenario/",
    "explore/tests/explore/acts.rs",
];

thread_local! {
    /// The place of the present run's panic; `None` outside runs.
    static RUN: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Where a run has panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// It has not.
    Nowhere,
    /// In the kernel's text: file and line.
    Kernel(String),
    /// In the search, which was told already.
    Search,
}

/// Runs the kernel. A panic in its text ends the run without a word on standard error: `Err` says what and where. Any other panic is
/// told and goes on.
pub(crate) fn caught<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = take_hook();
        set_hook(Box::new(move |info| {
            if !is_of_the_text(info) {
                told(info);
            }
        }));
    });
    RUN.set(Some(Place::Nowhere));
    let ran = catch_unwind(AssertUnwindSafe(run));
    let place = RUN.take();
    ran.or_else(|payload| match place {
        Some(Place::Kernel(place)) => Err(format!("BUG at {place}: {}", said(payload.as_ref()))),
        _ => resume_unwind(payload),
    })
}

/// Whether the kernel's text panics, and within a run; its place is noted.
fn is_of_the_text(info: &PanicHookInfo<'_>) -> bool {
    RUN.with_borrow_mut(|run| {
        let Some(run) = run.as_mut() else { return false };
        let place = info.location().map(|at| (at.file().replace('\\', "/"), at.line()));
        *run = match place {
            Some((file, line)) if TEXT.iter().any(|part| file.contains(part)) => {
                let name = file.rsplit('/').next().unwrap_or(&file).trim_end_matches(".rs");
                Place::Kernel(format!("{name}:{line}"))
            }
            _ => Place::Search,
        };
        *run != Place::Search
    })
}

/// What a panic says, in one line.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it says nothing");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_is_passed_on_and_a_mistake_of_the_search_is_no_verdict() {
        assert_eq!(caught(|| 7), Ok(7));
        let mistake = catch_unwind(|| caught(|| panic!("a mistake")));
        assert!(mistake.is_err(), "this file is no kernel text");
    }
}
