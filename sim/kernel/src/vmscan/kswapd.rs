//! kswapd: reclaims beside the programs, from `pages_low` up to `pages_high`.

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
        if self.zone.watermark_ok(self.zone.watermarks().low) || self.kswapd_runs.replace(true) {
            return;
        }
        self.stat.pageoutrun.add(1);
        let kernel = Rc::clone(self);
        self.engine.spawn(self.idle_cpu(current.cpu().id()), move |cx| async move {
            let current = Task::kernel_thread(cx, Rc::clone(&kernel));
            kernel.enters();
            balance_pgdat(&current).await;
            kernel.leaves(&current, None);
            kernel.kswapd_runs.set(false);
        });
    }

    /// The next CPU that idles, or `own`.
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
async fn balance_pgdat(current: &Task) {
    let zone = &current.kernel().zone;
    let enough = || zone.watermark_ok(zone.watermarks().high);
    loop {
        let mut sc = ScanControl::new(None, true);
        for priority in (0..=DEF_PRIORITY).rev() {
            if enough() {
                return;
            }
            let before = sc.nr_scanned;
            shrink_zones(current, priority, &mut sc).await;
            if sc.nr_reclaimed > 0 && priority < DEF_PRIORITY {
                break;
            }
            if sc.nr_scanned > before && priority < DEF_PRIORITY - 2 {
                congestion_wait(current).await;
            }
            current.cond_resched().await;
        }
        if sc.nr_reclaimed == 0 {
            current.mark("balance_pgdat:nothing-left");
            return;
        }
    }
}
