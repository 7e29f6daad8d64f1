//! What one page of a file may contain, as the oracle of file pages knows it.

/// What one page of a file may contain.
#[derive(Clone, Debug)]
pub(super) struct FilePage {
    /// What it holds: one value, or several of which the shadow cannot know the right one.
    pub(super) current: Vec<u64>,
    /// Values replaced by a call that has not returned: a mapping or a frame may still have them.
    pub(super) replaced: Vec<u64>,
    /// Values gone, each with when: good for calls that began before.
    pub(super) past: Vec<(u64, u64)>,
    /// When a program last stored to it through a mapping.
    pub(super) last_store: u64,
    /// When a call last gave it other contents, and when such a call last returned.
    pub(super) last_set: u64,
    pub(super) last_settled: u64,
}

impl FilePage {
    pub(super) fn holding(stamp: u64) -> Self {
        Self {
            current: vec![stamp],
            replaced: Vec::new(),
            past: Vec::new(),
            last_store: 0,
            last_set: 0,
            last_settled: 0,
        }
    }

    /// When things happened to it.
    pub(super) fn times(&self) -> [u64; 3] {
        [self.last_store, self.last_set, self.last_settled]
    }

    pub(super) fn admits(&self, stamp: u64) -> bool {
        self.current.contains(&stamp) || self.replaced.contains(&stamp)
    }

    pub(super) fn admitted(&self) -> Vec<u64> {
        self.current.iter().chain(&self.replaced).copied().collect()
    }

    /// A frame that holds `stamp`, which the page admits, then holds `after`.
    pub(super) fn stored(&mut self, stamp: u64, after: u64) {
        // Where an old frame and the new one may hold the same, either may have been stored to.
        match (self.current.contains(&stamp), self.replaced.contains(&stamp)) {
            (true, false) => self.current = vec![after],
            (true, true) => {
                self.current.push(after);
                self.replaced.push(after);
            }
            (false, _) => {
                self.replaced.retain(|&value| value != stamp);
                self.replaced.push(after);
            }
        }
        normalize(&mut self.current);
        normalize(&mut self.replaced);
    }

    /// A device that has had a frame of the page since `since` has written to it: it held `before`, and holds `after`.
    pub(super) fn device_wrote(&mut self, before: u64, after: u64, since: u64) {
        if !self.replaced.is_empty() {
            // The frame is the old one, or the new one.
            if self.admits(before) {
                self.stored(before, after);
            }
        } else if self.last_set > since {
            // The page was given other contents, and the frame is not in the file any more.
        } else if self.last_settled > since {
            // The frame was in the file before the page got other contents, or came after that.
            if self.admits(before) {
                self.current.push(after);
                normalize(&mut self.current);
            }
        } else {
            self.current = vec![after];
        }
    }

    /// The call that gave it other contents, and began at `began`, returns. Who stored to what was there meanwhile has made it dirty, and
    /// it may have been written over the new contents: nobody can know.
    pub(super) fn settle_direct(&mut self, began: u64) {
        if self.last_store > began {
            self.current.append(&mut self.replaced);
            normalize(&mut self.current);
        }
        self.replaced.clear();
    }

    /// The page is given the contents `value`; a mapping or a frame may still have what it held.
    pub(super) fn set(&mut self, value: u64) {
        self.replaced.append(&mut self.current);
        normalize(&mut self.replaced);
        self.current = vec![value];
    }
}

fn normalize(values: &mut Vec<u64>) {
    values.sort_unstable();
    values.dedup();
}
