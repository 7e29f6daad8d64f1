//! What small programs consist of, and how each act is performed.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::rc::Rc;

use pagewalk_engine::{
    Class, Completion, Context, CpuId, Digest, Effect, Engine, IpiHandler, ObjectId, OpKind, RwSem, Shared,
    SpinLock, Word,
};

static WORD: Class = Class::new(100, "word");
static FLAGS: Class = Class::new(101, "flags");
static LOCK: Class = Class::new(102, "lock");
static SEM: Class = Class::new(103, "sem");
static ACK: Class = Class::new(104, "ack");

/// What a program does; `x` and `y` name words, `l` a lock.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Load(usize),
    Store(usize, u64),
    Add(usize),
    IncNotZero(usize),
    CmpXchg(usize, u64, u64),
    TestBit(u8),
    SetBit(u8),
    ClearBit(u8),
    TryBit(u8),
    Lock(usize, Vec<Act>),
    TryLock(usize, Vec<Act>),
    BitLock(u8, Vec<Act>),
    Read(Vec<Act>),
    DownRead(Vec<Act>),
    DownWrite(Vec<Act>),
    /// Interrupts are off around the steps.
    IrqsOff(Vec<Act>),
    Synchronize,
    /// After a grace period, adds to a word.
    CallRcu(usize),
    /// Loads until the word is not 0.
    AwaitNonZero(usize),
    /// Sends the next CPU an interrupt that adds to a word, and does not wait.
    Interrupt(usize),
    /// Sends every other CPU an interrupt that adds to a word, each to the next one, and waits until all have done so.
    Acknowledged(usize),
    /// Like [`Act::Interrupt`], and the handler adds to `x` only if `y` is 0.
    InterruptIf(usize, usize),
    /// Like [`Act::CallRcu`], and the callback adds to `x` only if `y` is 0.
    CallRcuIf(usize, usize),
    /// Like [`Act::Interrupt`], and the handler does not say what it accesses.
    SilentInterrupt(usize),
    /// Loads `x`; if it is 0, an observer looks at `y`.
    LookIf(usize, usize),
    /// Adds to `x`; if it was 0, an observer changes `y`, too.
    ChangeIf(usize, usize),
    /// A `BUG_ON` in the midst of an atomic change of the word, if it is not 0.
    BugIfSet(usize),
    /// Like [`Act::Interrupt`], and the handler adds to the word only if its CPU has nothing to run.
    InterruptIfIdle(usize),
}

/// What the programs of one run share.
pub(crate) struct World {
    words: [Cell<u64>; 3],
    flags: Cell<u32>,
    locks: [SpinLock; 2],
    sem: RwSem,
    /// What each CPU has seen.
    seen: RefCell<Vec<Vec<u64>>>,
    /// How many acknowledged interrupts each CPU has sent.
    sent: RefCell<Vec<u64>>,
}

impl World {
    pub(crate) fn new(cpus: usize) -> Self {
        Self {
            words: Default::default(),
            flags: Cell::new(0),
            locks: [SpinLock::new(&LOCK, 0), SpinLock::new(&LOCK, 1)],
            sem: RwSem::new(&SEM, 0),
            seen: RefCell::new(vec![Vec::new(); cpus]),
            sent: RefCell::new(vec![0; cpus]),
        }
    }

    fn word(&self, index: usize) -> Word<'_, u64> {
        Word::new(&self.words[index], ObjectId::new(&WORD, index as u64))
    }

    fn bits(&self) -> Word<'_, u32> {
        Word::new(&self.flags, ObjectId::new(&FLAGS, 0))
    }

    fn see(&self, cx: &Context, value: impl Into<u64>) {
        self.seen.borrow_mut()[usize::from(cx.cpu().id().0)].push(value.into());
    }

    /// What everybody has seen, then the words.
    pub(crate) fn outcome(&self) -> Vec<Vec<u64>> {
        let mut all = self.seen.borrow().clone();
        all.push(self.words.iter().map(Cell::get).collect());
        all.push(vec![u64::from(self.flags.get())]);
        all
    }

    /// What a handler does to a word, said to the explorer.
    fn add(&self, engine: &Engine, x: usize) {
        let old = self.words[x].get();
        self.words[x].set(old + 1);
        engine.touch(self.word(x).id(), OpKind::Rmw, Effect { old, new: old + 1 });
    }

    fn add_if(&self, engine: &Engine, x: usize, y: usize) {
        engine.touch(self.word(y).id(), OpKind::Load, Effect::NONE);
        if self.words[y].get() == 0 {
            self.add(engine, x);
        }
    }

    /// A number that the acknowledgement has in each schedule.
    fn next_ack(&self, cpu: CpuId) -> u64 {
        let sent = &mut self.sent.borrow_mut()[usize::from(cpu.0)];
        *sent += 1;
        u64::from(cpu.0) << 32 | *sent
    }
}

/// Performs `acts` in order.
pub(crate) fn run<'a>(
    cx: &'a Context,
    world: &'a Rc<World>,
    acts: &'a [Act],
) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        for act in acts {
            perform(cx, world, act).await;
        }
    })
}

async fn perform(cx: &Context, world: &Rc<World>, act: &Act) {
    match act {
        Act::Load(x) => world.see(cx, world.word(*x).read_once(cx).await),
        Act::Store(x, value) => world.word(*x).write_once(cx, *value).await,
        Act::Add(x) => world.see(cx, world.word(*x).fetch_add(cx, 1).await),
        Act::IncNotZero(x) => world.see(cx, world.word(*x).inc_not_zero(cx).await),
        Act::CmpXchg(x, old, new) => world.see(cx, world.word(*x).cmpxchg(cx, *old, *new).await.is_ok()),
        Act::TestBit(bit) => world.see(cx, world.bits().test_bit(cx, *bit).await),
        Act::SetBit(bit) => world.bits().set_bit(cx, *bit).await,
        Act::ClearBit(bit) => world.bits().clear_bit(cx, *bit).await,
        Act::TryBit(bit) => world.see(cx, world.bits().test_and_set_bit(cx, *bit).await),
        Act::Synchronize => cx.synchronize_rcu().await,
        Act::AwaitNonZero(x) => {
            while world.word(*x).read_once(cx).await == 0 {
                cx.retry(&[world.word(*x).id()]).await;
            }
        }
        Act::LookIf(x, y) => {
            if world.word(*x).read_once(cx).await == 0 {
                world.see(cx, world.word(*y).observe());
            }
        }
        Act::ChangeIf(x, y) => {
            if world.word(*x).fetch_add(cx, 1).await == 0 {
                world.word(*y).set_up(world.word(*y).observe() + 1);
            }
        }
        Act::BugIfSet(x) => {
            let value = world.word(*x).modify(cx, |value| value).await;
            if value != 0 {
                cx.bug::<()>(format_args!("word {x} is {value}")).await;
            }
        }
        Act::Lock(..) | Act::TryLock(..) | Act::BitLock(..) | Act::Read(_) => locked(cx, world, act).await,
        Act::DownRead(_) | Act::DownWrite(_) | Act::IrqsOff(_) => nested(cx, world, act).await,
        _ => elsewhere(cx, world, act).await,
    }
}

async fn locked(cx: &Context, world: &Rc<World>, act: &Act) {
    match act {
        Act::Lock(l, body) => {
            let guard = world.locks[*l].lock(cx).await;
            run(cx, world, body).await;
            guard.unlock().await;
        }
        Act::TryLock(l, body) => {
            let guard = world.locks[*l].try_lock(cx).await;
            world.see(cx, guard.is_some());
            if let Some(guard) = guard {
                run(cx, world, body).await;
                guard.unlock().await;
            }
        }
        Act::BitLock(bit, body) => {
            world.bits().lock_bit(cx, *bit).await;
            run(cx, world, body).await;
            world.bits().unlock_bit(cx, *bit).await;
        }
        Act::Read(body) => {
            let section = cx.rcu_read_lock().await;
            run(cx, world, body).await;
            section.unlock().await;
        }
        _ => unreachable!("only what takes a lock"),
    }
}

async fn nested(cx: &Context, world: &Rc<World>, act: &Act) {
    match act {
        Act::DownRead(body) => {
            let guard = world.sem.down_read(cx).await;
            run(cx, world, body).await;
            guard.up_read().await;
        }
        Act::DownWrite(body) => {
            let guard = world.sem.down_write(cx).await;
            run(cx, world, body).await;
            guard.up_write().await;
        }
        Act::IrqsOff(body) => {
            cx.local_irq_disable();
            run(cx, world, body).await;
            cx.local_irq_enable();
        }
        _ => unreachable!("only what contains others"),
    }
}

/// Acts that something else finishes: an interrupt or a callback.
async fn elsewhere(cx: &Context, world: &Rc<World>, act: &Act) {
    let cpus = cx.engine().cpus().len() as u16;
    let next = CpuId((cx.cpu().id().0 + 1) % cpus);
    let shared = Rc::clone(world);
    let handler: IpiHandler = match *act {
        Act::CallRcu(x) => return cx.call_rcu(move |engine| shared.add(engine, x)).await,
        Act::CallRcuIf(x, y) => return cx.call_rcu(move |engine| shared.add_if(engine, x, y)).await,
        Act::Acknowledged(x) => return acknowledged(cx, world, x).await,
        Act::Interrupt(x) => Rc::new(move |engine, _| shared.add(engine, x)),
        Act::InterruptIf(x, y) => Rc::new(move |engine, _| shared.add_if(engine, x, y)),
        Act::InterruptIfIdle(x) => Rc::new(move |engine, cpu| {
            if engine.is_idle(cpu.id()) {
                shared.add(engine, x);
            }
        }),
        Act::SilentInterrupt(x) => Rc::new(move |_, _| shared.words[x].set(shared.words[x].get() + 1)),
        _ => unreachable!("performed by itself"),
    };
    cx.send_ipi(next, handler).await;
}

async fn acknowledged(cx: &Context, world: &Rc<World>, x: usize) {
    let own = cx.cpu().id();
    let others = cx.engine().cpus().iter().map(|cpu| cpu.id()).filter(|&id| id != own);
    let done = Completion::new(&ACK, world.next_ack(own), cx.engine().cpus().len() as u32 - 1);
    for (n, target) in others.enumerate() {
        let (shared, acknowledgement) = (Rc::clone(world), Rc::clone(&done));
        let handler = move |engine: &Engine, _: &_| {
            shared.add(engine, (x + n) % 3);
            acknowledgement.complete(engine);
        };
        cx.send_ipi(target, Rc::new(handler)).await;
    }
    done.wait(cx).await;
}

impl Shared for World {
    fn absorb_into(&self, digest: &mut Digest) {
        self.outcome().hash(digest);
        self.sent.borrow().hash(digest);
    }
}
