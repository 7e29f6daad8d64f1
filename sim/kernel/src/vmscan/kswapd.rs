//! kswapd: reclaims beside the programs, from `pages_low` up to `pages_high`.
//!
//! Follows mm/vmscan.c of v2.6.27 (`wakeup_kswapd`, `kswapd`, `balance_pgdat`).

use std::rc::Rc;

use pagewalk_engine::CpuId;

use super::shrink_zone::shrink_zones;
use super::{DEF_PRIORITY, ScanControl};
use crate::io_wait::congestion_wait;
use crate::kernel::Kernel;
use crate::task::Task;

impl Kernel {
    /// `wakeup_kswapd`: below `pages_low` kswapd begins, unless it is awake. It runs on the next CPU that idles, or on the caller's.
    pub(crate) fn wakeup_kswapd(self: &Rc<Self>, current: &Task) {
        // The number of free pages is read without `zone->lock`. A stale one costs a wake-up that is early or
        // late; an allocation that finds less than `pages_min` reclaims by itself and waits for nobody.
        // The test and the claim of `kswapd_runs` are one act: two CPUs that run short together start one
        // kswapd.
        if self.zone.watermark_ok(self.zone.watermarks().low) || self.kswapd_runs.replace(true) {
            return;
        }
        self.stat.pageoutrun.add(1);
        // In Linux a thread of each node sleeps on `kswapd_wait`; here a wake-up starts a run that ends by
        // itself.
        let kernel = Rc::clone(self);
        self.engine.spawn(self.idle_cpu(current.cpu().id()), move |cx| async move {
            let current = Task::kernel_thread(cx, Rc::clone(&kernel));
            kernel.enters();
            balance_pgdat(&current).await;
            kernel.leaves(&current, None);
            // No `.await` lies between the decision to stop and this store, so no wake-up is lost between
            // them. Linux closes that window with `prepare_to_wait`.
            kernel.kswapd_runs.set(false);
        });
    }

    /// The next CPU that idles, or `own`: a scheduler's part of a wake-up. On a CPU without work kswapd costs
    /// the programs no time.
    pub(crate) fn idle_cpu(&self, own: CpuId) -> CpuId {
        let cpus = self.engine.cpus();
        let after = (1..cpus.len()).map(|n| &cpus[(usize::from(own.0) + n) % cpus.len()]);
        after
            .into_iter()
            .find(|cpu| cpu.is_online() && self.engine.is_idle(cpu.id()))
            .map_or(own, |cpu| cpu.id())
    }
}

/// `balance_pgdat`: until `pages_high` frames are free, or a look at every page frees none.
///
///  1. look at a 4096th of each list, and at twice as much in each round that follows (`priority`);
///  2. stop once enough is free;
///  3. begin again with a small part, once a round has freed something;
///  4. wait for the disks where looks find little to free;
///  5. give up when all pages were looked at and none was freed.
async fn balance_pgdat(current: &Task) {
    let zone = &current.kernel().zone;
    // `pages_high` and not `pages_low`: kswapd works for a while and then sleeps for a while.
    let enough = || zone.watermark_ok(zone.watermarks().high);
    loop {
        // 1. What was freed in an earlier pass says nothing of how hard it is now.
        let mut sc = ScanControl::new(None, true);
        for priority in (0..=DEF_PRIORITY).rev() {
            // 2. Looked at between rounds. Allocations go on beside us, so the distance is never known
            // exactly.
            if enough() {
                return;
            }
            let before = sc.nr_scanned;
            shrink_zones(current, priority, &mut sc).await;
            // 3. Otherwise allocations that take what kswapd frees would drive it to priority 0, where every
            // page in use is looked at. v2.6.27 begins again at 32 freed pages; here one is enough, from the
            // second round on.
            if sc.nr_reclaimed > 0 && priority < DEF_PRIORITY {
                break;
            }
            // 4. What was looked at is dirty or under writeback: the next look would meet the same pages. The
            // first rounds look at too little to show that.
            if sc.nr_scanned > before && priority < DEF_PRIORITY - 2 {
                congestion_wait(current).await;
            }
            // The kernel is not preempted: a program on this CPU would wait until the last round.
            current.cond_resched().await;
        }
        // 5. Linux calls a zone unreclaimable after looks at six times its pages, and kswapd sleeps.
        if sc.nr_reclaimed == 0 {
            current.mark("balance_pgdat:nothing-left");
            return;
        }
    }
}
