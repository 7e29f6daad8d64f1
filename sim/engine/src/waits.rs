//! Where contexts waited: how often and how long for each class of lock, acknowledgement or event. Observation only.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::object::Class;
use crate::record::OpKind;

/// What contexts waited for objects of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassWaits {
    /// The class.
    pub class: &'static Class,
    /// Whether it was for a lock; otherwise for an acknowledgement or an event.
    pub lock: bool,
    /// Waits that took time.
    pub count: u64,
    /// Cycles from when a context found that it must wait until it could go on.
    pub cycles: u64,
}

/// The sums of a run, by class.
#[derive(Default)]
pub(crate) struct Waits {
    by_class: RefCell<BTreeMap<u8, ClassWaits>>,
}

impl Waits {
    /// Somebody went on after `cycles` of waiting.
    pub(crate) fn note(&self, class: &'static Class, kind: OpKind, cycles: u64) {
        if cycles == 0 {
            return;
        }
        let mut by_class = self.by_class.borrow_mut();
        let fresh = ClassWaits {
            class,
            lock: matches!(kind, OpKind::Lock | OpKind::LockShared),
            count: 0,
            cycles: 0,
        };
        let sum = by_class.entry(class.id).or_insert(fresh);
        sum.count += 1;
        sum.cycles += cycles;
    }

    pub(crate) fn sums(&self) -> Vec<ClassWaits> {
        self.by_class.borrow().values().copied().collect()
    }
}
