//! What random programs do: accesses and system calls over few pages, so that everything meets everything.

use pagewalk_kernel::{Call, Errno, Prot, Task, run_program};
use pagewalk_mmu::{Access, AccessKind, BASE_PAGE_BYTES, Format, Vaddr};

use crate::common::{BASE, discard, fixed, pages};

/// Where an operation begins: one of 12 pages from [`BASE`], 4 of the heap, 6 below the end of the addresses.
const PLACES: u64 = 22;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Access(Access),
    Mmap { start: Vaddr, pages: u64, prot: Prot },
    Munmap { start: Vaddr, pages: u64 },
    Mprotect { start: Vaddr, pages: u64, prot: Prot },
    DontNeed { start: Vaddr, pages: u64 },
    Brk { end: Vaddr },
    Mremap { start: Vaddr, old: u64, new: u64, target: Option<Vaddr> },
    Fork,
    Exec,
    Exit,
}

/// Five random bytes are one operation; small bytes are simple ones.
pub(crate) type Raw = [u8; 5];

fn place(byte: u8) -> Vaddr {
    let number = u64::from(byte) % PLACES;
    match number {
        0..12 => Vaddr(BASE.0 + number * BASE_PAGE_BYTES),
        12..16 => heap(number - 12),
        _ => Vaddr(Format::X86_64_4.user_end().0 - (PLACES - number) * BASE_PAGE_BYTES),
    }
}

fn heap(number: u64) -> Vaddr {
    Vaddr((2 << 30) + number * BASE_PAGE_BYTES)
}

fn prot(byte: u8) -> Prot {
    match byte % 8 {
        0..3 => Prot::RW,
        3 | 4 => Prot { read: true, write: false, exec: false },
        5 => Prot { read: true, write: false, exec: true },
        6 => Prot { read: true, write: true, exec: true },
        _ => Prot::default(),
    }
}

impl Op {
    pub(crate) fn decode([what, a, b, c, d]: Raw) -> Self {
        let (start, pages) = (place(a), 1 + u64::from(b) % 9);
        match what % 40 {
            0..24 => Self::Access(one_access(what % 40, start, c)),
            24..28 => Self::Mmap { start, pages, prot: prot(c) },
            28 => Self::Munmap { start, pages },
            29..32 => Self::Mprotect { start, pages, prot: prot(c) },
            32 | 33 => Self::DontNeed { start, pages },
            34 => Self::Brk { end: heap(1 + u64::from(a) % 6) },
            35 | 36 => {
                let target = (d % 2 == 0).then(|| place(d / 2));
                Self::Mremap { start, old: pages, new: 1 + u64::from(c) % 9, target }
            }
            37 | 38 => Self::Fork,
            _ if a % 4 == 0 => Self::Exec,
            _ => Self::Exit,
        }
    }

    /// Does it, unless it begins or ends a process. Yields where the kernel says that a mapping is now.
    pub(crate) async fn perform(self, task: &Task) -> Result<Option<Vaddr>, Errno> {
        let call = match self {
            Self::Access(access) => {
                run_program(task, &[access]).await;
                return Ok(None);
            }
            Self::Mmap { start, pages, prot } => Call::Mmap(fixed(start, pages, prot)),
            Self::Munmap { start, pages: count } => Call::Munmap { start, len: pages(count) },
            Self::Mprotect { start, pages: count, prot } => Call::Mprotect { start, len: pages(count), prot },
            Self::DontNeed { start, pages: count } => discard(start, pages(count)),
            Self::Brk { end } => Call::Brk { end },
            Self::Mremap { start, old, new, target } => {
                Call::Mremap { start, len: pages(old), new_len: pages(new), new_start: target }
            }
            Self::Fork | Self::Exec | Self::Exit => return Ok(None),
        };
        let maps = matches!(self, Self::Mmap { .. } | Self::Mremap { .. });
        task.call(call).await.map(|returned| maps.then(|| Vaddr(returned.number())))
    }
}

fn one_access(what: u8, page: Vaddr, offset: u8) -> Access {
    let kind = match what {
        0..11 => AccessKind::Store,
        11..20 => AccessKind::Load,
        20 | 21 => AccessKind::Modify,
        _ => AccessKind::Fetch,
    };
    // One in eight crosses into the next page.
    let offset = if offset % 8 == 7 { BASE_PAGE_BYTES - 4 } else { u64::from(offset) };
    Access::new(Vaddr(page.0 + offset), 8, kind).expect("a small access")
}
