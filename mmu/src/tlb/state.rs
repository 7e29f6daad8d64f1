//! An array as part of a machine's state.

use pagewalk_engine::Digest;

use super::TlbArray;

impl TlbArray {
    /// What it holds, and which entry goes first.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        for (place, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.filed().is_some()) {
            digest.absorb(place as u64);
            digest.absorb(slot.tag);
            digest.absorb(slot.payload.bits());
        }
        self.recency.absorb_into(digest);
    }
}
