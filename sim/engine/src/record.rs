//! What a step is, as records and explorers see it, and the record of the last steps.

use std::collections::VecDeque;
use std::panic::Location;

use crate::context::ContextId;
use crate::cpu::CpuId;
use crate::object::ObjectId;

/// What an operation does to its object; dependence between steps follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Reads the word.
    Load,
    /// Writes the whole word.
    Store,
    /// Reads and writes the whole word in one act.
    Rmw,
    /// The same, and the code learns no more than whether the word was or became 0.
    RmwTest,
    /// Reads one bit of the word.
    TestBit(u8),
    /// Reads and writes one bit of the word.
    ChangeBit(u8),
    /// Takes a lock, or waits for it.
    Lock,
    /// Takes a lock together with others that do so, or waits for it.
    LockShared,
    /// Tries to take a lock without waiting.
    TryLock,
    /// Releases a lock.
    Unlock,
    /// Releases a lock that others may hold too.
    UnlockShared,
    /// Waits for a condition.
    Wait,
    /// Counts down to what somebody waits for. The order of two of them is visible to nobody.
    Count,
    /// Sends an interrupt to another CPU.
    Send,
    /// Enters an RCU read section.
    ReadLock,
    /// Leaves an RCU read section.
    ReadUnlock,
    /// Begins an RCU grace period.
    GraceBegin,
    /// Waits for an RCU grace period to end.
    GraceEnd,
    /// Waits until a word that was read has changed.
    Retry,
    /// Delivers an interrupt.
    Deliver,
    /// A memory barrier; no scheduling point.
    Barrier,
    /// Runs the program until something else wants the CPU.
    User,
    /// Gives up the CPU.
    Yield,
}

/// What an operation costs, see [`crate::Costs`]. The first three move a cache line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Price {
    Access,
    Atomic,
    Lock,
    Send,
    Free,
}

impl OpKind {
    /// What it costs. RCU's read side is made to touch no line; it is free where kernels are not preemptible.
    #[inline(always)]
    pub(crate) fn price(self) -> Price {
        match self {
            Self::Rmw | Self::RmwTest | Self::ChangeBit(_) | Self::Count => Price::Atomic,
            Self::Lock | Self::LockShared | Self::TryLock | Self::Unlock | Self::UnlockShared => Price::Lock,
            Self::Send => Price::Send,
            Self::User | Self::Yield | Self::Barrier | Self::Retry | Self::Deliver => Price::Free,
            Self::ReadLock | Self::ReadUnlock | Self::GraceBegin => Price::Free,
            Self::Load | Self::Store | Self::TestBit(_) | Self::Wait | Self::GraceEnd => Price::Access,
        }
    }

    /// Whether it takes or releases a lock.
    pub(crate) fn is_lock(self) -> bool {
        matches!(self, Self::Lock | Self::LockShared | Self::TryLock | Self::Unlock | Self::UnlockShared)
    }

    /// Whether the operation may change its object.
    #[inline]
    pub fn writes(self) -> bool {
        !matches!(
            self,
            Self::Load
                | Self::TestBit(_)
                | Self::Wait
                | Self::GraceEnd
                | Self::Retry
                | Self::Barrier
                | Self::User
                | Self::Yield
        )
    }
}

/// The memory order an operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A plain access, at the compiler's mercy.
    Plain,
    /// `READ_ONCE`/`WRITE_ONCE` (`ACCESS_ONCE` in 2.6.27).
    Once,
    /// Later accesses stay later.
    Acquire,
    /// Earlier accesses stay earlier.
    Release,
    /// A full barrier on both sides.
    Full,
    /// Ordered before accesses through the loaded address (`rcu_dereference`).
    Dependent,
}

/// One operation: announced before it happens, recorded after.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// What it acts on.
    pub object: ObjectId,
    /// What it does.
    pub kind: OpKind,
    /// The order it asks for.
    pub order: Order,
    /// Where in the kernel text it stands.
    pub location: &'static Location<'static>,
}

/// What an operation did: the word before and after, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The word before.
    pub old: u64,
    /// The word after.
    pub new: u64,
}

impl Effect {
    /// An operation with nothing to show.
    pub const NONE: Self = Self { old: 0, new: 0 };
}

/// One executed step.
#[derive(Clone, Copy, Debug)]
pub struct StepRecord {
    /// Its number in the order of execution, from 0.
    pub number: u64,
    /// Where it ran.
    pub cpu: CpuId,
    /// Who ran it.
    pub context: ContextId,
    /// The CPU's clock after it.
    pub clock: u64,
    /// The operation as it was announced.
    pub op: Op,
    /// What it did.
    pub effect: Effect,
}

/// The last steps of a run, or those that led to the first thing found wrong.
#[derive(Debug, Default)]
pub(crate) struct Record {
    capacity: usize,
    count: u64,
    steps: VecDeque<StepRecord>,
    last: Last,
}

/// Which step is the last to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    /// None yet.
    #[default]
    Open,
    /// The one that is executed now.
    Present,
    /// One that was.
    Kept,
}

impl Record {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    pub(crate) fn push(&mut self, cpu: CpuId, context: ContextId, clock: u64, op: Op, effect: Effect) {
        match self.last {
            Last::Open => {}
            Last::Present => self.last = Last::Kept,
            Last::Kept => return,
        }
        if self.steps.len() == self.capacity {
            self.steps.pop_front();
        }
        self.steps.push_back(StepRecord { number: self.count, cpu, context, clock, op, effect });
        self.count += 1;
    }

    /// Something was found wrong: later steps matter to nobody.
    pub(crate) fn close(&mut self) {
        if self.last == Last::Open {
            self.last = Last::Present;
        }
    }

    pub(crate) fn to_vec(&self) -> Vec<StepRecord> {
        self.steps.iter().copied().collect()
    }
}
