//! `exit`: the last thread of an address space takes it down.
//!
//! Follows kernel/exit.c (`exit_mm`), kernel/fork.c (`mmput`) and mm/mmap.c (`exit_mmap`) of v2.6.27.

use std::rc::Rc;

use crate::mm::{LastUser, Mm, Vma};
use crate::task::Task;
use crate::tlb::{drop_active_mm, flush_tlb_mm};

use super::unmap::unmap_region;

/// `exit_mm`: the current thread leaves its address space and does not come back.
pub(crate) async fn do_exit(current: &Task) {
    mmput(current, current.mm()).await;
    current.kernel().stat.exits.add(1);
}

/// `mmput`: one user less; the last one frees everything.
pub(crate) async fn mmput(current: &Task, mm: Rc<Mm>) {
    if mm.users().dec_and_test(current).await {
        exit_mmap(current, &mm).await;
    }
}

/// `exit_mmap`: pages, areas and tables go. No lock is needed: nobody else can reach the address space.
async fn exit_mmap(current: &Task, mm: &Rc<Mm>) {
    let alone = LastUser(mm);
    let gone: Vec<Rc<Vma>> = mm.areas.get(&alone).iter().cloned().collect();
    {
        let mut areas = mm.areas.get_mut(&alone);
        gone.iter().for_each(|vma| areas.remove(vma));
    }
    unmap_region(current, mm, &alone, &gone).await;
    current.kernel().mmlist_del(current, mm).await;
    // CPUs that keep the address space lazily let go of it before its top-level table is freed (mmdrop).
    drop_active_mm(current, mm).await;
    flush_tlb_mm(current, mm).await;
    current.kernel().free_table_page(current, mm.pgd).await;
    current.kernel().probe().dropped(mm);
    current.kernel().forget_mm(mm);
    current.kernel().wake_antagonists(current);
}
