//! The search broken on purpose, to test the tests: each fault is a line of the search that is left out or wrong.
//!
//! A search that loses classes finds nothing and says that there is nothing. What shows it is a comparison with schedules that
//! were found without it; that such a comparison would notice has to be shown, too. Under a fault a run's number of the class
//! is still the right one, so that what is lost, and what is visited twice, can be counted.

use pagewalk_engine::{IRQS_OFF, OCCUPIED, OpKind, Touch};

use crate::depend::Access;

/// One thing that the search does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Loads depend on nothing.
    LoadsUnseen,
    /// Stores depend on nothing.
    StoresUnseen,
    /// Atomic changes of a whole word depend on nothing.
    RmwsUnseen,
    /// Reads of a bit depend on nothing.
    BitReadsUnseen,
    /// Changes of a bit depend on nothing.
    BitChangesUnseen,
    /// Changes of different bits of one word depend on each other.
    BitsAlike,
    /// Taking a lock depends on nothing.
    LocksUnseen,
    /// Trying to take a lock depends on nothing.
    TryLocksUnseen,
    /// Releasing a lock depends on nothing.
    UnlocksUnseen,
    /// Taking and releasing a lock together with others depends on nothing.
    SharesUnseen,
    /// Two who take a lock together depend on each other.
    SharesConflict,
    /// Acknowledgements depend on nothing.
    CountsUnseen,
    /// Two acknowledgements depend on each other.
    CountsConflict,
    /// The wait for acknowledgements depends on nothing.
    WaitsUnseen,
    /// Sending an interrupt depends on nothing.
    SendsUnseen,
    /// A loop that goes round again depends on nothing.
    RetriesUnseen,
    /// The opening of a read section depends on nothing.
    SectionsUnseen,
    /// Two read sections that are opened depend on each other.
    SectionsConflict,
    /// The beginning of a grace period depends on nothing.
    PeriodsUnseen,
    /// Whether interrupts are off depends on nothing.
    IrqsOffUnseen,
    /// Whether a CPU has something to run depends on nothing.
    IdleUnseen,
    /// What an observer looks at beside a step is no access.
    LooksUnseen,
    /// What a handler changes is no access.
    ChangesUnseen,
    /// A handler that does not say what it accesses accesses nothing.
    WildIsTame,
    /// What makes a waiting step possible is like any other access.
    NothingEnables,
    /// What makes a waiting step impossible is like any other access.
    NothingBlocks,
    /// An interrupt may come before it was sent.
    DeliveryWithoutCause,
    /// A callback may come before it was asked for.
    CallbackWithoutCause,
    /// A grace period does not wait for those who read.
    PeriodWithoutReaders,
    /// An interrupt may come between steps with interrupts off.
    IrqsOffIsARace,
    /// While a step waits, nothing it accesses counts but what it waits for.
    BesideForgotten,
    /// What had to happen before the release that let a step go on is in a race with the step.
    PartForgotten,
    /// A step that was tried is forgotten when it accesses something else after another.
    WokenForgotten,
    /// Races are reversed by the later step alone.
    OnlyOwnReverses,
    /// Races of the newest step at the choice that was changed are passed over.
    ChangedStepForgotten,
    /// Races of who still waits at a deadlock are passed over.
    DeadlockForgotten,
    /// Races of who still waits when all others are asleep are passed over.
    SleepBlockedForgotten,
    /// What waits for interrupts to be turned on when the run ends is passed over.
    HeldBackForgotten,
    /// A step in whose midst the kernel's text hit a `BUG` is passed over.
    UnfinishedForgotten,
    /// What others would have done after a step that stops the run is passed over.
    StoppedForgotten,
    /// Who has been tried stays asleep whatever happens.
    SleepForEver,
    /// Who has been tried stays asleep until the next step only.
    SleepIsShort,
    /// Nobody is asleep.
    SleepNever,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 43] = [
        Self::LoadsUnseen,
        Self::StoresUnseen,
        Self::RmwsUnseen,
        Self::BitReadsUnseen,
        Self::BitChangesUnseen,
        Self::BitsAlike,
        Self::LocksUnseen,
        Self::TryLocksUnseen,
        Self::UnlocksUnseen,
        Self::SharesUnseen,
        Self::SharesConflict,
        Self::CountsUnseen,
        Self::CountsConflict,
        Self::WaitsUnseen,
        Self::SendsUnseen,
        Self::RetriesUnseen,
        Self::SectionsUnseen,
        Self::SectionsConflict,
        Self::PeriodsUnseen,
        Self::IrqsOffUnseen,
        Self::IdleUnseen,
        Self::LooksUnseen,
        Self::ChangesUnseen,
        Self::WildIsTame,
        Self::NothingEnables,
        Self::NothingBlocks,
        Self::DeliveryWithoutCause,
        Self::CallbackWithoutCause,
        Self::PeriodWithoutReaders,
        Self::IrqsOffIsARace,
        Self::BesideForgotten,
        Self::PartForgotten,
        Self::WokenForgotten,
        Self::OnlyOwnReverses,
        Self::ChangedStepForgotten,
        Self::DeadlockForgotten,
        Self::SleepBlockedForgotten,
        Self::HeldBackForgotten,
        Self::UnfinishedForgotten,
        Self::StoppedForgotten,
        Self::SleepForEver,
        Self::SleepIsShort,
        Self::SleepNever,
    ];

    /// Whether `touch` depends on nothing under this fault.
    pub(crate) fn hides(self, touch: &Touch) -> bool {
        match self {
            Self::IrqsOffUnseen => touch.object.class == &IRQS_OFF,
            Self::IdleUnseen => touch.object.class == &OCCUPIED,
            Self::LoadsUnseen => touch.kind == OpKind::Load,
            Self::StoresUnseen => touch.kind == OpKind::Store,
            Self::RmwsUnseen => matches!(touch.kind, OpKind::Rmw | OpKind::RmwTest),
            Self::BitReadsUnseen => matches!(touch.kind, OpKind::TestBit(_)),
            Self::BitChangesUnseen => matches!(touch.kind, OpKind::ChangeBit(_)),
            Self::LocksUnseen => touch.kind == OpKind::Lock,
            Self::TryLocksUnseen => touch.kind == OpKind::TryLock,
            Self::UnlocksUnseen => touch.kind == OpKind::Unlock,
            Self::SharesUnseen => matches!(touch.kind, OpKind::LockShared | OpKind::UnlockShared),
            Self::CountsUnseen => touch.kind == OpKind::Count,
            Self::WaitsUnseen => touch.kind == OpKind::Wait,
            Self::SendsUnseen => touch.kind == OpKind::Send,
            Self::RetriesUnseen => touch.kind == OpKind::Retry,
            Self::SectionsUnseen => touch.kind == OpKind::ReadLock,
            Self::PeriodsUnseen => touch.kind == OpKind::GraceBegin,
            _ => false,
        }
    }

    /// Leaves out of `access` what is not noticed under this fault.
    pub(crate) fn forget(self, access: &mut Access) {
        if self == Self::WildIsTame {
            access.wild = false;
        }
        let unseen = |touch: &Touch| match self {
            Self::LooksUnseen => touch.kind == OpKind::Load && touch.object.class != &IRQS_OFF,
            Self::ChangesUnseen => matches!(touch.kind, OpKind::Rmw | OpKind::RmwTest),
            _ => false,
        };
        let operation = access.touches[0];
        access.touches.retain(|touch| *touch == operation || !unseen(touch));
    }
}
