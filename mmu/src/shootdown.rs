//! TLB shootdown: what one CPU must do so that others forget a translation.
//!
//! Follows `flush_tlb_others` of v2.6.27 (arch/x86/kernel/tlb_64.c): an interrupt to every CPU in the mask, then
//! wait for all acknowledgements. What the receiver does is the kernel's business and comes as a closure; delivery,
//! the flush and the acknowledgement are one step of the receiver.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{
    Class, Completion, Context, Cpu, CpuId, Digest, Effect, Engine, ObjectId, OpKind, Word,
};

use crate::Hardware;

static ACK: Class = Class::new(26, "shootdown acknowledgement");

/// A set of CPUs, as shared words of 64 bits (`cpumask_t`).
pub struct CpuMask {
    class: &'static Class,
    index: u64,
    words: [Cell<u64>; 4],
}

pagewalk_engine::keep!(CpuMask: words; fixed class, index);

impl CpuMask {
    /// No CPUs. `index` tells masks of one class apart.
    pub fn new(class: &'static Class, index: u64) -> Self {
        Self { class, index, words: Default::default() }
    }

    fn word(&self, cpu: CpuId) -> (Word<'_, u64>, u8) {
        let word = usize::from(cpu.0 / 64);
        let id = ObjectId::new(self.class, self.index * 4 + word as u64);
        (Word::new(&self.words[word], id), (cpu.0 % 64) as u8)
    }

    /// `cpu_set`: one step.
    pub async fn set(&self, cx: &Context, cpu: CpuId) {
        let (word, bit) = self.word(cpu);
        word.set_bit(cx, bit).await;
    }

    /// `cpu_clear`: one step.
    pub async fn clear(&self, cx: &Context, cpu: CpuId) {
        let (word, bit) = self.word(cpu);
        word.clear_bit(cx, bit).await;
    }

    /// `cpu_clear` within a step of an interrupt handler.
    pub fn clear_in_step(&self, engine: &Engine, cpu: CpuId) {
        let (word, bit) = self.word(cpu);
        let cell = &self.words[usize::from(cpu.0 / 64)];
        let old = cell.get();
        let new = old & !(1 << bit);
        cell.set(new);
        engine.touch(word.id(), OpKind::ChangeBit(bit), Effect { old, new });
    }

    /// The CPUs in the set but `cx`'s own: one step for every 64 CPUs of the machine.
    pub async fn others(&self, cx: &Context) -> Vec<CpuId> {
        let cpus = cx.engine().cpus().len() as u16;
        let mut others = Vec::new();
        for first in (0..cpus).step_by(64) {
            let bits = self.word(CpuId(first)).0.read_once(cx).await;
            let inside = (0..64).filter(|bit| bits >> bit & 1 != 0).map(|bit| CpuId(first + bit));
            others.extend(inside.filter(|&cpu| cpu != cx.cpu().id()));
        }
        others
    }

    /// The CPUs in the set.
    pub fn absorb_into(&self, digest: &mut Digest) {
        self.words.iter().for_each(|word| digest.absorb(word.get()));
    }

    /// Whether `cpu` is in the set, for observers.
    pub fn observe(&self, cpu: CpuId) -> bool {
        self.words[usize::from(cpu.0 / 64)].get() >> (cpu.0 % 64) & 1 != 0
    }
}

impl Hardware {
    /// `flush_tlb_others`: runs `flush` on every one of `targets` and returns when all have acknowledged.
    pub async fn flush_tlb_others(
        &self,
        cx: &Context,
        targets: &[CpuId],
        flush: impl Fn(&Engine, &Cpu) + 'static,
    ) {
        let acknowledged = Completion::new(
            &ACK,
            u64::from(cx.cpu().id().0),
            u32::try_from(targets.len()).expect("at most 256"),
        );
        let done = Rc::clone(&acknowledged);
        let handler = Rc::new(move |engine: &Engine, cpu: &Cpu| {
            flush(engine, cpu);
            done.complete(engine);
        });
        for &target in targets {
            cx.send_ipi(target, handler.clone()).await;
        }
        acknowledged.wait(cx).await;
    }
}
