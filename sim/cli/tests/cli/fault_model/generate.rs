//! Small random programs that use files in every way the model knows, in the text form of traces.

use std::fmt::Write;

/// Bytes of each file; the last page is not full.
const FILES: [u64; 3] = [0x9_4800, 0x2_0000, 0x10_1001];
/// Areas are mapped inside as many slots of as many pages.
const SLOTS: u64 = 6;
const SLOT_PAGES: u64 = 64;

struct Random(u64);

impl Random {
    /// A number below `limit` (splitmix64).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % limit
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A program that writes its trace.
struct Program {
    random: Random,
    text: String,
    pid: u32,
    last_pid: u32,
}

/// The trace of the program with this seed: `steps` calls or bursts of accesses, its children's included.
pub(crate) fn random_program(seed: u64, steps: u64) -> String {
    let mut program = Program { random: Random(seed), text: String::new(), pid: 7, last_pid: 7 };
    program.text.push_str("pagewalk-trace 1\nsource \"random\"\ncommand \"\"\nthread 7 7\n");
    for (number, size) in FILES.iter().enumerate() {
        program.line(format_args!("file {number} {size:x} \"f{number}\""));
    }
    for slot in 0..SLOTS {
        program.map(slot);
    }
    program.run(steps, 0);
    program.line(format_args!("exit-process 0"));
    program.text
}

impl Program {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes everything");
    }

    fn slot(slot: u64) -> u64 {
        0x10_0000 + slot * SLOT_PAGES * 2 * 4096
    }

    /// Some page of some slot.
    fn page(&mut self) -> u64 {
        Self::slot(self.random.below(SLOTS)) + self.random.below(SLOT_PAGES) * 4096
    }

    /// A range of pages inside a slot.
    fn range(&mut self) -> (u64, u64) {
        let (first, length) = (self.random.below(SLOT_PAGES), 1 + self.random.below(12));
        let slot = Self::slot(self.random.below(SLOTS));
        (slot + first * 4096, length.min(SLOT_PAGES - first) * 4096)
    }

    fn map(&mut self, slot: u64) {
        let start = Self::slot(slot);
        let prot = self.random.pick(&["rw-", "rw-", "r--", "r-x", "rwx"]);
        let share = self.random.pick(&["private", "private", "shared"]);
        let (file, offset) = (self.random.below(4), self.random.below(80) * 4096);
        let length = (1 + self.random.below(SLOT_PAGES)) * 4096;
        match file {
            3 => self.line(format_args!("map {start:x} {length:x} {prot} {share} anonymous")),
            file => {
                self.line(format_args!(
                    "map {start:x} {length:x} {prot} {share} file {offset:x} \"f{file}\""
                ));
            }
        }
    }

    fn run(&mut self, steps: u64, depth: u32) {
        for _ in 0..steps {
            match self.random.below(40) {
                0 => {
                    let slot = self.random.below(SLOTS);
                    self.map(slot);
                }
                1..8 => self.transfer(),
                8..12 => self.change(),
                12..17 => self.manage_files(),
                17 if depth < 2 => self.fork(depth),
                _ => self.accesses(),
            }
        }
    }

    /// A burst of accesses, in order or not.
    fn accesses(&mut self) {
        let stride = self.random.pick(&[1, 1, 3, 17]);
        let mut page = self.page();
        for _ in 0..1 + self.random.below(30) {
            let (op, offset) = (self.random.pick(&['I', 'L', 'L', 'S', 'M']), self.random.below(4096));
            let length = 1 + self.random.below(8);
            self.line(format_args!("{op} {:x},{length}", page + offset));
            page += stride * 4096;
        }
    }

    /// A `read` or a `write`, with a buffer that may be mapped or not.
    fn transfer(&mut self) {
        let call = self.random.pick(&["read", "read", "write"]);
        let file = self.random.below(3);
        let length = self.random.pick(&[100, 4096, 9000, 40_000]);
        let sequential = self.random.below(2) == 0;
        let (mut offset, times) = (self.random.below(FILES[file as usize]), if sequential { 6 } else { 1 });
        for _ in 0..times {
            let buffer = self.page() + self.random.below(4096);
            let known = self.random.below(3) > 0;
            let buffer = if known { format!("{buffer:x}") } else { "-".to_owned() };
            self.line(format_args!("{call} {file} {offset:x} {length:x} {buffer}"));
            offset += length;
        }
    }

    fn change(&mut self) {
        let (start, length) = self.range();
        match self.random.below(6) {
            0 => self.line(format_args!("unmap {start:x} {length:x}")),
            1 | 2 => {
                let prot = self.random.pick(&["r--", "rw-", "r-x", "---", "rw-"]);
                self.line(format_args!("protect {start:x} {length:x} {prot}"));
            }
            3 => self.line(format_args!("discard {start:x} {length:x}")),
            4 => {
                let end = 0x4000_0000 + self.random.below(40) * 4096;
                self.line(format_args!("brk {end:x}"));
                self.line(format_args!("S {:x},8", 0x4000_0000));
            }
            _ => {
                let grown = length + self.random.below(4) * 4096;
                let to = 0x2000_0000 + self.random.below(4) * 0x10_0000;
                self.line(format_args!("remap {start:x} {length:x} {grown:x} {to:x}"));
                self.line(format_args!("L {to:x},8"));
                self.line(format_args!("S {to:x},8"));
            }
        }
    }

    fn manage_files(&mut self) {
        let file = self.random.below(3);
        let size = FILES[file as usize];
        match self.random.below(8) {
            0 => self.line(format_args!("fsync {file}")),
            1 => {
                let size = size / 2 + self.random.below(size);
                self.line(format_args!("truncate {file} {size:x}"));
            }
            2 | 3 => self.line(format_args!("drop-caches")),
            4 => {
                let (start, length) = self.range();
                let how = self.random.pick(&["sync", "sync", "async"]);
                self.line(format_args!("msync {start:x} {length:x} {how}"));
                if self.random.below(2) == 0 {
                    self.line(format_args!("sync"));
                }
            }
            5 => {
                let advice = self.random.pick(&["normal", "random", "sequential", "willneed", "dontneed"]);
                let offset = self.random.below(size);
                self.line(format_args!("fadvise {file} {offset:x} 6000 {advice}"));
            }
            _ => {
                let (start, length) = self.range();
                let advice = self.random.pick(&["normal", "normal", "random", "sequential", "willneed"]);
                self.line(format_args!("madvise {start:x} {length:x} {advice}"));
            }
        }
    }

    /// A child that runs, and ends, before the parent goes on.
    fn fork(&mut self, depth: u32) {
        let parent = self.pid;
        self.last_pid += 1;
        let child = self.last_pid;
        self.line(format_args!("fork {child} {child}"));
        self.line(format_args!("thread {child} {child}"));
        self.pid = child;
        self.run(12, depth + 1);
        self.line(format_args!("exit-process 0"));
        self.line(format_args!("thread {parent} {parent}"));
        self.line(format_args!("wait {child}"));
        self.pid = parent;
    }
}
