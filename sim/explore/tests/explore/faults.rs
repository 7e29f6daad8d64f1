//! The comparison with every schedule notices each fault that the search can have.

use pagewalk_explore::crosscheck::exchange;
use pagewalk_explore::{Fault, Limits};

use crate::acts::Act;
use crate::brute_force::{Classes, all, reduced};
use crate::generate::{interrupted, programs, sleeping, stream};
use crate::program::{Program, Programs};

/// A program, and the classes of all its schedules.
struct Known {
    program: Program,
    classes: Classes,
}

/// How a fault shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// A class is not visited.
    Lost,
    /// A class is visited again.
    Again,
    /// Two neighbouring steps depend on each other, and the search does not see it.
    Exchanged,
    /// The search breaks down.
    BrokeDown,
}

fn known(most: usize, programs: impl Iterator<Item = Program>) -> Vec<Known> {
    let known = |program: Program| all(&program).map(|classes| Known { program, classes });
    programs.filter_map(known).take(most).collect()
}

/// Programs for what chance seldom makes.
fn special() -> impl Iterator<Item = Program> {
    let lock = Act::Lock;
    let programs = vec![
        // A release that lets the waiting step go on, and before it, by the same CPU, what the step accesses beside.
        vec![vec![lock(0, vec![Act::Add(0)])], vec![lock(0, vec![Act::LookIf(0, 1)])]],
        // A lock that the other holds for ever, with interrupts off, while what was sent to it is asleep.
        vec![
            vec![Act::DownWrite(vec![Act::Load(0)]), Act::IrqsOff(vec![lock(1, vec![Act::Load(1)])])],
            vec![
                Act::ChangeIf(1, 0),
                lock(0, vec![]),
                Act::IrqsOff(vec![lock(1, vec![Act::SilentInterrupt(1)])]),
            ],
        ],
        // A wait for an acknowledgement, and with it interrupts turned off.
        vec![
            vec![Act::Acknowledged(0), Act::IrqsOff(vec![Act::Store(0, 1), Act::Load(0)])],
            vec![Act::Acknowledged(1)],
        ],
        // Interrupts that wait on both CPUs for ever, and a callback with them.
        vec![
            vec![Act::IrqsOff(vec![Act::Acknowledged(0)]), Act::Read(vec![Act::Store(0, 0)])],
            vec![Act::CallRcu(1), Act::IrqsOff(vec![Act::Load(0), Act::Acknowledged(1)])],
        ],
        // An interrupt that is held back beside another that must come first.
        vec![
            vec![Act::Add(0), Act::IrqsOff(vec![Act::Acknowledged(0)])],
            vec![Act::IrqsOff(vec![Act::InterruptIf(0, 1)])],
        ],
        // A step that accesses less once another has been before it.
        vec![vec![Act::CallRcu(1), Act::ChangeIf(0, 1)], vec![Act::DownRead(vec![Act::Add(0)])]],
    ];
    programs.into_iter()
}

fn notice(known: &Known, fault: Option<Fault>) -> Option<Notice> {
    let searched = std::panic::catch_unwind(|| reduced(&known.program, fault));
    let Ok((found, twice)) = searched else { return Some(Notice::BrokeDown) };
    if known.classes.keys().any(|class| !found.contains_key(class)) {
        return Some(Notice::Lost);
    }
    (!twice.is_empty()).then_some(Notice::Again)
}

/// An edge that leaves no choice costs no class if the search does not see it. But it is there.
fn notice_edge(known: &Known, fault: Option<Fault>) -> Option<Notice> {
    let mut model = Programs::new(known.program.clone());
    let exchanges = exchange(&mut model, Limits { runs: 8, steps: 300 }, fault);
    (!exchanges.noticed.is_empty()).then_some(Notice::Exchanged)
}

#[test]
fn each_fault_of_the_search_is_noticed() {
    let mut all = known(usize::MAX, special());
    all.extend(known(300, stream(interrupted())));
    all.extend(known(300, stream(programs())));
    all.extend(known(100, stream(sleeping())));
    let noticed = |known| notice(known, None).or_else(|| notice_edge(known, None));
    let none = all.iter().find(|&known| noticed(known).is_some()).map(|known| &known.program);
    assert!(none.is_none(), "a search without a fault is noticed: {none:?}");
    let mut unnoticed = Vec::new();
    for fault in Fault::ALL {
        let by = |notice: fn(&Known, Option<Fault>) -> Option<Notice>| {
            all.iter().enumerate().find_map(|(n, known)| Some((n, notice(known, Some(fault))?)))
        };
        match by(notice).or_else(|| by(notice_edge)) {
            Some((n, notice)) => println!("{fault:?}: {notice:?} in program {n}: {:?}", all[n].program),
            None => unnoticed.push(fault),
        }
    }
    assert_eq!(unnoticed, []);
}
