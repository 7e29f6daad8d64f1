//! Which children a process has waited for.
//!
//! Valgrind does not print the result of a wait that the child's SIGCHLD interrupts. What it must have been is inferred: from
//! ECHILD, and from an interrupted wait that only one child can have ended.

use std::collections::BTreeSet;

use super::call::Call;
use super::process::{Effect, Process};

/// `ECHILD`
const ECHILD: u64 = 10;
/// `WNOHANG` of `wait4(2)` and `waitid(2)`.
const WNOHANG: u64 = 1;
/// `P_PID` of `waitid(2)`.
const P_PID: u64 = 1;

/// The children of one process, by their numbers in the logs.
#[derive(Clone, Default)]
pub(super) struct Children {
    /// Those not waited for yet.
    left: BTreeSet<u32>,
    /// Those of which it was inferred; the log may still say it of the last.
    inferred: BTreeSet<u32>,
}

impl Children {
    /// There is a child more.
    pub(super) fn forked(&mut self, child: u32) {
        self.inferred.remove(&child);
        self.left.insert(child);
    }

    /// The log says that this child was waited for; `None` if that is recorded.
    fn waited(&mut self, child: u32) -> Option<Effect> {
        self.left.remove(&child);
        (!self.inferred.remove(&child)).then(|| Effect::Wait(vec![child]))
    }

    /// These children must have been waited for.
    fn infer(&mut self, children: BTreeSet<u32>) -> Option<Effect> {
        self.left.retain(|child| !children.contains(child));
        self.inferred.extend(&children);
        (!children.is_empty()).then(|| Effect::Wait(children.into_iter().collect()))
    }
}

/// The child that a call waits for; `None` if any will do.
fn wanted(call: &Call) -> Option<u32> {
    let (id, one) = match call.name.as_str() {
        "wait4" => (call.arg(0), call.arg(0) as u32 as i32 > 0),
        _ => (call.arg(1), call.arg(0) == P_PID),
    };
    one.then_some(id as u32)
}

impl Process {
    /// `wait4` or `waitid` returned `result`.
    pub(super) fn wait_returned(&mut self, call: &Call, result: u64) -> Option<Effect> {
        match wanted(call) {
            _ if result > 0 => self.children.waited(result as u32),
            Some(child) if call.name == "waitid" => self.children.waited(child),
            _ => None,
        }
    }

    /// A call failed with `error`: without children left to wait for, all have been.
    pub(super) fn wait_failed(&mut self, call: &Call, error: u64) -> Option<Effect> {
        let none_left = is_wait(call) && error == ECHILD && wanted(call).is_none();
        if none_left { self.children.infer(self.children.left.clone()) } else { None }
    }

    /// A signal interrupted the call of the thread that runs. If that is a wait for one child, the child has ended.
    pub(super) fn interrupted(&mut self) -> Option<Effect> {
        let call = self.calls.get(&self.slot).filter(|call| is_wait(call))?;
        let options = if call.name == "wait4" { call.arg(2) } else { call.arg(3) };
        let child = wanted(call).or_else(|| self.children.left.first().copied())?;
        let certain = self.children.left.contains(&child)
            && (wanted(call).is_some() || self.children.left.len() == 1)
            && options & WNOHANG == 0;
        if certain { self.children.infer(BTreeSet::from([child])) } else { None }
    }
}

fn is_wait(call: &Call) -> bool {
    matches!(call.name.as_str(), "wait4" | "waitid")
}
