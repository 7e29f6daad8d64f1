//! Small programs for a few CPUs: every kind of step that the engine has.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use pagewalk_engine::{
    Class, Context, CpuId, Engine, EngineConfig, ObjectId, Schedule, SpinLock, Stop, Violation, Word,
};
use pagewalk_explore::Model;

static WORD: Class = Class::new(100, "word");
static FLAGS: Class = Class::new(101, "flags");
static LOCK: Class = Class::new(102, "lock");

/// What a program does; `x` names a word, `l` a lock.
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
    Synchronize,
    /// After a grace period, adds to a word.
    CallRcu(usize),
    /// Loads until the word is not 0.
    AwaitNonZero(usize),
    /// Sends the next CPU an interrupt that adds to a word, and does not wait.
    Interrupt(usize),
}

struct World {
    words: [Cell<u64>; 3],
    flags: Cell<u32>,
    locks: [SpinLock; 2],
    /// What each CPU has seen.
    seen: RefCell<Vec<Vec<u64>>>,
}

/// A program as something to explore.
pub(crate) struct Programs {
    engine: Rc<Engine>,
    programs: Rc<Vec<Vec<Act>>>,
    world: Rc<World>,
}

impl World {
    fn new(cpus: usize) -> Self {
        Self {
            words: Default::default(),
            flags: Cell::new(0),
            locks: [SpinLock::new(&LOCK, 0), SpinLock::new(&LOCK, 1)],
            seen: RefCell::new(vec![Vec::new(); cpus]),
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

    fn outcome(&self) -> Vec<Vec<u64>> {
        let mut all = self.seen.borrow().clone();
        all.push(self.words.iter().map(Cell::get).collect());
        all.push(vec![u64::from(self.flags.get())]);
        all
    }
}

impl Programs {
    pub(crate) fn new(programs: Vec<Vec<Act>>) -> Self {
        let cpus = programs.len();
        let config = EngineConfig {
            cpus: cpus as u16,
            schedule: Schedule::Explore,
            jitter: 0,
            ..EngineConfig::default()
        };
        let world = Rc::new(World::new(cpus));
        Self { engine: Engine::new(config), programs: Rc::new(programs), world }
    }
}

impl Model for Programs {
    fn cpus(&self) -> usize {
        self.programs.len()
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        self.engine.restart(seed);
        self.world = Rc::new(World::new(self.programs.len()));
        for cpu in 0..self.programs.len() {
            let (programs, world) = (Rc::clone(&self.programs), Rc::clone(&self.world));
            self.engine
                .spawn(CpuId(cpu as u16), move |cx| async move { run(&cx, &world, &programs[cpu]).await });
        }
        Rc::clone(&self.engine)
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        let mut found = Vec::new();
        if let Stop::Deadlock(message) = stop {
            found.push(Violation { invariant: "I27", message: message.clone() });
        }
        // What every context saw is part of the verdict.
        found.push(Violation { invariant: "outcome", message: format!("{:?}", self.world.outcome()) });
        found
    }
}

fn run<'a>(cx: &'a Context, world: &'a Rc<World>, acts: &'a [Act]) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
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
        Act::CallRcu(x) => call_rcu(cx, world, *x).await,
        Act::AwaitNonZero(x) => {
            while world.word(*x).read_once(cx).await == 0 {
                cx.retry(&[world.word(*x).id()]).await;
            }
        }
        Act::Interrupt(x) => interrupt(cx, world, *x).await,
        Act::Lock(..) | Act::TryLock(..) | Act::BitLock(..) | Act::Read(_) => nested(cx, world, act).await,
    }
}

async fn nested(cx: &Context, world: &Rc<World>, act: &Act) {
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
        _ => unreachable!("only what contains others"),
    }
}

/// What a handler does to a word, said to the explorer.
fn add(engine: &Engine, world: &World, x: usize) {
    let old = world.words[x].get();
    world.words[x].set(old + 1);
    let effect = pagewalk_engine::Effect { old, new: old + 1 };
    engine.touch(world.word(x).id(), pagewalk_engine::OpKind::Rmw, effect);
}

async fn call_rcu(cx: &Context, world: &Rc<World>, x: usize) {
    let world = Rc::clone(world);
    cx.call_rcu(move |engine| add(engine, &world, x)).await;
}

async fn interrupt(cx: &Context, world: &Rc<World>, x: usize) {
    let target = CpuId((cx.cpu().id().0 + 1) % cx.engine().cpus().len() as u16);
    let world = Rc::clone(world);
    cx.send_ipi(target, Rc::new(move |engine, _| add(engine, &world, x))).await;
}
