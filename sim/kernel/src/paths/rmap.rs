//! The reverse mapping: how many PTEs map a page.
//!
//! Follows mm/rmap.c of v2.6.27.

use pagewalk_mmu::{Pfn, Vaddr};
use pagewalk_pages::{LruList, PG_SWAPBACKED, PG_UPTODATE, PageMapping};

use crate::mm::{PageKind, Vma};
use crate::task::Task;

/// `page_add_new_anon_rmap`: a page that nobody knows yet gets its first mapping, and goes to the active list (with it, as since
/// 2.6.28). Holds the PTL.
pub(crate) async fn page_add_new_anon_rmap(current: &Task, pfn: Pfn, vma: &Vma, address: Vaddr) {
    let kernel = current.kernel();
    let page = kernel.zone.memory.words(pfn);
    page.flags().modify(current, |flags| flags | 1 << PG_UPTODATE | 1 << PG_SWAPBACKED).await;
    let Some(anon_vma) = vma.anon_vma.get() else {
        return current.bug("prepared before the fault allocated").await;
    };
    // A plain store: nobody else maps the page, and the PTL keeps walks from this PTE until all three words
    // are there.
    page.mapcount().write_once(current, 1).await;
    page.mapping().write_once(current, PageMapping::Anon(anon_vma.id()).encode()).await;
    page.index().write_once(current, vma.index_of(address)).await;
    kernel.zone.lru_cache_add(current, pfn, LruList::ActiveAnon).await;
    kernel.stat.nr_anon_pages.add(1);
    kernel.stat.peak_anon_pages.at_least(kernel.stat.nr_anon_pages.get());
}

/// `page_add_anon_rmap`: an anonymous page gets one mapping more; with its first one it belongs to the area's `anon_vma` again.
/// Whoever calls it has the page locked (`do_swap_page`, `try_to_unuse`, the end of a migration).
/// Holds the PTL.
pub(crate) async fn page_add_anon_rmap(current: &Task, pfn: Pfn, vma: &Vma, address: Vaddr) {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    if words.mapcount().fetch_add(current, 1).await == 0 {
        let Some(anon_vma) = vma.anon_vma.get() else {
            return current.bug("an area with a swap entry has had a page").await;
        };
        words.mapping().write_once(current, PageMapping::Anon(anon_vma.id()).encode()).await;
        words.index().write_once(current, vma.index_of(address)).await;
        kernel.stat.nr_anon_pages.add(1);
        kernel.stat.peak_anon_pages.at_least(kernel.stat.nr_anon_pages.get());
    }
    kernel.check_exclusive(pfn);
}

/// `page_add_file_rmap`: a page of a file gets one mapping more. Holds the PTL.
pub(crate) async fn page_add_file_rmap(current: &Task, pfn: Pfn) {
    if current.kernel().zone.memory.words(pfn).mapcount().fetch_add(current, 1).await == 0 {
        current.kernel().stat.nr_mapped.add(1);
    }
}

/// `page_dup_rmap`: fork maps the page once more. Holds the PTLs of parent and child.
pub(crate) async fn page_dup_rmap(current: &Task, pfn: Pfn) {
    current.kernel().zone.memory.words(pfn).mapcount().fetch_add(current, 1).await;
}

/// `page_remove_rmap`: one mapping less. Holds the PTL.
/// The page may be unmapped for anybody from here on: reclaim may find it so, and `do_wp_page` of another
/// process may take it for its own. So it comes after the flush where a copy is made (R44).
pub(crate) async fn page_remove_rmap(current: &Task, pfn: Pfn, kind: PageKind) {
    let before = current.kernel().zone.memory.words(pfn).mapcount().fetch_add(current, -1).await;
    if before <= 0 {
        current.engine().violation(
            "I1",
            format!(
                "a mapping of {pfn:?} is taken away and there was none: expected a map count of 1 or more"
            ),
        );
    }
    if before == 1 {
        let stat = &current.kernel().stat;
        match kind {
            PageKind::Anon => stat.nr_anon_pages.sub(1),
            PageKind::File => stat.nr_mapped.sub(1),
        }
    }
}

/// `page_mapped`: whether a PTE maps the page. It holds for longer than the step only under a lock that keeps
/// faults and zaps from the page: a page lock keeps faults away, a PTL both from one place.
pub(crate) async fn page_mapped(current: &Task, pfn: Pfn) -> bool {
    current.kernel().zone.memory.words(pfn).mapcount().read_once(current).await > 0
}

/// `PageAnon` of a page that is mapped in `vma`. In an area without a file every page is anonymous, in a shared one none.
pub(crate) async fn page_kind(current: &Task, vma: &Vma, pfn: Pfn) -> PageKind {
    if vma.file().is_none() {
        return PageKind::Anon;
    }
    if vma.shared {
        return PageKind::File;
    }
    let mapping = current.kernel().zone.memory.words(pfn).mapping().read_once(current).await;
    match PageMapping::decode(mapping) {
        PageMapping::Anon(_) => PageKind::Anon,
        PageMapping::File(_) | PageMapping::None => PageKind::File,
    }
}
