//! What the kernel's paths tell the oracle of file pages, and ask it.

use std::rc::Rc;

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;

use super::files::FileShadow;
use super::oracle::mix;
use crate::kernel::Kernel;
use crate::probe::Probe;

/// A call under way that reads a file's contents: what it may see is any value since it began. Dropping it ends the call.
#[derive(Default)]
pub struct FileTicket {
    open: Option<(Rc<FileShadow>, u64)>,
}

impl FileTicket {
    /// The values that the call may find in a page.
    pub(super) fn admitted(&self, inode: u32, index: u64) -> Vec<u64> {
        self.open.as_ref().map_or(Vec::new(), |(files, began)| files.admitted_since(inode, index, *began))
    }

    /// A device has written to a frame that was the file's page when the call began: it held `before`, and holds `after`.
    pub(super) fn device_wrote(&self, inode: u32, index: u64, before: u64, after: u64) {
        if let Some((files, began)) = &self.open {
            files.device_wrote(inode, index, (before, after), *began);
        }
    }
}

impl Drop for FileTicket {
    fn drop(&mut self) {
        if let Some((files, began)) = &self.open {
            files.end(*began);
        }
    }
}

impl Kernel {
    /// The shadow of files, which knows file `inode` from now on.
    fn files(&self, inode: u32) -> Option<&Rc<FileShadow>> {
        let files = &self.asked_oracle()?.files;
        files.know(inode, || {
            self.inodes.all().get(inode as usize - 1).map_or(0, |inode| inode.initial_pages())
        });
        Some(files)
    }

    /// Page contents of file `inode` are followed from now on.
    pub(super) fn know_file(&self, inode: u32) {
        self.files(inode);
    }

    /// The number of the next store by the kernel; 0 without an oracle.
    pub(crate) fn next_store(&self) -> u64 {
        self.oracle.as_ref().map_or(0, super::Oracle::next_store)
    }

    /// `write` copies into the page at `pfn`, page `index` of the file: one step. With `whole`, nothing of what was there
    /// stays (a page that was never read in); otherwise the contents are mixed with the store.
    pub(crate) async fn write_file_page(&self, cx: &Context, pfn: Pfn, inode: u32, index: u64, whole: bool) {
        let change = |old: u64| match self.files(inode) {
            None => 0,
            Some(files) => {
                self.changed_oracle();
                let store = self.next_store();
                let after = mix(if whole { 0 } else { old }, store);
                files.change(inode, index, |page| {
                    if whole {
                        page.current = vec![after];
                    } else if page.admits(old) {
                        page.stored(old, after);
                    } else {
                        // The frame has lost a store, and will be found out.
                        page.current.iter_mut().for_each(|value| *value = mix(*value, store));
                    }
                });
                after
            }
        };
        self.zone.memory.change_page(cx, pfn, change).await;
    }

    /// `read` copies from the page at `pfn`, page `index` of the file: one step.
    pub(crate) async fn read_file_page(
        &self,
        cx: &Context,
        ticket: &FileTicket,
        pfn: Pfn,
        inode: u32,
        index: u64,
    ) {
        let seen = self.zone.memory.read_page(cx, pfn).await;
        self.probe().file_read(ticket, inode, index, seen);
    }
}

impl Probe<'_> {
    /// A call that reads contents of files begins.
    pub fn file_op_begin(&self) -> FileTicket {
        FileTicket {
            open: self.asked_oracle().map(|oracle| {
                let owner = self.engine.running().map_or(u32::MAX, |cpu| u32::from(cpu.0));
                (Rc::clone(&oracle.files), oracle.files.begin(owner))
            }),
        }
    }

    /// The call of `ticket` has read `seen` from a page: right if the page has had that value since the call began. A reader may
    /// keep what the page held when its reference became real.
    pub fn file_read(&self, ticket: &FileTicket, inode: u32, index: u64, seen: u64) {
        let (Some((_, began)), Some(files)) = (&ticket.open, self.files(inode)) else { return };
        let right = files.admitted_since(inode, index, *began);
        if !right.contains(&seen) {
            self.engine.violation(
                "I15",
                format!("page {index} of inode {inode} was read as {seen:#x}: expected one of {right:x?}"),
            );
        }
    }

    /// The page's contents are replaced: by direct I/O, or by zeroes where the file is cut or punched. The old value
    /// may still be seen until [`Probe::file_settle`].
    pub(crate) fn file_set(&self, inode: u32, index: u64, value: u64) {
        if let Some(files) = self.files(inode) {
            self.changed_oracle();
            files.set(inode, index, value);
        }
    }

    /// Every page from `first` on holds zeroes: the file is cut. As [`Probe::file_set`] for each.
    pub(crate) fn file_cut(&self, inode: u32, first: u64) {
        self.file_punch(inode, first, u64::MAX);
    }

    /// Pages `first..end` hold zeroes: a hole. As [`Probe::file_set`] for each.
    pub(crate) fn file_punch(&self, inode: u32, first: u64, end: u64) {
        if let Some(files) = self.files(inode) {
            self.changed_oracle();
            files.cut(inode, first, end);
        }
    }

    /// The call that replaced contents of pages `first..end` returns: no frame holds the old ones.
    pub(crate) fn file_settle(&self, inode: u32, first: u64, end: u64) {
        if let Some(files) = self.files(inode) {
            self.changed_oracle();
            files.settle(inode, first, end);
        }
    }

    /// The call of `ticket`, which wrote pages `first..end` past the cache, returns: no frame holds the old contents.
    pub(crate) fn file_settle_direct(&self, ticket: &FileTicket, inode: u32, first: u64, end: u64) {
        if let (Some((_, began)), Some(files)) = (&ticket.open, self.files(inode)) {
            self.changed_oracle();
            files.settle_direct(inode, first, end, *began);
        }
    }
}
