//! Steps in the words of who reads kernels.

use pagewalk_engine::{ObjectId, OpKind};

use crate::scenario::Scenario;
use crate::trace::Event;

/// Names of the flags of a page, by bit.
const FLAGS: [&str; 10] = [
    "locked",
    "uptodate",
    "dirty",
    "writeback",
    "private",
    "referenced",
    "error",
    "readahead",
    "mappedtodisk",
    "reclaim",
];

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

    /// The operation without its outcome: the same in every run of the same schedule.
    pub fn label(self, event: &Event) -> String {
        format!("{} {}", verb(event.op.kind), self.object(event.op.object))
    }

    /// What the step did.
    pub fn step(self, event: &Event) -> String {
        let object = self.object(event.op.object);
        let value = |bits: u64| self.value(event.op.object, bits);
        let (old, new) = (event.effect.old, event.effect.new);
        match event.op.kind {
            OpKind::Load => format!("{object} is {}", value(old)),
            OpKind::Store => format!("{object} := {}", value(new)),
            OpKind::Rmw if old == new => format!("{object} stays {}", value(old)),
            OpKind::Rmw => format!("{object} {} → {}", value(old), value(new)),
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

fn flag(object: ObjectId, bit: u8) -> String {
    let known = FLAGS.get(usize::from(bit)).filter(|_| object.class.name == "page.flags");
    known.map_or_else(|| format!("bit {bit}"), |name| (*name).to_owned())
}

fn verb(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Load => "read",
        OpKind::Store => "write",
        OpKind::Rmw => "change",
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
