//! A table with one value per frame, allocated by the section when first touched.

use std::cell::OnceCell;

use pagewalk_engine::Keep;

use crate::Pfn;

/// Frames of a section: 128 MiB, as `SECTION_SIZE_BITS` 27 makes it on x86-64 (Linux, `arch/x86/include/asm/sparsemem.h`).
pub const SECTION_FRAMES: u32 = 1 << 15;

/// A table with one `T` per frame, allocated by the section.
pub struct PerFrame<T> {
    frames: u32,
    sections: Box<[OnceCell<Box<[T]>>]>,
}

impl<T: Default> PerFrame<T> {
    /// Nothing but defaults, for a machine with so many frames.
    #[must_use]
    pub fn new(frames: u32) -> Self {
        let sections = (0..frames.div_ceil(SECTION_FRAMES)).map(|_| OnceCell::new()).collect();
        Self { frames, sections }
    }

    /// Frames in all.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// What belongs to a frame.
    ///
    /// # Panics
    /// If there is no section with such a frame.
    #[inline]
    pub fn get(&self, pfn: Pfn) -> &T {
        let section =
            self.sections[(pfn.0 / SECTION_FRAMES) as usize].get_or_init(|| new_section(self.frames));
        &section[(pfn.0 % SECTION_FRAMES) as usize]
    }

    /// The same, without allocating a section not touched yet.
    ///
    /// # Panics
    /// If there is no section with such a frame.
    #[inline]
    pub fn peek(&self, pfn: Pfn) -> Option<&T> {
        Some(&self.sections[(pfn.0 / SECTION_FRAMES) as usize].get()?[(pfn.0 % SECTION_FRAMES) as usize])
    }

    /// Sections allocated.
    #[must_use]
    pub fn touched(&self) -> usize {
        self.sections.iter().filter(|section| section.get().is_some()).count()
    }
}

impl<T: Keep + Default> Keep for PerFrame<T> {
    fn keep(&self) -> Self {
        let kept = Self::new(self.frames);
        for (own, kept) in self.sections.iter().zip(&kept.sections) {
            if let Some(section) = own.get() {
                kept.get_or_init(|| section.keep());
            }
        }
        kept
    }

    fn set_back(&self, kept: &Self) {
        for (own, kept) in self.sections.iter().zip(&kept.sections) {
            let Some(section) = own.get() else { continue };
            section.set_back(kept.get_or_init(|| new_section(self.frames)));
        }
    }
}

/// A section; of a machine smaller than one, as much as there is.
#[cold]
fn new_section<T: Default>(frames: u32) -> Box<[T]> {
    (0..frames.min(SECTION_FRAMES)).map(|_| T::default()).collect()
}
