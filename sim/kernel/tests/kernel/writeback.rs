//! The end of writeback, beside those who want the page.

use std::rc::Rc;

use pagewalk_engine::Schedule;
use pagewalk_kernel::{AdviceCall, Call, Kernel, KernelConfig, Task};
use pagewalk_pages::{Fix, Switches};

use crate::common::{Bursts, Setup, call, process};
use crate::file_common::{open, write_pages};

/// A page is written again and again, and dropped from the cache by others as soon as they may.
fn write_and_drop(kernel: &Rc<Kernel>) {
    for cpu in 0..2 {
        process(kernel, cpu, 10 + u32::from(cpu), async move |task: &Task| {
            let file = open(task.kernel(), "data", 1);
            for _ in 0..4 {
                if cpu == 0 {
                    write_pages(task, &file, 0, 1).await;
                }
                call(
                    task,
                    Call::Fadvise { file: Rc::clone(&file), offset: 0, len: 0, advice: AdviceCall::DontNeed },
                )
                .await
                .expect("the call is right");
            }
        });
    }
}

/// The invariants that are broken under some of many random schedules, in which one CPU may come far between two steps of another.
fn broken(switches: Switches) -> Vec<&'static str> {
    let mut broken = Vec::new();
    for seed in 0..400 {
        let config = KernelConfig { pages_min: Some(0), switches, ..KernelConfig::default() };
        let setup = Setup { cpus: 2, schedule: Schedule::Explore, seed, config, ..Setup::default() };
        let kernel = setup.boot();
        write_and_drop(&kernel);
        kernel.engine.explore(&mut Bursts::new(seed));
        broken.extend(kernel.engine.violations().iter().map(|violation| violation.invariant));
    }
    broken.sort_unstable();
    broken.dedup();
    broken
}

#[test]
fn the_end_of_writeback_touches_a_page_that_is_freed_unless_it_has_a_reference() {
    assert!(broken(Switches::LINUX_2_6_27).contains(&"I3"));
    assert!(!broken(Switches::LINUX_2_6_27.with(Fix::WritebackReference)).contains(&"I3"));
    assert!(broken(Switches::FIXED.without(Fix::WritebackReference)).contains(&"I3"));
    assert_eq!(broken(Switches::FIXED), [""; 0]);
}
