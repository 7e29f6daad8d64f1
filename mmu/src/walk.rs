//! The page walk: what the hardware does on a TLB miss.

use pagewalk_engine::{Context, Word};

use crate::{AccessKind, Asid, Core, Hardware, Pfn, Pte, Root, TlbEntry, Vaddr};

/// Why a walk ended without a translation: the page-fault error code of x86.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// Virtual address that was to be translated.
    pub vaddr: Vaddr,
    /// What was attempted.
    pub kind: AccessKind,
    /// A present entry forbade it (error code bit 0); otherwise an entry was not present.
    pub protection: bool,
}

/// Where a walk stands: the rights that all upper entries grant, and the table it reads next.
struct Descent {
    level: u8,
    table: Pfn,
    writable: bool,
    user: bool,
    executable: bool,
}

impl Hardware {
    /// Translates `vaddr` for `kind` through the tables under `root` and fills the TLB of this CPU.
    ///
    /// One step per level. The accessed bit, and for a store the dirty bit, are set by a compare-exchange of the
    /// whole entry against the value walked, and only if clear; if the entry has changed, the walk begins again. The fill
    /// belongs to the last step.
    ///
    /// # Errors
    /// The page fault to raise.
    pub async fn walk(
        &self,
        cx: &Context,
        root: Root,
        vaddr: Vaddr,
        kind: AccessKind,
    ) -> Result<TlbEntry, PageFault> {
        let core = self.core(cx.cpu().id());
        if vaddr >= self.format().user_end() {
            // Not an address of a program: the indices would be those of another one. No entry is read.
            core.count(|counters| {
                counters.walks += 1;
                counters.faulting += 1;
            });
            return Err(PageFault { vaddr, kind, protection: false });
        }
        loop {
            core.count(|counters| counters.walks += 1);
            self.look_at_translations(cx.engine(), cx.cpu().id());
            let mut at = self.start(core, root, vaddr);
            let (word, leaf) = loop {
                let word = self.tables.entry(at.table, self.format().index(vaddr, at.level));
                let entry = word.read_once(cx).await;
                core.count(|counters| counters.steps += 1);
                cx.charge(self.costs().walk_step);
                if !entry.is_present() {
                    core.count(|counters| counters.faulting += 1);
                    return Err(PageFault { vaddr, kind, protection: false });
                }
                at.restrict(entry);
                if at.level == 1 || entry.is_leaf_bit() {
                    break (word, entry);
                }
                self.descend(cx, &mut at, root.asid, vaddr, entry);
            };
            if !at.grants(kind) {
                core.count(|counters| counters.faulting += 1);
                // A permission fault drops what the TLB holds of the page (SDM vol. 3A, 4.10.4.1).
                self.touch_translations(cx.engine(), cx.cpu().id());
                core.invalidate_page(vaddr, root.asid);
                return Err(PageFault { vaddr, kind, protection: true });
            }
            let Some(leaf) = self.mark_used(cx, word, leaf, kind).await else { continue };
            return Ok(self.fill(cx, &at, root.asid, vaddr, kind, leaf));
        }
    }

    /// The table to begin with: the deepest that the walk caches know, or the root. (Upper entries grant
    /// everything, as Linux writes them, so a cached one restricts nothing.)
    fn start(&self, core: &Core, root: Root, vaddr: Vaddr) -> Descent {
        let cached = core.walk_caches.borrow_mut().lookup(vaddr, root.asid);
        let (level, table) =
            cached.map_or((self.format().levels, root.table), |cached| (cached.level - 1, cached.table));
        Descent { level, table, writable: true, user: true, executable: true }
    }

    fn descend(&self, cx: &Context, at: &mut Descent, asid: Asid, vaddr: Vaddr, entry: Pte) {
        let core = self.core(cx.cpu().id());
        self.note_named(cx, entry.pfn(), 1);
        if core.walk_caches.borrow_mut().insert(at.level, vaddr, asid, entry.pfn()) {
            self.touch_translations(cx.engine(), cx.cpu().id());
        }
        at.level -= 1;
        at.table = entry.pfn();
    }

    /// Sets the accessed bit, and for a store the dirty bit, if clear. `None`: the entry has changed.
    async fn mark_used(&self, cx: &Context, word: Word<'_, Pte>, seen: Pte, kind: AccessKind) -> Option<Pte> {
        let used = seen.accessed(true).dirty(seen.is_dirty() || kind.is_write());
        if used == seen {
            return Some(seen);
        }
        let core = self.core(cx.cpu().id());
        if word.cmpxchg(cx, seen, used).await.is_err() {
            core.count(|counters| counters.retries += 1);
            return None;
        }
        core.count(|counters| {
            counters.accessed_set += u64::from(!seen.is_accessed());
            counters.dirty_set += u64::from(used.is_dirty() && !seen.is_dirty());
        });
        Some(used)
    }

    fn fill(
        &self,
        cx: &Context,
        at: &Descent,
        asid: Asid,
        vaddr: Vaddr,
        kind: AccessKind,
        leaf: Pte,
    ) -> TlbEntry {
        let size = self.format().leaf_size(at.level).expect("a leaf stands where leaves may stand");
        let entry = TlbEntry {
            frame: leaf.pfn(),
            size,
            writable: at.writable,
            user: at.user,
            executable: at.executable,
            dirty: leaf.is_dirty(),
            global: leaf.is_global(),
        };
        self.touch_translations(cx.engine(), cx.cpu().id());
        self.note_named(cx, leaf.pfn(), size.base_pages());
        self.core(cx.cpu().id()).tlb.borrow_mut().fill(vaddr, asid, kind, &entry);
        entry
    }
}

impl Descent {
    fn restrict(&mut self, entry: Pte) {
        self.writable &= entry.is_writable();
        self.user &= entry.is_user();
        self.executable &= entry.is_executable();
    }

    fn grants(&self, kind: AccessKind) -> bool {
        self.user
            && match kind {
                AccessKind::Fetch => self.executable,
                AccessKind::Load => true,
                AccessKind::Store | AccessKind::Modify => self.writable,
            }
    }
}
