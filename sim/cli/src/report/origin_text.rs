//! Where misses, faults and waits come from, as text: short tables and sparklines.

use pagewalk_replay::report::{HotPage, MappingKind, MappingRow, Series, WaitRow};

use super::Told;
use super::lines::{Lines, width};
use crate::style::{WIDTH, bar, duration, fit, group, nanoseconds, sparkline, visible};

/// Mappings, threads and files shown; JSON has all.
const SHOWN: usize = 6;
/// Hottest pages shown.
const PAGES_SHOWN: usize = 4;
/// Columns of a sparkline.
const SPARKS: usize = 60;

impl Told<'_> {
    pub(super) fn origin_text(&self, lines: &mut Lines) {
        let busy = |row: &&MappingRow| row.tlb_misses > 0 || row.pgfault > 0;
        if !self.origin.mappings.iter().any(|row| busy(&row)) {
            return;
        }
        lines.section("Where it went", "");
        let head = |what: &str| format!("    {what:<40}{:>16}{:>14}{:>11}", "TLB misses", "faults", "major");
        let several = self.processes.len() > 1;
        let said = lines.paint.dim(&head("mapping"));
        lines.line(&said);
        let misses = self.origin.mappings.iter().map(|row| row.tlb_misses).max().unwrap_or(0);
        for row in self.origin.mappings.iter().filter(busy).take(SHOWN) {
            let name = fit(&mapping_name(row, several), 39);
            count_line(lines, &name, [row.tlb_misses, row.pgfault, row.pgmajfault], misses);
        }
        rest(lines, self.origin.mappings.iter().filter(busy).count());
        self.files_text(lines, &head("file"));
        self.threads_text(lines, &head("thread"));
        self.hot_pages_text(lines);
    }

    /// Files, where one is mapped by several processes or has several mappings.
    fn files_text(&self, lines: &mut Lines, head: &str) {
        let shared = self.origin.files.iter().any(|row| row.processes > 1);
        if !shared {
            return;
        }
        let said = lines.paint.dim(head);
        lines.line(&said);
        let misses = self.origin.files.iter().map(|row| row.tlb_misses).max().unwrap_or(0);
        for row in self.origin.files.iter().take(SHOWN) {
            let name = fit(&visible(&row.file), 39);
            count_line(lines, &name, [row.tlb_misses, row.pgfault, row.pgmajfault], misses);
        }
        rest(lines, self.origin.files.len());
    }

    fn threads_text(&self, lines: &mut Lines, head: &str) {
        if self.origin.threads.len() < 2 {
            return;
        }
        let said = lines.paint.dim(head);
        lines.line(&said);
        let mut rows: Vec<_> = self.origin.threads.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.tlb_misses.saturating_add(row.pgfault)));
        let misses = rows.iter().map(|row| row.tlb_misses).max().unwrap_or(0);
        for row in rows.iter().take(SHOWN) {
            let name = if row.tid == row.pid {
                format!("pid {}", row.pid)
            } else {
                format!("pid {} thread {}", row.pid, row.tid)
            };
            count_line(lines, &name, [row.tlb_misses, row.pgfault, row.pgmajfault], misses);
        }
        rest(lines, rows.len());
    }

    fn hot_pages_text(&self, lines: &mut Lines) {
        let several = self.processes.len() > 1;
        let said = |page: &HotPage| {
            let of = if several { format!(" of {}", page.pid) } else { String::new() };
            let about = if page.unseen > 0 { "at least " } else { "" };
            let count = group(page.tlb_misses.saturating_add(page.pgfault));
            format!("{:#x}{of} {} {about}{count}", page.address, fit(&visible(&page.mapping), 24))
        };
        let pages: Vec<String> = self.origin.hot_pages.iter().take(PAGES_SHOWN).map(said).collect();
        if !pages.is_empty() {
            lines.wrapped("    hottest pages   ", 20, &pages);
        }
    }

    pub(super) fn timeline_text(&self, lines: &mut Lines) {
        let t = &self.timeline;
        if t.accesses.len() < 2 {
            return;
        }
        let length = duration(nanoseconds(t.epoch_cycles, self.frequency_mhz));
        lines.section("Timeline", &format!("{} epochs of {length}", t.accesses.len()));
        for Series { label, level, values, .. } in t.series() {
            let most = values.iter().copied().max().unwrap_or(0);
            if most > 0 && !label.is_empty() {
                let drawn = lines.paint.accent(&format!("{:<SPARKS$}", sparkline(values, SPARKS, level)));
                let most = if level { group(most) } else { format!("{} an epoch", group(most)) };
                lines.line(&format!("    {label:<17}{drawn}  {}", fit(&most, WIDTH - SPARKS - 23)));
            }
        }
    }

    /// Fault latencies by kind, and what was waited for, under the heading of time.
    pub(super) fn waits_text(&self, lines: &mut Lines) {
        let told = |cycles| duration(nanoseconds(cycles, self.frequency_mhz));
        let kinds = &self.time.fault_latencies;
        if kinds.len() > 1 {
            let head = format!(
                "    {:<20}{:>12}{:>14}{:>14}{:>14}",
                "fault", "count", "median", "99 of 100", "longest"
            );
            let head = lines.paint.dim(&head);
            lines.line(&head);
        }
        for row in kinds.iter().filter(|_| kinds.len() > 1) {
            let (kind, q) = (row.kind.replace('_', " "), &row.quantiles);
            let times = [q.median, q.p99, q.max].map(|cycles| format!("{:>14}", told(cycles))).concat();
            lines.line(&fit(&format!("    {kind:<20}{:>12}{times}", group(row.count)), WIDTH));
        }
        let mut waits: Vec<_> = self.time.waits.iter().filter(|row| row.lock).collect();
        waits.sort_by_key(|row| std::cmp::Reverse(row.cycles));
        let said = |row: &&WaitRow| {
            let times =
                if row.count == 1 { "once".to_owned() } else { format!("{} times", group(row.count)) };
            format!("{} {times}, {}", visible(&row.class), told(row.cycles))
        };
        let waits: Vec<String> = waits.iter().take(SHOWN).map(said).collect();
        if !waits.is_empty() {
            lines.wrapped("    waited for     ", 19, &waits);
        }
    }
}

/// What a mapping is called where it stands beside others.
fn mapping_name(row: &MappingRow, several: bool) -> String {
    let name = match row.kind {
        MappingKind::Anonymous if several => format!("anonymous {:#x}", row.start),
        MappingKind::Anonymous => format!("anonymous {:#x}-{:#x}", row.start, row.end),
        MappingKind::File => {
            let path = visible(&row.mapping);
            let length = path.chars().count();
            // The end of a path tells more than its beginning.
            if length > 28 {
                format!("…{}", path.chars().skip(length - 27).collect::<String>())
            } else {
                path
            }
        }
        MappingKind::Named | MappingKind::Outside | MappingKind::Rest => visible(&row.mapping),
    };
    if several && row.kind != MappingKind::Rest { format!("{name} · {}", row.pid) } else { name }
}

fn count_line(lines: &mut Lines, name: &str, counts: [u64; 3], most: u64) {
    let [misses, faults, major] = counts;
    let major = if major > 0 { group(major) } else { String::new() };
    let row = format!("    {name:<40} {:>15} {:>13} {major:>10}   ", group(misses), group(faults));
    let room = WIDTH.saturating_sub(width(&row));
    let drawn = lines.paint.accent(&bar(u128::from(misses), u128::from(most), room.min(12)));
    lines.line(&format!("{}{drawn}", fit(&row, WIDTH)));
}

fn rest(lines: &mut Lines, rows: usize) {
    if rows > SHOWN {
        lines.line(&format!("    … {} more (--format json has all)", group((rows - SHOWN) as u64)));
    }
}
