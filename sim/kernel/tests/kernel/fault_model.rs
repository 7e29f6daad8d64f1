//! The faults of a program, predicted by a model that sees only accesses and mapping events.
//!
//! The model knows no PTE, no frame and no `struct page`: per process it keeps which rights each page has, and which
//! logical page is there and whether it may be written without asking. A logical page counts who shares it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::iter;
use std::rc::Rc;

use pagewalk_engine::{Class, CpuId, Purpose, Random, WaitQueue};
use pagewalk_kernel::{Call, Errno, Kernel, KernelConfig, Mm, Prot, Task};
use pagewalk_mmu::{Access, AccessKind, BASE_SHIFT, Vaddr};
use proptest::prelude::*;

use crate::common::{BASE, Setup, address_space, call};
use crate::op::{Op, Raw};

#[derive(Clone, Copy, Debug)]
struct Entry {
    page: u64,
    writable: bool,
}

#[derive(Clone, Debug, Default)]
struct Space {
    rights: BTreeMap<u64, Prot>,
    entries: BTreeMap<u64, Entry>,
    heap: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Faults {
    first_touch: u64,
    copied: u64,
    permission: u64,
    segv: u64,
}

#[derive(Debug, Default)]
struct Model {
    spaces: BTreeMap<u32, Space>,
    sharers: BTreeMap<u64, u64>,
    last_page: u64,
    faults: Faults,
}

fn vpn(address: Vaddr) -> u64 {
    address.0 >> BASE_SHIFT
}

impl Model {
    fn space(&mut self, pid: u32) -> &mut Space {
        self.spaces.get_mut(&pid).expect("a living process")
    }

    fn new_page(&mut self) -> u64 {
        self.last_page += 1;
        self.sharers.insert(self.last_page, 1);
        self.last_page
    }

    fn drop_entry(&mut self, pid: u32, vpn: u64) {
        if let Some(entry) = self.space(pid).entries.remove(&vpn) {
            *self.sharers.get_mut(&entry.page).expect("a shared page") -= 1;
        }
    }

    fn unmap(&mut self, pid: u32, start: u64, pages: u64) {
        for vpn in start..start + pages {
            self.drop_entry(pid, vpn);
            self.space(pid).rights.remove(&vpn);
        }
    }

    fn map(&mut self, pid: u32, start: u64, pages: u64, prot: Prot) {
        self.unmap(pid, start, pages);
        (start..start + pages).for_each(|vpn| {
            self.space(pid).rights.insert(vpn, prot);
        });
    }

    fn access(&mut self, pid: u32, access: Access) {
        let first = vpn(access.vaddr());
        for page in if access.is_split() { first..first + 2 } else { first..first + 1 } {
            if !self.touch(pid, page, access.kind()) {
                self.faults.segv += 1;
                return;
            }
        }
    }

    fn touch(&mut self, pid: u32, vpn: u64, kind: AccessKind) -> bool {
        let Some(&prot) = self.space(pid).rights.get(&vpn) else { return false };
        let allowed = match kind {
            AccessKind::Fetch => prot.exec,
            AccessKind::Load => prot.read || prot.write || prot.exec,
            AccessKind::Store | AccessKind::Modify => prot.write,
        };
        if !allowed {
            return false;
        }
        let writes = matches!(kind, AccessKind::Store | AccessKind::Modify);
        let entry = match self.space(pid).entries.get(&vpn).copied() {
            None => {
                self.faults.first_touch += 1;
                Entry { page: self.new_page(), writable: prot.write }
            }
            Some(entry) if writes && !entry.writable => {
                if self.sharers[&entry.page] == 1 {
                    self.faults.permission += 1;
                    Entry { writable: true, ..entry }
                } else {
                    self.faults.copied += 1;
                    self.drop_entry(pid, vpn);
                    Entry { page: self.new_page(), writable: true }
                }
            }
            Some(entry) => entry,
        };
        self.space(pid).entries.insert(vpn, entry);
        true
    }

    /// What a call did, given what it returned.
    fn event(&mut self, pid: u32, op: Op, returned: Result<Option<Vaddr>, Errno>) {
        match op {
            Op::Access(access) => self.access(pid, access),
            // Whatever part of the range is mapped is discarded, also if the call complains about the rest.
            Op::DontNeed { start, pages } if returned != Err(Errno::Einval) => {
                (vpn(start)..vpn(start) + pages).for_each(|vpn| self.drop_entry(pid, vpn));
            }
            _ if returned.is_err() => {}
            Op::Mmap { start, pages, prot } => self.map(pid, vpn(start), pages, prot),
            Op::Munmap { start, pages } => self.unmap(pid, vpn(start), pages),
            Op::Mprotect { start, pages, prot } => self.protect(pid, vpn(start), pages, prot),
            Op::Brk { end } => self.brk(pid, vpn(end)),
            Op::Mremap { start, old, new, .. } => {
                let to = returned.ok().flatten().expect("where the mapping is now");
                self.remap(pid, (vpn(start), old), (vpn(to), new));
            }
            Op::DontNeed { .. } | Op::Fork | Op::Exec | Op::Exit => {}
        }
    }

    fn protect(&mut self, pid: u32, start: u64, pages: u64, prot: Prot) {
        let space = self.space(pid);
        for vpn in start..start + pages {
            let changed = space.rights.insert(vpn, prot) != Some(prot);
            if let Some(entry) = space.entries.get_mut(&vpn) {
                entry.writable &= !changed;
            }
        }
    }

    fn brk(&mut self, pid: u32, end: u64) {
        let (first, last) = self.space(pid).heap.unwrap_or((end, end));
        if end > last {
            self.map(pid, last, end - last, Prot::RW);
        } else {
            self.unmap(pid, end, last - end);
        }
        self.space(pid).heap = Some((first, end));
    }

    fn remap(&mut self, pid: u32, (from, old): (u64, u64), (to, new): (u64, u64)) {
        let prot = self.space(pid).rights[&from];
        if new < old {
            self.unmap(pid, from + new, old - new);
        }
        let kept = old.min(new);
        if from != to {
            self.map(pid, to, kept, prot);
            for n in 0..kept {
                let space = self.space(pid);
                if let Some(moved) = space.entries.remove(&(from + n)) {
                    space.entries.insert(to + n, moved);
                }
                space.rights.remove(&(from + n));
            }
        }
        self.map(pid, to + kept, new - kept, prot);
    }

    fn fork(&mut self, parent: u32, child: u32) {
        for entry in self.space(parent).entries.values_mut() {
            entry.writable = false;
        }
        let copy = self.space(parent).clone();
        for entry in copy.entries.values() {
            *self.sharers.get_mut(&entry.page).expect("a shared page") += 1;
        }
        self.spaces.insert(child, copy);
    }

    fn exit(&mut self, pid: u32) {
        let mapped: Vec<u64> = self.space(pid).entries.keys().copied().collect();
        mapped.into_iter().for_each(|vpn| self.drop_entry(pid, vpn));
        self.spaces.remove(&pid);
    }

    fn exec(&mut self, pid: u32) {
        self.exit(pid);
        self.spaces.insert(pid, Space::default());
    }
}

static TURN: Class = Class::new(251, "turn");

/// The program of all processes, one operation at a time, and whose turn it is.
struct Script {
    ops: Vec<(u8, Op)>,
    next: Cell<usize>,
    alive: RefCell<Vec<u32>>,
    last_pid: Cell<u32>,
    turn: WaitQueue,
    model: RefCell<Model>,
}

/// Processes alive at one time.
const MOST_PROCESSES: usize = 4;

impl Script {
    fn over(&self) -> bool {
        self.next.get() == self.ops.len()
    }

    fn is_turn_of(&self, pid: u32) -> bool {
        let Some(&(actor, _)) = self.ops.get(self.next.get()) else { return true };
        let alive = self.alive.borrow();
        alive[usize::from(actor) % alive.len()] == pid
    }

    fn done(&self, task: &Task) {
        self.compare(task);
        self.next.set(self.next.get() + 1);
        self.turn.wake_up(task);
    }

    fn compare(&self, task: &Task) {
        let stat = &task.kernel().stat;
        let counted = Faults {
            first_touch: stat.fault_first_touch.get(),
            copied: stat.fault_cow_copied.get(),
            permission: stat.fault_permission.get(),
            segv: stat.sigsegv.get(),
        };
        let predicted = self.model.borrow().faults;
        let (next, done) = (self.next.get(), &self.ops[..=self.next.get()]);
        assert_eq!(counted, predicted, "after operation {next}, process {}, of {done:#?}", task.pid());
        assert_eq!(stat.pgfault.get(), predicted.first_touch + predicted.copied + predicted.permission);
    }
}

/// Starts a process, which does what the script says whenever it is its turn.
fn spawn(script: &Rc<Script>, kernel: &Rc<Kernel>, pid: u32, mm: Option<Rc<Mm>>) {
    let (script, kernel) = (Rc::clone(script), Rc::clone(kernel));
    let cpu = CpuId(pid as u16 % kernel.engine.cpus().len() as u16);
    let engine = Rc::clone(&kernel.engine);
    engine.spawn(cpu, async move |cx| {
        let mm = match mm {
            Some(mm) => mm,
            None => Mm::alloc(&kernel, &cx).await,
        };
        live(&script, Task::new(cx, kernel, mm, pid, pid)).await;
    });
}

async fn live(script: &Rc<Script>, task: Task) {
    let pid = task.pid();
    loop {
        script.turn.wait_event(&task, || script.is_turn_of(pid)).await;
        if script.over() {
            call(&task, Call::Exit).await.expect("the call is right");
            return;
        }
        match script.ops[script.next.get()].1 {
            Op::Fork => fork(script, &task).await,
            Op::Exec => {
                call(&task, Call::Execve).await.expect("the call is right");
                script.model.borrow_mut().exec(pid);
            }
            Op::Exit if script.alive.borrow().len() > 1 => {
                call(&task, Call::Exit).await.expect("the call is right");
                script.model.borrow_mut().exit(pid);
                script.alive.borrow_mut().retain(|&other| other != pid);
                return script.done(&task);
            }
            op => {
                let returned = op.perform(&task).await;
                script.model.borrow_mut().event(pid, op, returned);
            }
        }
        script.done(&task);
    }
}

async fn fork(script: &Rc<Script>, task: &Task) {
    if script.alive.borrow().len() == MOST_PROCESSES {
        return;
    }
    let child = script.last_pid.get() + 1;
    script.last_pid.set(child);
    let mm = address_space(task, Call::Fork).await;
    script.model.borrow_mut().fork(task.pid(), child);
    script.alive.borrow_mut().push(child);
    spawn(script, task.kernel(), child, Some(mm));
}

/// Runs the program on a machine and in the model at once.
fn compare(program: &[(u8, Raw)], cpus: u16, pcid: bool) -> Faults {
    let first = Op::Mmap { start: BASE, pages: 12, prot: Prot::RW };
    let ops = program.iter().map(|&(actor, raw)| (actor, Op::decode(raw)));
    let script = Rc::new(Script {
        ops: iter::once((0, first)).chain(ops).collect(),
        next: Cell::new(0),
        alive: RefCell::new(vec![1]),
        last_pid: Cell::new(1),
        turn: WaitQueue::new(&TURN, 0),
        model: RefCell::default(),
    });
    script.model.borrow_mut().spaces.insert(1, Space::default());
    let config = KernelConfig { pcid, gather_batch: 5, tlb_flush_ceiling: 4, ..KernelConfig::default() };
    let setup = Setup { cpus, config, ..Setup::default() };
    setup.run(|kernel| spawn(&script, kernel, 1, None));
    assert!(script.over());
    script.model.take().faults
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn faults_are_those_that_accesses_and_mapping_events_predict(
        program in proptest::collection::vec(any::<(u8, Raw)>(), 50..300),
        cpus in 1..3_u16,
        pcid: bool,
    ) {
        compare(&program, cpus, pcid);
    }
}

#[test]
fn random_programs_reach_every_kind_of_fault() {
    let mut random = Random::new(1, Purpose::Workload);
    let mut sum = Faults::default();
    for _ in 0..20 {
        let program: Vec<(u8, Raw)> =
            (0..300).map(|_| (random.below(256) as u8, [(); 5].map(|()| random.below(256) as u8))).collect();
        let faults = compare(&program, 2, false);
        sum.first_touch += faults.first_touch;
        sum.copied += faults.copied;
        sum.permission += faults.permission;
        sum.segv += faults.segv;
    }
    let Faults { first_touch, copied, permission, segv } = sum;
    assert!(first_touch > 500 && copied > 100 && permission > 30 && segv > 500, "{sum:?}");
}
