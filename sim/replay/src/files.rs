//! The files of a trace in a replay: which inode a number or a path stands for, and who has it open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use pagewalk_kernel::{File, Inode, Kernel};
use pagewalk_trace::{Event, EventRecord, MapKind};

/// What a trace says of its files, from one look through all events: a file has its size from the beginning, whichever
/// process gets to it first.
#[derive(Debug, Default)]
pub(super) struct FileList {
    /// Path and size by number.
    numbered: BTreeMap<u32, (String, u64)>,
    /// Sizes by path: what an event says, or what is mapped of files that no event introduces.
    sizes: BTreeMap<String, u64>,
    introduced: BTreeMap<String, u64>,
}

impl FileList {
    /// Takes notice of an event.
    pub(super) fn note(&mut self, record: &EventRecord) {
        match &record.event {
            Event::File { file, path, size } => {
                self.numbered.insert(*file, (path.clone(), *size));
                self.introduced.entry(path.clone()).or_insert(*size);
            }
            Event::Map { len, kind: MapKind::File { path, offset }, .. } => {
                let end = offset.saturating_add(*len);
                let size = self.sizes.entry(path.clone()).or_default();
                *size = end.max(*size);
            }
            _ => {}
        }
    }

    fn size(&self, path: &str) -> u64 {
        self.introduced.get(path).or_else(|| self.sizes.get(path)).copied().unwrap_or(0)
    }
}

/// The files of a trace, as far as somebody has used them.
#[derive(Default)]
pub struct Files {
    list: FileList,
    open: RefCell<BTreeMap<(u32, u32), Rc<File>>>,
}

impl Files {
    /// The files of `list`, none of them open.
    pub(super) fn new(list: FileList) -> Self {
        Self { list, open: RefCell::default() }
    }

    /// File number `file`, as process `pid` has it open: one open file for each process, with its own readahead.
    ///
    /// # Panics
    /// If no event introduces the number, which no reader of traces lets through.
    pub fn by_number(&self, kernel: &Kernel, pid: u32, file: u32) -> Rc<File> {
        let (path, _) = self.list.numbered.get(&file).expect("readers check that a file is introduced");
        self.by_path(kernel, pid, path)
    }

    /// The file at `path`, as process `pid` has it open.
    pub fn by_path(&self, kernel: &Kernel, pid: u32, path: &str) -> Rc<File> {
        let inode: Rc<Inode> = kernel.open_inode(path, self.list.size(path));
        let mut open = self.open.borrow_mut();
        Rc::clone(open.entry((pid, inode.id())).or_insert_with(|| File::open(&inode)))
    }

    /// Process `pid` is over: its files are closed.
    pub fn close_all(&self, pid: u32) {
        self.open.borrow_mut().retain(|&(owner, _), _| owner != pid);
    }
}
