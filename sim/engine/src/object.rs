//! Object identities: every shared word and every lock has a class and an index.

use std::fmt;

/// A kind of shared object: `page.count`, `pte`, `mmap_sem`. Declared once, as a `static`, by the
/// package that owns the object.
#[derive(Debug)]
pub struct Class {
    /// Unique small number; identity, ordering and digests use it, never an address.
    pub id: u8,
    /// The name people read in records and reports.
    pub name: &'static str,
    /// How many objects of this class share a cache line, as a power of two (PTEs: 3, eight to a line).
    pub line_shift: u8,
    /// Its objects are observers' notes, of which the kernel is never told.
    pub observer: bool,
}

impl Class {
    /// A class whose objects each have a cache line of their own.
    pub const fn new(id: u8, name: &'static str) -> Self {
        Self { id, name, line_shift: 0, observer: false }
    }

    /// A class of observers' notes.
    pub const fn of_observer(id: u8, name: &'static str) -> Self {
        Self { id, name, line_shift: 0, observer: true }
    }

    /// A class of which `1 << line_shift` consecutive objects share a cache line.
    pub const fn packed(id: u8, name: &'static str, line_shift: u8) -> Self {
        Self { id, name, line_shift, observer: false }
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Class {}

/// One shared object: its class and its index within the class.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ObjectId {
    /// What kind of object.
    pub class: &'static Class,
    /// Which one; the meaning is the class's (a frame number, a PTE's physical index, an mm number).
    pub index: u64,
}

impl ObjectId {
    /// The object of `class` with this `index`.
    #[inline(always)]
    pub const fn new(class: &'static Class, index: u64) -> Self {
        Self { class, index }
    }

    /// The number of the cache line the object lies in, unique over all classes (indices below 2^56).
    #[inline(always)]
    pub(crate) fn line(self) -> u64 {
        (u64::from(self.class.id) << 56) | (self.index >> self.class.line_shift)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{:#x}]", self.class.name, self.index)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
