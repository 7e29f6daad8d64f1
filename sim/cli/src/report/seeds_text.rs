//! The account of several seeds as text.

use pagewalk_replay::report::{SeedRow, SeedsReport};

use super::ReportText;
use super::lines::{Lines, plural};
use super::text::file_name;
use crate::style::{Paint, duration, fit, group, nanoseconds, visible};

/// The most rows shown; broken seeds come before others. JSON has all.
const MAX_ROWS: usize = 40;

impl ReportText for SeedsReport {
    fn to_text(&self, paint: Paint) -> String {
        let mut lines = Lines::new(paint);
        let traces: Vec<String> = self.traces.iter().map(|trace| file_name(trace)).collect();
        let count = plural(self.seeds.len() as u64, "seed", "seeds");
        lines.line("");
        let left = format!("{} · {count}", fit(&traces.join(", "), 60));
        lines.ends(&left, &format!("machine {}", visible(&self.machine)));
        lines.rule();
        let head = format!(
            "{:>20}  {:>14}  {:>20}  {:>10}  {}",
            "seed", "faults", "cycles", "time", "digest begins"
        );
        let head = paint.dim(&head);
        lines.line(&format!("  {head}"));
        let (broken, fine): (Vec<_>, Vec<_>) = self.seeds.iter().partition(|row| row.violations > 0);
        for row in broken.iter().chain(&fine).take(MAX_ROWS) {
            seed_line(&mut lines, self.frequency_mhz, row);
        }
        if self.seeds.len() > MAX_ROWS {
            let hidden = self.seeds.len() - MAX_ROWS;
            lines.line(&format!("  … {hidden} more (--format json has all)"));
        }
        lines.rule();
        if let (Some(faults), Some(cycles)) = (self.pgfault, self.cycles) {
            let rows = [
                ("smallest", faults.min, cycles.min),
                ("middle", faults.median, cycles.median),
                ("largest", faults.max, cycles.max),
            ];
            for (name, faults, cycles) in rows {
                let line = format!("{name:>20}  {}", counts(self.frequency_mhz, faults, cycles));
                lines.line(&format!("  {line}"));
            }
        }
        let broken = broken.len() as u64;
        let verdict = if broken > 0 {
            paint.alarm(&format!("{} broke a promise", plural(broken, "seed", "seeds")))
        } else if self.verify {
            "no promise was broken".to_owned()
        } else {
            "promises were not checked (--verify)".to_owned()
        };
        let distinct = plural(self.distinct_digests, "distinct run", "distinct runs");
        lines.line("");
        lines.line(&format!("  {verdict} · {distinct}"));
        lines.line(&format!("  {}   {}", paint.dim("again"), paint.accent(&visible(&self.command))));
        lines.finish()
    }
}

fn counts(frequency_mhz: u64, faults: u64, cycles: u64) -> String {
    let time = duration(nanoseconds(cycles, frequency_mhz));
    format!("{:>14}  {:>20}  {time:>10}", group(faults), group(cycles))
}

fn seed_line(lines: &mut Lines, frequency_mhz: u64, row: &SeedRow) {
    let digest = format!("{:032x}", row.digest);
    let mut remark = String::new();
    if row.violations > 0 {
        remark = lines.paint.alarm(&format!("  ✘ {}", plural(row.violations, "broken", "broken")));
    } else if row.incomplete {
        "  incomplete".clone_into(&mut remark);
    }
    let counts = counts(frequency_mhz, row.pgfault, row.cycles);
    lines.line(&format!("  {:>20}  {counts}  {}{remark}", row.seed, &digest[..8]));
}
