//! Walks of the reverse mapping: every PTE that may map a page, under the lock that keeps its areas.
//!
//! Follows mm/rmap.c of v2.6.27 (`page_lock_anon_vma`, `page_check_address`).

use std::rc::Rc;

use pagewalk_engine::{SpinGuard, Word};
use pagewalk_mmu::{Pfn, Pte, Vaddr};
use pagewalk_pages::PageMapping;

use crate::mm::{Mm, Vma, find_table, pte_word};
use crate::task::Task;

/// Where a page may be mapped.
pub(crate) struct Place {
    /// The address space. It may be exiting: its PTEs count as long as they are there.
    pub(crate) mm: Rc<Mm>,
    /// The area that has the page's index.
    pub(crate) vma: Rc<Vma>,
    /// Where the page is in the area, if it is mapped there.
    pub(crate) address: Vaddr,
}

/// Calls `visit` for every place where an area may map the page, until it says that it has seen enough. Holds the lock of the
/// page's `anon_vma`, or of its file's index of areas, meanwhile: none of the areas goes, and none of their tables. The page is
/// locked, or the caller has a reference to an anonymous one.
pub(crate) async fn rmap_walk(current: &Task, pfn: Pfn, visit: impl AsyncFnMut(Place) -> bool) {
    walk(current, pfn, true, visit).await;
}

/// The same of a page that is mapped nowhere but was a moment ago. The caller has been in an RCU read section since before that.
pub(crate) async fn rmap_walk_unmapped(current: &Task, pfn: Pfn, visit: impl AsyncFnMut(Place) -> bool) {
    walk(current, pfn, false, visit).await;
}

/// The walk. Where pages are mapped is not recorded anywhere: areas and the page's index tell where its PTEs
/// would be.
async fn walk(current: &Task, pfn: Pfn, mapped: bool, mut visit: impl AsyncFnMut(Place) -> bool) {
    let words = current.kernel().zone.memory.words(pfn);
    match PageMapping::decode(words.mapping().read_once(current).await) {
        PageMapping::None => {}
        PageMapping::Anon(_) => walk_anon(current, pfn, mapped, &mut visit).await,
        PageMapping::File(id) => {
            // The page lock keeps the page in its file, and so the file.
            let Some(inode) = current.kernel().inode_of(id) else {
                return current.bug("a file in a page's mapping exists").await;
            };
            let index = words.index().read_once(current).await;
            // `munmap` takes an area out of the index before it frees the area's tables: under this lock both
            // stay. PTEs still come, by faults, and go.
            let held = inode.i_mmap.lock(current).await;
            for area in inode.i_mmap.of_page(&held, index) {
                let Some(address) = area.vma.address_of(index) else { continue };
                if !visit(Place { mm: area.mm, vma: area.vma, address }).await {
                    break;
                }
            }
            held.unlock().await;
        }
    }
}

/// `page_lock_anon_vma` and the walk under it. While the page is mapped its `anon_vma` stays; that it was mapped is seen inside an
/// RCU read section, which keeps the memory of the `anon_vma` until the lock is had.
async fn walk_anon(current: &Task, pfn: Pfn, mapped: bool, visit: &mut impl AsyncFnMut(Place) -> bool) {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    let rcu = current.rcu_read_lock().await;
    // The mapping first, the map count after it. An `anon_vma` that is read while the page is mapped has not
    // been freed before this section, and so is not freed in it (R66).
    let mapping = PageMapping::decode(words.mapping().read_once(current).await);
    let alive = !mapped || words.mapcount().read_once(current).await > 0;
    let anon_vma = match mapping {
        PageMapping::Anon(id) if alive => kernel.anon_vmas.get(id),
        _ => None,
    };
    let Some(anon_vma) = anon_vma else {
        current.mark("page_lock_anon_vma:not-mapped");
        rcu.unlock().await;
        return;
    };
    // The last mapping may have gone before the lock was had. In Linux the areas of a stranger may be on the
    // list, and no PTE of them names the page.
    let held = anon_vma.lock(current).await;
    let index = words.index().read_once(current).await;
    for (mm, vma) in anon_vma.areas(&held) {
        let (Some(address), Some(mm)) = (vma.address_of(index), kernel.observe_mm(mm)) else { continue };
        if !visit(Place { mm, vma, address }).await {
            break;
        }
    }
    held.unlock().await;
    rcu.unlock().await;
}

/// `page_check_address`: the PTE that maps the page at a place, its lock held; `None` if none does.
///
///  1. find the table;
///  2. look at the PTE, without the lock;
///  3. lock the table;
///  4. look again.
///
/// Before the lock is taken, a PTE that is not present is passed over (not if `look_again`, as who must find every PTE needs it).
pub(crate) async fn page_check_address<'a>(
    current: &'a Task,
    place: &Place,
    look_again: bool,
    maps: impl Fn(Pte) -> bool,
) -> Option<(SpinGuard<'a>, Word<'a, Pte>, Pte)> {
    // 1. Without a lock: the walk's own keeps the area's tables.
    let table = find_table(current, &place.mm, place.address).await.ok()?;
    let word = pte_word(current, table, place.address);
    // 2. Most places do not map the page, and this saves their locks. But a PTE that somebody has cleared for
    // a moment, to store it again, is passed over: `page_mkclean` would leave it dirty (R27, 479db0bf408e),
    // migration its entry (R64).
    if !look_again && word.read_once(current).await.is_none() {
        return None;
    }
    let ptl = table.ptl(current).await;
    let pte = word.read_once(current).await;
    if maps(pte) {
        return Some((ptl, word, pte));
    }
    ptl.unlock().await;
    None
}

/// Whether a present PTE names the page.
pub(crate) fn names(pfn: Pfn) -> impl Fn(Pte) -> bool {
    move |pte| pte.is_present() && pte.pfn() == pfn
}
