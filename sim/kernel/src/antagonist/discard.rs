//! Discards of pages that programs have mapped and that a file brings back.
//!
//! As `process_madvise(MADV_DONTNEED)` would do it: under `mmap_sem` for reading, by `zap_page_range`. Beneath the call, as
//! [`Call::Madvise`](crate::Call::Madvise) discards from the caller's own address space, private copies included.

use std::rc::Rc;

use pagewalk_engine::Random;
use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr, VaddrRange};

use crate::mm::{Mm, Vma};
use crate::paths::{ZapDetails, mmput, zap_page_range};
use crate::task::Task;

/// Pages that are discarded at most.
const MOST_PAGES: u32 = 16;

/// Discards some pages of one area of one program. Private copies stay: nothing else has what is in them.
pub(super) async fn discard_mapped_pages(current: &Task, random: &mut Random) {
    let mms = current.kernel().all_mms();
    let Some(count) = u32::try_from(mms.len()).ok().filter(|&count| count > 0) else { return };
    let mm = Rc::clone(&mms[random.below(count) as usize]);
    drop(mms);
    if !mm.users().inc_not_zero(current).await {
        return;
    }
    discard_in(current, random, &mm).await;
    mmput(current, mm).await;
}

async fn discard_in(current: &Task, random: &mut Random, mm: &Rc<Mm>) {
    let mmap_sem = mm.mmap_sem.down_read(current).await;
    let areas: Vec<Rc<Vma>> =
        mm.areas.get(&mmap_sem).iter().filter(|vma| vma.file().is_some()).cloned().collect();
    if let Some(count) = u32::try_from(areas.len()).ok().filter(|&count| count > 0) {
        let vma = &areas[random.below(count) as usize];
        let pages = u32::try_from(vma.range.len() / BASE_PAGE_BYTES).unwrap_or(u32::MAX);
        let first = Vaddr(vma.range.start().0 + u64::from(random.below(pages)) * BASE_PAGE_BYTES);
        let len = u64::from(1 + random.below(MOST_PAGES)) * BASE_PAGE_BYTES;
        let end = Vaddr(first.0 + len).min(vma.range.end());
        let file = vma.file().expect("chosen for it");
        let details = ZapDetails { check_mapping: file.inode().mapping.page_mapping() };
        let range = VaddrRange::new(first, end).expect("a part of the area");
        zap_page_range(current, mm, vma, range, Some(details)).await;
    }
    mmap_sem.up_read().await;
}
