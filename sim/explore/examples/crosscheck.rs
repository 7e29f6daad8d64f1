// Cross-check: classes found by random schedules must be a subset of those DPOR visits, with equal verdicts.
use std::collections::BTreeMap;
use std::rc::Rc;
use pagewalk_engine::{Engine, Executed, Explorer, Stop};
use pagewalk_explore::{exhaust, Limits, Model, Scenario, Trace, World};
use pagewalk_mmu::{Switches, Fix, Mutant};

struct Rnd { s: u64, trace: Trace, stick: u64, last: Option<usize>, n: usize }
impl Rnd {
    fn next(&mut self) -> u64 { self.s ^= self.s << 13; self.s ^= self.s >> 7; self.s ^= self.s << 17; self.s }
}
impl Explorer for Rnd {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        self.n += 1;
        if self.n > 4000 { return None; }
        if let Some(l) = self.last {
            if enabled >> l & 1 == 1 && self.next() % 16 < self.stick { return Some(l); }
        }
        let k = self.next() % u64::from(enabled.count_ones());
        let mut e = enabled;
        for _ in 0..k { e &= e - 1; }
        self.last = Some(e.trailing_zeros() as usize);
        self.last
    }
    fn executed(&mut self, _: &Engine, step: &Executed<'_>) { self.trace.push(step); }
}

fn class_of(trace: &Trace, _: usize, _: bool) -> u128 { trace.class() }
fn main() {
    let filter = std::env::var("FILTER").is_ok();
    let args: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&args[1]).unwrap();
    let runs: u64 = args[2].parse().unwrap();
    let mut sw = Switches::FIXED;
    let mut limit = 3_000_000;
    for a in &args[3..] {
        if let Some(m) = Mutant::from_name(a) { sw = sw.with_mutant(m); }
        else if a == "2.6.27" { sw = Switches::LINUX_2_6_27; }
        else if a == "2.6.22" { sw = Switches::LINUX_2_6_22; }
        else if let Some(f) = Fix::from_name(a) { sw = sw.with(f); }
        else if let Some(n) = a.strip_prefix("limit=") { limit = n.parse().unwrap(); }
        else { panic!("{a}"); }
    }
    let scenario: Scenario = ron::from_str(&text).unwrap();
    scenario.check().unwrap();
    let mut world = World::new(scenario, sw);
    let mut classes: BTreeMap<u128, Vec<String>> = BTreeMap::new();
    let t = std::time::Instant::now();
    let mut dup = 0u64;
    let cpus = world.cpus();
    let summary = exhaust(&mut world, Limits { runs: limit, steps: 4000 }, &mut |run| {
        let v = run.verdict.violations.iter().map(|v| v.invariant.to_string()).collect();
        if classes.insert(class_of(run.trace, cpus, filter), v).is_some() { dup += 1; }
        true
    });
    println!("dpor: {summary:?} distinct {} dup {dup} in {:?}", classes.len(), t.elapsed());
    let t = std::time::Instant::now();
    let cpus = world.cpus();
    let (mut missed, mut differ) = (BTreeMap::new(), 0u64);
    let mut seen = std::collections::BTreeSet::new();
    let mut last_new = 0;
    for n in 0..runs {
        let mut r = Rnd { s: 0x9E3779B97F4A7C15u64.wrapping_mul(n * 2 + 1) | 1, trace: Trace::new(cpus), stick: n % 16, last: None, n: 0 };
        for _ in 0..8 { r.next(); }
        let engine: Rc<Engine> = world.start(n);
        let stop = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.explore(&mut r))) {
            Ok(s) => s, Err(_) => { continue; }
        };
        if matches!(&stop, Stop::Stopped(s) if s == "abandoned") { println!("run {n} abandoned"); continue; }
        let found = world.judge(&stop);
        let mut v: Vec<String> = engine.violations().iter().map(|v| v.invariant.to_string()).collect();
        v.extend(found.iter().map(|v| v.invariant.to_string()));
        let class = class_of(&r.trace, cpus, filter);
        if seen.insert(class) { last_new = n; }
        match classes.get(&class) {
            None => { if summary.complete { missed.entry(class).or_insert((n, v)); } }
            Some(expected) if *expected != v => { differ += 1; if differ < 4 { println!("class verdict differs: dpor {expected:?} random {v:?}"); } }
            _ => {}
        }
    }
    println!("random: {runs} runs, {} classes seen (last new at {last_new}), missed by dpor {}, verdicts that differ {differ}, in {:?}", seen.len(), missed.len(), t.elapsed());
    if std::env::var("DUMP").is_ok() {
        for (c, (n, _)) in missed.iter().take(std::env::var("DUMP").unwrap().parse().unwrap()) {
            println!("--- run {n} class {c:x}");
            let mut r = Rnd { s: 0x9E3779B97F4A7C15u64.wrapping_mul(n * 2 + 1) | 1, trace: Trace::new(cpus), stick: n % 16, last: None, n: 0 };
            for _ in 0..8 { r.next(); }
            let engine: Rc<Engine> = world.start(*n);
            let _ = engine.explore(&mut r);
            let _ = world.judge(&Stop::Finished);
            for (i, e) in r.trace.events().iter().enumerate() {
                println!("{i:3} a{} {:?} {} {}:{} {:x}->{:x} touches {:?}", e.access.actor, e.op.kind, e.op.object, e.op.location.file().rsplit('/').next().unwrap(), e.op.location.line(), e.effect.old, e.effect.new, e.access.touches.iter().skip(1).map(|t| format!("{:?} {} {:x}->{:x}", t.kind, t.object, t.effect.old, t.effect.new)).collect::<Vec<_>>());
            }
        }
    }
    for (_, (n, v)) in missed.iter().take(5) { println!("  missed: run {n} verdict {v:?}"); }
}
