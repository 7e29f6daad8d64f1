//! Antagonists: actors beside the programs that do what makes the kernel's paths meet.
//!
//! They act only where programs cannot tell: what a program finds in its memory and its files is the same with and without them. So
//! truncation and hole punching work on a part of a file that lies beyond its end as programs know it, discards take only pages
//! that a file brings back, and direct I/O reads, or writes beyond the end. None of them asks the oracle: a run is the same whether it
//! is checked or not.
//!
//! What an antagonist does is for the most part what a system call does, so it takes the path of one, [`Call::perform`]. It does not make the
//! call: no program makes it, and it is neither counted among those of programs nor a word of the digest.

mod discard;
mod files;
mod pace;

use std::fmt;
use std::rc::Rc;

use pagewalk_engine::{CpuId, Purpose, Random};
use pagewalk_mmu::Pfn;

use crate::call::Call;
use crate::kernel::Kernel;
use crate::mm::Mm;
use crate::task::Task;

pub(crate) use self::pace::Pace;

/// What an antagonist does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Antagonist {
    /// Extends a file, touches pages beyond its old end, and cuts them off again.
    Truncate,
    /// The same, and punches holes there.
    Punch,
    /// Reclaims pages.
    Reclaim,
    /// Moves pages to other frames; now and then compacts all of memory.
    Migrate,
    /// Takes a swap area off and puts it on again.
    Swapoff,
    /// Discards mapped pages of files from programs' address spaces (`MADV_DONTNEED`).
    DontNeed,
    /// Drops the clean pages of the page cache.
    DropCaches,
    /// Reads files past the cache, and writes past it beyond their end.
    DirectIo,
}

impl Antagonist {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Truncate,
        Self::Punch,
        Self::Reclaim,
        Self::Migrate,
        Self::Swapoff,
        Self::DontNeed,
        Self::DropCaches,
        Self::DirectIo,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncate => "truncate",
            Self::Punch => "punch",
            Self::Reclaim => "reclaim",
            Self::Migrate => "migrate",
            Self::Swapoff => "swapoff",
            Self::DontNeed => "dontneed",
            Self::DropCaches => "drop-caches",
            Self::DirectIo => "direct-io",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|antagonist| antagonist.name() == name)
    }
}

impl fmt::Display for Antagonist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An antagonist and how often it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AntagonistSpec {
    /// What it does.
    pub kind: Antagonist,
    /// Operations in a million accesses of the programs, on average, 1 to 100,000.
    pub rate: u32,
}

/// Accesses in which an antagonist acts `rate` times.
const PERIOD: u64 = 1_000_000;
/// Pages that it reclaims, or moves, in one operation, at most.
const MOST_PAGES: u32 = 32;
/// One of so many migrations compacts all of memory.
const COMPACT_ONE_IN: u32 = 16;

/// An antagonist at work.
struct Actor {
    task: Task,
    random: Random,
    spec: AntagonistSpec,
    place: usize,
}

impl Kernel {
    /// Starts antagonists, which act until the last program has ended. What they do, and when, follows from `seed`.
    pub fn start_antagonists(self: &Rc<Self>, specs: &[AntagonistSpec], seed: u64) {
        let cpus = self.engine.cpus().len();
        for (number, &spec) in specs.iter().enumerate() {
            let kernel = Rc::clone(self);
            let cpu = CpuId((cpus - 1 - number % cpus) as u16);
            let place = self.pace.join();
            let stream = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (spec.kind as u64 + 1);
            self.engine.spawn(cpu, async move |cx| {
                let task = match spec.kind {
                    Antagonist::DirectIo => {
                        let mm = Mm::alloc(&kernel, &cx).await;
                        kernel.foreign_mms.set(kernel.foreign_mms.get() + 1);
                        Task::new(cx, Rc::clone(&kernel), mm, 0, 0)
                    }
                    _ => Task::kernel_thread(cx, Rc::clone(&kernel)),
                };
                let random = Random::new(stream, Purpose::Antagonists);
                Actor { task, random, spec, place }.live().await;
            });
        }
    }

    /// Whether a program is left, or none has begun.
    fn programs_run(&self) -> bool {
        self.observe_mms() > self.foreign_mms.get() as usize || !self.has_run_programs()
    }
}

impl Actor {
    async fn live(mut self) {
        if self.spec.kind == Antagonist::DirectIo {
            self.enter();
            files::map_buffer(&self.task).await;
            self.leave();
        }
        loop {
            let mean = PERIOD / u64::from(self.spec.rate.clamp(1, 100_000));
            let pause = u32::try_from(2 * mean).expect("2 million accesses at most");
            pace::sleep(&self.task, self.place, 1 + u64::from(self.random.below(pause))).await;
            if !self.task.kernel().programs_run() {
                break;
            }
            self.enter();
            self.act().await;
            self.leave();
            self.task.kernel().stat.antagonist_operations.add(1);
        }
        if self.spec.kind == Antagonist::DirectIo {
            self.enter();
            let kernel = Rc::clone(self.task.kernel());
            Call::Exit.perform(&self.task).await.expect("nothing refuses an exit");
            kernel.foreign_mms.set(kernel.foreign_mms.get() - 1);
            self.leave();
        }
    }

    fn enter(&self) {
        self.task.enter_kernel(self.task.kernel().config().syscall);
        self.task.kernel().enters();
    }

    fn leave(&self) {
        self.task.kernel().leaves(&self.task, None);
    }

    /// One operation.
    async fn act(&mut self) {
        let (current, random) = (&self.task, &mut self.random);
        let call = match self.spec.kind {
            Antagonist::Truncate => return files::extend_and_cut(current, random, false).await,
            Antagonist::Punch => return files::extend_and_cut(current, random, true).await,
            Antagonist::DirectIo => return files::direct_io(current, random).await,
            Antagonist::DontNeed => return discard::discard_mapped_pages(current, random).await,
            Antagonist::Swapoff => return take_off_and_put_on(current, random).await,
            Antagonist::DropCaches => Call::DropCaches,
            Antagonist::Reclaim => Call::Reclaim { pages: 1 + u64::from(random.below(MOST_PAGES)) },
            Antagonist::Migrate if random.below(COMPACT_ONE_IN) == 0 => Call::CompactMemory,
            Antagonist::Migrate => {
                let first = Pfn(1 + random.below(current.kernel().zone.memory.frames() - 1));
                Call::MigrateFrames { first, count: 1 + random.below(MOST_PAGES) }
            }
        };
        call.perform(current).await.expect("none of these is ever refused");
    }
}

/// Takes a swap area off, and if the kernel can do without it, puts it on again.
async fn take_off_and_put_on(current: &Task, random: &mut Random) {
    let areas = u32::from(current.kernel().swap.nr_areas());
    if areas > 0 {
        let area = random.below(areas) as u8;
        if (Call::Swapoff { area }).perform(current).await.is_ok() {
            (Call::Swapon { area }).perform(current).await.expect("it was taken off");
        }
    }
}
