//! Which steps depend on each other: those whose order can be told from what they do.

use pagewalk_engine::{ANYTHING, Actor, Effect, Executed, IRQS_OFF, Op, OpKind, Order, Touch};

use crate::fault::Fault;

/// Everything that one step accessed, by whom.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The actor's number.
    pub actor: usize,
    /// The CPU it acted on.
    pub cpu: u16,
    /// A context of its CPU; otherwise an interrupt or a callback.
    pub program: bool,
    /// An interrupt or callback that did not say what it accesses: it may be anything.
    pub wild: bool,
    /// The operation waits until it can happen.
    pub blocking: bool,
    /// The operation itself first, then the rest.
    pub touches: Vec<Touch>,
}

impl Access {
    /// The accesses of an executed step on a machine of `cpus` CPUs.
    pub fn of(step: &Executed<'_>, cpus: usize) -> Self {
        let mut access = Self::default();
        access.set(step, cpus);
        access
    }

    /// Becomes [`Access::of`] the step.
    pub(crate) fn set(&mut self, step: &Executed<'_>, cpus: usize) {
        self.set_op(step.actor, step.op, step.effect, cpus);
        let anything = step.touched.iter().any(|touch| touch.object.class == &ANYTHING);
        let silent = || step.touched.iter().all(|touch| touch.object.class == &IRQS_OFF);
        self.wild = anything || (!self.program && silent());
        self.touches.extend_from_slice(step.touched);
    }

    /// The accesses of a step that was only announced.
    pub fn of_op(actor: usize, op: Op, effect: Effect, cpus: usize) -> Self {
        let mut access = Self::default();
        access.set_op(actor, op, effect, cpus);
        access
    }

    fn set_op(&mut self, actor: usize, op: Op, effect: Effect, cpus: usize) {
        let who = Actor::from_index(actor, cpus);
        (self.actor, self.cpu) = (actor, who.cpu().0);
        self.program = matches!(who, Actor::Cpu(_));
        (self.wild, self.blocking) = (false, waits(op));
        self.touches.clear();
        self.touches.push(Touch { object: op.object, kind: op.kind, effect });
    }

    /// A few bits for what it accesses: two accesses without a common bit have no common object.
    pub(crate) fn signature(&self) -> u64 {
        if self.wild {
            return u64::MAX;
        }
        let bit = |touch: &Touch| {
            let object = touch.object.index << 8 | u64::from(touch.object.class.id);
            1 << (object.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58)
        };
        self.touches.iter().fold(0, |bits, touch| bits | bit(touch))
    }
}

/// Whether the operation is one that waits: `test_and_set_bit` never does, `lock_bit` does.
fn waits(op: Op) -> bool {
    match op.kind {
        OpKind::Lock | OpKind::LockShared | OpKind::Wait | OpKind::Retry | OpKind::GraceEnd => true,
        OpKind::ChangeBit(_) | OpKind::TestBit(_) => op.order == Order::Acquire,
        _ => false,
    }
}

/// How an operation acts on its object, as far as order goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nothing,
    Read,
    Write,
    ReadBit(u8),
    WriteBit(u8),
    OpenSection,
    EndSection,
    BeginGrace,
    Share,
    Count,
}

fn mode(touch: &Touch, fault: Option<Fault>) -> Mode {
    if fault.is_some_and(|fault| fault.hides(touch)) {
        return Mode::Nothing;
    }
    match touch.kind {
        OpKind::Load | OpKind::Wait | OpKind::Retry => Mode::Read,
        OpKind::TestBit(bit) => Mode::ReadBit(bit),
        OpKind::ChangeBit(bit) => Mode::WriteBit(bit),
        OpKind::Store
        | OpKind::Rmw
        | OpKind::RmwTest
        | OpKind::Lock
        | OpKind::TryLock
        | OpKind::Unlock
        | OpKind::Send => Mode::Write,
        OpKind::Count => Mode::Count,
        OpKind::LockShared | OpKind::UnlockShared => Mode::Share,
        OpKind::ReadLock if touch.effect.old == 0 => Mode::OpenSection,
        OpKind::GraceBegin => Mode::BeginGrace,
        OpKind::ReadUnlock if touch.effect.new == 0 => Mode::EndSection,
        // A section's end matters to the ends of grace periods, and that is an edge, not a race.
        OpKind::ReadLock | OpKind::ReadUnlock | OpKind::GraceEnd => Mode::Nothing,
        // First sent, first delivered: which interrupt it is, is an edge, too.
        OpKind::Deliver => Mode::Nothing,
        OpKind::Barrier | OpKind::User | OpKind::Yield => Mode::Nothing,
    }
}

/// Whether two accesses by different actors depend on each other.
fn conflict(a: &Touch, b: &Touch, fault: Option<Fault>) -> bool {
    if a.object.index != b.object.index || a.object.class != b.object.class {
        return false;
    }
    match (mode(a, fault), mode(b, fault)) {
        (Mode::Nothing, _) | (_, Mode::Nothing) => false,
        (Mode::Read | Mode::ReadBit(_), Mode::Read | Mode::ReadBit(_)) => false,
        (Mode::WriteBit(one), Mode::WriteBit(other) | Mode::ReadBit(other))
        | (Mode::ReadBit(one), Mode::WriteBit(other)) => one == other || fault == Some(Fault::BitsAlike),
        (Mode::OpenSection, Mode::OpenSection) => fault == Some(Fault::SectionsConflict),
        (Mode::Share, Mode::Share) => fault == Some(Fault::SharesConflict),
        (Mode::Count, Mode::Count) => fault == Some(Fault::CountsConflict),
        (Mode::BeginGrace, Mode::BeginGrace) => false,
        // And to who looks whether a grace period is over.
        (Mode::EndSection, other) | (other, Mode::EndSection) => other == Mode::Read,
        _ => true,
    }
}

/// Whether swapping two adjacent steps could be noticed. Steps of one actor are ordered anyway.
pub fn dependent(a: &Access, b: &Access) -> bool {
    related(a, b, None)
}

/// [`dependent`], as a search with `fault` sees it.
pub(crate) fn related(a: &Access, b: &Access, fault: Option<Fault>) -> bool {
    if a.actor == b.actor || a.wild || b.wild {
        return true;
    }
    a.touches.iter().any(|one| b.touches.iter().any(|other| conflict(one, other, fault)))
}

/// Whether `earlier` and `later` depend on each other by more than the object that `later` waits for.
pub(crate) fn dependent_beside(earlier: &Access, later: &Access, fault: Option<Fault>) -> bool {
    if fault == Some(Fault::BesideForgotten) {
        return false;
    }
    let awaited = later.touches[0].object;
    let beside = later.touches.iter().filter(|touch| touch.object != awaited);
    earlier.wild
        || later.wild
        || beside.into_iter().any(|one| earlier.touches.iter().any(|other| conflict(one, other, fault)))
}

/// What an earlier step was to a blocked one on the object that it waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It made the step possible: the lock was released, the bit cleared. No race: the other order cannot be.
    Enables,
    /// It made the step impossible: the lock was taken, the bit set.
    Blocks,
    /// Neither.
    Other,
}

/// What `earlier` was to `later`.
pub(crate) fn part(earlier: &Access, later: &Access, fault: Option<Fault>) -> Part {
    let wanted = &later.touches[0];
    if !later.blocking {
        return Part::Other;
    }
    let change = |touch: &Touch| match (wanted.kind, touch.kind) {
        // Readers neither keep each other waiting nor let each other in.
        (OpKind::LockShared, OpKind::LockShared | OpKind::UnlockShared) => (0, 0),
        (OpKind::Lock | OpKind::LockShared, _) => (touch.effect.old & 1, touch.effect.new & 1),
        (OpKind::Wait, OpKind::Count) => (1, u64::from(touch.effect.new != 0)),
        (
            OpKind::ChangeBit(bit) | OpKind::TestBit(bit),
            OpKind::ChangeBit(_) | OpKind::Store | OpKind::Rmw | OpKind::RmwTest,
        ) => (touch.effect.old >> bit & 1, touch.effect.new >> bit & 1),
        _ => (0, 0),
    };
    let on_wanted = earlier.touches.iter().filter(|touch| touch.object == wanted.object);
    match on_wanted.map(change).find(|(old, new)| old != new) {
        Some((1, 0)) if fault != Some(Fault::NothingEnables) => Part::Enables,
        Some((0, 1)) if fault != Some(Fault::NothingBlocks) => Part::Blocks,
        _ => Part::Other,
    }
}
