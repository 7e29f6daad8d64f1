//! Address spaces: areas, page tables, reverse mapping.

mod anon_vma;
mod i_mmap;
mod mmlist;
mod page_alloc;
mod pgtable;
mod space;
mod vma;

pub use anon_vma::AnonVma;
pub(crate) use anon_vma::{AnonVmas, anon_vma_link, anon_vma_prepare, anon_vma_unlink};
pub(crate) use i_mmap::{IMmap, Mapped, unlink_file_vma, vma_link_file};
pub(crate) use mmlist::MmList;
pub(crate) use pgtable::{Table, alloc_table, find_table, free_pgtables, next_boundary, pte_word};
pub use space::Mm;
pub(crate) use space::{Heap, LastUser, PageKind};
pub use vma::{Prot, ReverseMapping, Vma, VmaKind, VmaTree};
