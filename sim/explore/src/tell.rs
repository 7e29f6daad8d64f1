//! Steps in the words of who reads kernels.

use pagewalk_engine::{ObjectId, OpKind};
use pagewalk_pages::PAGE_FLAGS;

use crate::scenario::Scenario;
use crate::source::{SourcePlace, source_place};
use crate::trace::Event;

/// One step, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldStep {
    /// Where in the kernel's text it stands: `find_get_page:47`. Files are named after the functions they hold.
    pub place: String,
    /// The kernel path or helper that it stands in, which step of the protocol it is, and its line; of what the machine does by itself none.
    pub source: Option<SourcePlace>,
    /// What it did.
    pub step: String,
}

/// Tells the steps of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    scenario: &'a Scenario,
}

impl<'a> Teller<'a> {
    /// Of this scenario, whose files it names.
    pub fn new(scenario: &'a Scenario) -> Self {
        Self { scenario }
    }

    /// Where in the kernel's text the step stands: `find_get_page:47`. Files are named after the functions they hold.
    pub fn place(self, event: &Event) -> String {
        let file = event.op.location.file();
        let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".rs");
        format!("{name}:{}", event.op.location.line())
    }

    /// The step with its place in the kernel's text.
    pub fn told(self, event: &Event) -> ToldStep {
        let source = source_place(event.op.location);
        ToldStep { place: self.place(event), source, step: self.step(event) }
    }

    /// The operation without its outcome: the same in every run of the same schedule.
    pub fn label(self, event: &Event) -> String {
        format!("{} {}", verb(event.op.kind), self.object(event.op.object))
    }

    /// What an observer says, which knows frames and mappings by number only, in the words of the steps.
    pub fn message(self, text: &str) -> String {
        let text = renamed(text, "Some(Pfn(0x", "))", 16, |frame| format!("page {frame}"));
        let text = renamed(&text, "Pfn(0x", ")", 16, |frame| format!("page {frame}"));
        let text = renamed(&text, " of inode ", "", 10, |id| format!(" of {}", self.file(id)));
        renamed(&text, " of mapping ", "", 10, |id| format!(" of {}", self.file(id)))
    }

    /// What the step did.
    pub fn step(self, event: &Event) -> String {
        let object = self.object(event.op.object);
        let value = |bits: u64| self.value(event.op.object, bits);
        let (old, new) = (event.effect.old, event.effect.new);
        match event.op.kind {
            OpKind::Load => format!("{object} is {}", value(old)),
            OpKind::Store => format!("{object} := {}", value(new)),
            OpKind::Rmw | OpKind::RmwTest if old == new => format!("{object} stays {}", value(old)),
            OpKind::Rmw | OpKind::RmwTest => format!("{object} {} → {}", value(old), value(new)),
            OpKind::TestBit(bit) => {
                format!(
                    "{object} {} is {}",
                    flag(event.op.object, bit),
                    if old >> bit & 1 == 1 { "set" } else { "clear" }
                )
            }
            OpKind::ChangeBit(bit) => {
                let was = if old >> bit & 1 == 1 { "set" } else { "clear" };
                let is = if new >> bit & 1 == 1 { "set" } else { "clear" };
                let change = if was == is { format!("stays {is}") } else { format!("{was} → {is}") };
                format!("{object} {} {change}", flag(event.op.object, bit))
            }
            OpKind::TryLock if old == 1 => format!("trylock {object}: taken"),
            OpKind::TryLock => format!("trylock {object}: got it"),
            kind => match verb(kind) {
                alone @ ("rcu_read_lock" | "rcu_read_unlock" | "program" | "look again" | "interrupt") => {
                    alone.into()
                }
                verb => format!("{verb} {object}"),
            },
        }
    }

    fn file(self, id: u64) -> String {
        let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let known = place.and_then(|place| self.scenario.files.get(place));
        known.map_or_else(|| format!("#{id}"), |file| file.name.clone())
    }

    fn object(self, object: ObjectId) -> String {
        let (name, index) = (object.class.name, object.index);
        match name {
            "page_tree" => format!("root of {}", self.file(index)),
            "mapping->tree_lock" => format!("tree_lock of {}", self.file(index)),
            "mapping->nrpages" => format!("nrpages of {}", self.file(index)),
            "inode->i_size" | "inode->i_mutex" => format!("{} of {}", &name[7..], self.file(index)),
            "radix slot" => format!("node {} slot {}", index / 64, index % 64),
            "page contents" => format!("page {index} contents"),
            "rcu" => "grace period".into(),
            "grace period" => "grace period".into(),
            _ => match name.strip_prefix("page.") {
                Some("flags") => format!("page {index}"),
                Some(field) => format!("page {index} {field}"),
                None => format!("{name} {index:#x}"),
            },
        }
    }

    fn value(self, object: ObjectId, bits: u64) -> String {
        match object.class.name {
            "page_tree" | "radix slot" => match bits {
                0 => "empty".into(),
                node if node & 1 == 1 => format!("node {}", node >> 1),
                page => format!("page {}", page >> 1),
            },
            "page.count" | "page.mapcount" => (bits as i64).to_string(),
            "page.mapping" => match bits {
                0 => "none".into(),
                anon if anon & 1 == 1 => "anonymous".into(),
                file => self.file(file >> 1),
            },
            "page contents" | "pte" | "page.flags" => format!("{bits:#x}"),
            _ => bits.to_string(),
        }
    }
}

/// The text with every number between `before` and `after` told by `name`, these two included.
fn renamed(text: &str, before: &str, after: &str, radix: u32, name: impl Fn(u64) -> String) -> String {
    let mut parts = text.split(before);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.find(|c: char| !c.is_digit(radix)).unwrap_or(part.len()));
        match (u64::from_str_radix(digits, radix), rest.strip_prefix(after)) {
            (Ok(number), Some(rest)) => told = told + &name(number) + rest,
            _ => told = told + before + part,
        }
    }
    told
}

fn flag(object: ObjectId, bit: u8) -> String {
    let known = PAGE_FLAGS.get(usize::from(bit)).filter(|_| object.class.name == "page.flags");
    known.map_or_else(|| format!("bit {bit}"), |name| (*name).to_owned())
}

fn verb(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Load => "read",
        OpKind::Store => "write",
        OpKind::Rmw | OpKind::RmwTest => "change",
        OpKind::TestBit(_) => "test",
        OpKind::ChangeBit(_) => "change bit of",
        OpKind::Lock | OpKind::LockShared => "lock",
        OpKind::TryLock => "trylock",
        OpKind::Unlock | OpKind::UnlockShared => "unlock",
        OpKind::Wait => "wait for",
        OpKind::Count => "count down",
        OpKind::Send => "send interrupt",
        OpKind::ReadLock => "rcu_read_lock",
        OpKind::ReadUnlock => "rcu_read_unlock",
        OpKind::GraceBegin => "begin",
        OpKind::GraceEnd => "end of",
        OpKind::Retry => "look again",
        OpKind::Deliver => "interrupt",
        OpKind::Barrier => "barrier",
        OpKind::User => "program",
        OpKind::Yield => "yield",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_between_two_words_are_told_by_name() {
        let page = |text| renamed(text, "Pfn(0x", ")", 16, |frame| format!("page {frame}"));
        assert_eq!(page("Pfn(0x1f) and Pfn(0x2)"), "page 31 and page 2");
        assert_eq!(page("Pfn(0x) or Pfn(0x1"), "Pfn(0x) or Pfn(0x1");
        assert_eq!(
            renamed("slot of mapping 2", " of mapping ", "", 10, |id| format!(" of {id}")),
            "slot of 2"
        );
    }
}
