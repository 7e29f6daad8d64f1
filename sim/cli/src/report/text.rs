//! The account of a run as text that fits in a hundred columns.

use pagewalk_replay::report::{CpuTime, KernelWork, Pressure, ReplayReport, Schedule, SyscallCount, TlbSide};

use super::lines::{Lines, plural, width};
use super::{ReportText, Told};
use crate::style::{Paint, bar, duration, fit, group, group_wide, nanoseconds, percent, visible};

/// The most CPUs, processes, or violations listed one by one; JSON has all.
const MAX_ROWS: usize = 16;

impl ReportText for ReplayReport {
    fn to_text(&self, paint: Paint) -> String {
        Told(self).whole(paint)
    }
}

impl Told<'_> {
    fn whole(&self, paint: Paint) -> String {
        let mut lines = Lines::new(paint);
        self.header(&mut lines);
        self.accesses_text(&mut lines);
        self.origin_text(&mut lines);
        self.kernel_text(&mut lines);
        self.memory_text(&mut lines);
        self.pressure_text(&mut lines);
        self.time_text(&mut lines);
        self.timeline_text(&mut lines);
        self.processes_text(&mut lines);
        self.promises_text(&mut lines);
        lines.line("");
        let digest = format!("{:032x} · {}", self.digest, plural(self.steps, "step", "steps"));
        lines.line(&format!("  {}  {digest}", paint.dim("digest")));
        lines.line(&format!("  {}   {}", paint.dim("again"), paint.accent(&visible(&self.command))));
        lines.finish()
    }

    fn header(&self, lines: &mut Lines) {
        let traces = match self.traces.as_slice() {
            [] => "no trace".to_owned(),
            [only] => file_name(&only.file),
            [first, rest @ ..] => format!("{} and {} more", file_name(&first.file), rest.len()),
        };
        let left = [
            fit(&traces, 40),
            plural(u64::from(self.cpus), "CPU", "CPUs"),
            plural(self.processes.len() as u64, "process", "processes"),
            plural(self.accesses.total, "access", "accesses"),
        ]
        .join(" · ");
        let schedule = if self.schedule == Schedule::Random { " · random schedule" } else { "" };
        let right = format!("machine {} · seed {}{schedule}", visible(&self.machine), self.seed);
        lines.line("");
        lines.ends(&left, &right);
        lines.rule();
        if self.is_incomplete() {
            let by_key = if self.interrupted { Some("interrupted from the keyboard") } else { None };
            let reason = self.incomplete.as_deref().or(by_key).unwrap_or_default();
            let said = lines.paint.alarm("incomplete");
            lines.line(&format!("  {said}   {}", fit(&visible(reason), 84)));
        }
    }

    fn accesses_text(&self, lines: &mut Lines) {
        let t = &self.translation;
        let sum = |of: fn(&TlbSide) -> u64| u128::from(of(&t.instruction)) + u128::from(of(&t.data));
        let whole = sum(|side| side.lookups);
        let faulting = u128::from(t.faulting_walks);
        let walked = sum(|side| side.misses).saturating_sub(faulting);
        let rows = [
            ("TLB hit, level 1", sum(|side| side.l1_hits)),
            ("TLB hit, level 2", sum(|side| side.l2_hits)),
            ("page walk", walked),
            ("page walk and fault", faulting),
        ];
        let column = rows.iter().map(|row| width(&group_wide(row.1))).max().unwrap_or(0).max(11);
        lines.section("Where the accesses went", &format!("{} translations", group_wide(whole)));
        for (label, count) in rows {
            lines.share(label, &group_wide(count), column, count, whole);
        }
        let a = &self.accesses;
        let kinds = named(&[
            (a.fetches, "fetch{es}"),
            (a.loads, "load{s}"),
            (a.stores, "store{s}"),
            (a.modifies, "read-modify-write{s}"),
            (a.page_crossing, "across a page boundary"),
        ]);
        optional_row(lines, "accesses", &group(a.total), column, &kinds);
        let mut walks = named(&[
            (t.walk_steps, "entr{ies} read"),
            (t.accessed_updates, "accessed bit{s} set"),
            (t.dirty_updates, "dirty bit{s} set"),
            (t.cmpxchg_retries, "walked again"),
            (t.instruction.upgrades.saturating_add(t.data.upgrades), "for more permission"),
        ]);
        for cache in &t.walk_caches {
            let (hits, both) = (u128::from(cache.hits), u128::from(cache.hits) + u128::from(cache.misses));
            if both > 0 {
                walks.push(format!("{} cached {}", visible(&cache.level), percent(hits, both)));
            }
        }
        optional_row(lines, "walks", &group(t.walks), column, &walks);
    }

    fn kernel_text(&self, lines: &mut Lines) {
        let (f, k) = (&self.faults, &self.kernel);
        lines.section("What the kernel did", "");
        let faults = named(&[
            (f.first_touch, "first touch"),
            (f.copy_on_write, "copied on write"),
            (f.permission, "permission"),
            (f.spurious, "already done"),
            (f.file_minor, "from the page cache"),
            (f.file_major, "from the disk"),
            (f.swap_minor, "from the swap cache"),
            (f.swap_major, "from swap"),
        ]);
        let first = self.segv.first_address.map(|address| format!("the first at {address:#x}"));
        let mut rows = vec![
            ("page faults", f.pgfault, faults),
            ("outside any mapping", self.segv.count, first.into_iter().collect()),
            (
                "calls refused",
                self.refusals.count,
                self.refusals.first.iter().take(1).map(|call| visible(call)).collect(),
            ),
        ];
        rows.extend(kernel_rows(k));
        rows.retain(|(_, count, remarks)| *count > 0 || !remarks.is_empty());
        let column = rows.iter().map(|row| width(&group(row.1))).max().unwrap_or(0).max(11);
        for (label, count, remarks) in &rows {
            lines.row(label, &group(*count), column, remarks);
        }
        if rows.is_empty() {
            lines.line("    nothing");
        }
        if let Some(oom) = &k.out_of_memory {
            let said = lines.paint.alarm("out of memory");
            let who = fit(&visible(&oom.who), 40);
            let size = plural(1_u64.checked_shl(oom.order).unwrap_or(u64::MAX), "frame", "frames");
            lines.line(&format!(
                "    {said}         {who} asked for {size}, {} free",
                group(oom.nr_free_pages)
            ));
        }
    }

    fn memory_text(&self, lines: &mut Lines) {
        let m = &self.memory;
        lines.section("Memory", &plural(self.frames, "frame", "frames"));
        let rows = [
            ("in use at most", m.peak_used_frames),
            ("anonymous at most", m.peak_nr_anon_pages),
            ("page tables at most", m.peak_nr_page_table_pages),
            ("free at the end", m.nr_free_pages),
        ];
        let column = rows.iter().map(|row| width(&group(row.1))).max().unwrap_or(0).max(11);
        for (label, count) in rows {
            lines.share(label, &group(count), column, u128::from(count), u128::from(self.frames));
        }
        for leftover in m.leftovers.iter().take(MAX_ROWS) {
            let said = lines.paint.alarm("✘ left over");
            lines.line(&format!("    {said}           {}", fit(&visible(leftover), 72)));
        }
        more(lines, m.leftovers.len());
    }

    /// Reclaim and swap, if there was any.
    fn pressure_text(&self, lines: &mut Lines) {
        let p = &self.pressure;
        let rows = pressure_rows(p);
        if rows.is_empty() && p.footprint.is_none() {
            return;
        }
        let remark = p.footprint.map_or_else(String::new, |footprint| {
            let pages = plural(footprint.pages, "page", "pages");
            format!("memory for {} % of {pages} that the traces touch", footprint.percent)
        });
        lines.section("Memory pressure", &remark);
        let column = rows.iter().map(|row| width(&group(row.1))).max().unwrap_or(0).max(11);
        for (label, count, remarks) in &rows {
            lines.row(label, &group(*count), column, remarks);
        }
    }

    fn time_text(&self, lines: &mut Lines) {
        let time = &self.time;
        let told = |cycles| duration(nanoseconds(cycles, self.frequency_mhz));
        let cycles = plural(time.cycles, "cycle", "cycles");
        lines.section("Time", &format!("{} · {cycles}", told(time.cycles)));
        if !time.per_cpu.is_empty() {
            let head = "user    kernel interrupt   waiting      idle";
            let head = lines.paint.dim(head);
            lines.line(&format!("                {head}"));
        }
        for (cpu, spent) in time.per_cpu.iter().enumerate().take(MAX_ROWS) {
            cpu_line(lines, cpu, spent);
        }
        more(lines, time.per_cpu.len());
        if let Some(l) = &time.fault_latency {
            let remarks: Vec<String> =
                [("shortest", l.min), ("median", l.median), ("99 of 100 within", l.p99), ("longest", l.max)]
                    .iter()
                    .map(|(name, cycles)| format!("{name} {}", told(*cycles)))
                    .collect();
            lines.wrapped("    a fault took   ", 19, &remarks);
        }
        self.waits_text(lines);
    }

    fn processes_text(&self, lines: &mut Lines) {
        if self.processes.is_empty() {
            return;
        }
        lines.section("Processes", "");
        let head = format!(
            "{:>10}  {:<20} {:>9}{:>18}{:>16}{:>14}",
            "pid", "name", "threads", "accesses", "faults", "most pages"
        );
        let head = lines.paint.dim(&head);
        lines.line(&format!("    {head}"));
        for p in self.processes.iter().take(MAX_ROWS) {
            let name = fit(&visible(&p.name), 20);
            let counts = format!(
                "{:>9} {:>17} {:>15} {:>13}",
                group(p.threads),
                group(p.accesses),
                group(p.pgfault),
                group(p.peak_rss)
            );
            lines.line(&fit(&format!("    {:>10}  {name:<20} {counts}", p.pid), 100));
        }
        more(lines, self.processes.len());
    }

    fn promises_text(&self, lines: &mut Lines) {
        let v = &self.verify;
        let remark = if v.enabled {
            format!("{} loads compared, {} stores recorded", group(v.loads_checked), group(v.stores_recorded))
        } else {
            String::new()
        };
        lines.section("Promises", &remark);
        if !v.enabled && v.violations.is_empty() {
            lines.line("    not checked (--verify)");
        }
        for violation in v.violations.iter().take(MAX_ROWS) {
            let (id, message) = (visible(&violation.invariant), visible(&violation.message));
            let lead = format!("    {} {:<6} ", lines.paint.alarm("✘ broken"), fit(&id, 6));
            lines.line(&format!("{lead}{}", fit(&message, 78)));
        }
        more(lines, v.violations.len());
        for held in &v.held {
            let promise = fit(&visible(&held.promise), 78);
            let dot = lines.paint.accent("●");
            lines.line(&format!("    {dot} {promise:<78}  held"));
        }
        if v.enabled && v.held.is_empty() && v.violations.is_empty() {
            lines.line("    nothing was broken");
        }
    }
}

type Row = (&'static str, u64, Vec<String>);

/// What the kernel did apart from faults, in rows.
fn kernel_rows(k: &KernelWork) -> Vec<Row> {
    let calls = k.syscalls.iter().map(|call| call.count).fold(0, u64::saturating_add);
    vec![
        ("frames allocated", k.pgalloc, named(&[(k.pgfree, "freed")])),
        ("page tables made", k.page_tables_allocated, named(&[(k.page_tables_freed, "freed")])),
        ("pages zapped", k.pages_zapped, Vec::new()),
        (
            "TLB flushes",
            k.flush_requests,
            named(&[
                (k.nr_tlb_remote_flush, "to other CPUs"),
                (k.nr_tlb_remote_flush_received, "received"),
                (k.nr_tlb_local_flush_all, "whole flush{es}"),
                (k.nr_tlb_local_flush_one, "single page{s}"),
                (k.lazy_tlb_leaves, "lazy CPU{s} let go"),
            ]),
        ),
        ("context switches", k.context_switches, Vec::new()),
        ("system calls", calls, most_frequent(&k.syscalls)),
        (
            "forks and clones",
            k.forks.saturating_add(k.clones),
            named(&[(k.clones, "thread{s} started"), (k.execs, "exec{s}")]),
        ),
    ]
}

/// What memory pressure led to, in rows; those with nothing in them left out.
fn pressure_rows(p: &Pressure) -> Vec<Row> {
    let mut rows = vec![
        (
            "pages scanned",
            p.pgscan_kswapd.saturating_add(p.pgscan_direct),
            named(&[
                (p.pgscan_kswapd, "by kswapd"),
                (p.pgscan_direct, "by allocations"),
                (p.pgactivate, "found in use"),
                (p.pgrotated, "put back"),
            ]),
        ),
        (
            "pages reclaimed",
            p.pgsteal_kswapd.saturating_add(p.pgsteal_direct),
            named(&[
                (p.pgsteal_kswapd, "by kswapd"),
                (p.pgsteal_direct, "by allocations"),
                (p.allocstall, "allocation{s} waited"),
                (p.nr_vmscan_write, "written first"),
            ]),
        ),
        (
            "pages swapped out",
            p.pswpout,
            named(&[(p.pswpin, "swapped in"), (p.swap_used, "in use at the end")]),
        ),
        ("writers held up", p.balance_dirty_pages, named(&[(p.nr_written, "page{s} written back")])),
        (
            "pages migrated",
            p.pgmigrate_success,
            named(&[(p.pgmigrate_fail, "could not"), (p.compact_stall, "compaction{s}")]),
        ),
        ("antagonists acted", p.antagonist_operations, Vec::new()),
    ];
    rows.retain(|(_, count, _)| *count > 0);
    rows
}

fn cpu_line(lines: &mut Lines, cpu: usize, spent: &CpuTime) {
    let whole = spent.total();
    let share = |part: u64| format!("{:>8}", percent(u128::from(part), whole));
    let shares = [spent.user, spent.kernel, spent.interrupt, spent.waiting, spent.idle].map(share).join("  ");
    let busy = whole - u128::from(spent.idle);
    let drawn = lines.paint.accent(&bar(busy, whole, 30));
    lines.line(&format!("    CPU {cpu:<4}{shares}   {drawn}"));
}

/// `3 entries read`, for each count that is not zero; braces hold the plural's ending.
fn named(counts: &[(u64, &str)]) -> Vec<String> {
    const ENDINGS: [(&str, &str, &str); 3] = [("{s}", "", "s"), ("{es}", "", "es"), ("{ies}", "y", "ies")];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, name)| {
        let name = ENDINGS.iter().fold((*name).to_owned(), |name, (mark, one, many)| {
            name.replace(mark, if *count == 1 { one } else { many })
        });
        format!("{} {name}", group(*count))
    })
    .collect()
}

/// The most frequent system calls by name, and how many other kinds there were.
fn most_frequent(syscalls: &[SyscallCount]) -> Vec<String> {
    const SHOWN: usize = 12;
    let mut calls: Vec<&SyscallCount> = syscalls.iter().collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call.count));
    let shown = calls.iter().take(SHOWN).map(|call| format!("{} {}", visible(&call.name), group(call.count)));
    let rest = calls.len().saturating_sub(SHOWN);
    shown.chain((rest > 0).then(|| format!("{rest} other kinds"))).collect()
}

fn optional_row(lines: &mut Lines, label: &str, number: &str, column: usize, remarks: &[String]) {
    if !remarks.is_empty() {
        lines.row(label, number, column, remarks);
    }
}

/// A line that says how many rows are not shown.
fn more(lines: &mut Lines, rows: usize) {
    if rows > MAX_ROWS {
        let rest = plural((rows - MAX_ROWS) as u64, "more", "more");
        lines.line(&format!("    … {rest} (--format json has all)"));
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> String {
    visible(path.rsplit('/').next().unwrap_or(path))
}
