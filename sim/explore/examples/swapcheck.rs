// Is the dependence relation valid? Swap adjacent independent steps of random runs; the class must stay the same.
use std::collections::BTreeMap;
use std::rc::Rc;
use pagewalk_engine::{Engine, Executed, Explorer, Stop};
use pagewalk_explore::{dependent, Event, Model, Scenario, Trace, World};
use pagewalk_mmu::{Switches, Mutant, Fix};

struct Rnd { s: u64, trace: Trace, stick: u64, last: Option<usize>, n: usize, choices: Vec<usize> }
impl Rnd { fn next(&mut self) -> u64 { self.s ^= self.s << 13; self.s ^= self.s >> 7; self.s ^= self.s << 17; self.s } }
impl Explorer for Rnd {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        self.n += 1; if self.n > 4000 { return None; }
        if let Some(l) = self.last { if enabled >> l & 1 == 1 && self.next() % 16 < self.stick { self.choices.push(l); return Some(l); } }
        let k = self.next() % u64::from(enabled.count_ones());
        let mut e = enabled; for _ in 0..k { e &= e - 1; }
        self.last = Some(e.trailing_zeros() as usize); self.choices.push(self.last.unwrap()); self.last
    }
    fn executed(&mut self, _: &Engine, step: &Executed<'_>) { self.trace.push(step); }
}
struct Guide<'a> { plan: &'a [usize], at: usize, trace: Trace, ok: bool }
impl Explorer for Guide<'_> {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        let Some(&w) = self.plan.get(self.at) else { self.ok = false; return None; };
        self.at += 1;
        if enabled >> w & 1 == 0 { self.ok = false; return None; }
        Some(w)
    }
    fn executed(&mut self, _: &Engine, step: &Executed<'_>) { self.trace.push(step); }
}
fn show(e: &Event) -> String {
    format!("a{} {:?} {} {}:{} {:x}->{:x} {:?}", e.access.actor, e.op.kind, e.op.object, e.op.location.file().rsplit('/').next().unwrap(), e.op.location.line(), e.effect.old, e.effect.new, e.access.touches.iter().skip(1).map(|t| format!("{:?} {}", t.kind, t.object)).collect::<Vec<_>>())
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&args[1]).unwrap();
    let runs: u64 = args[2].parse().unwrap();
    let mut sw = Switches::FIXED;
    for a in &args[3..] {
        if let Some(m) = Mutant::from_name(a) { sw = sw.with_mutant(m); }
        else if a == "2.6.27" { sw = Switches::LINUX_2_6_27; }
        else if let Some(f) = Fix::from_name(a) { sw = sw.with(f); }
    }
    let scenario: Scenario = ron::from_str(&text).unwrap();
    scenario.check().unwrap();
    let mut world = World::new(scenario, sw);
    let cpus = world.cpus();
    let mut bad: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let (mut swaps, mut infeasible) = (0u64, 0u64);
    for n in 0..runs {
        let mut r = Rnd { s: 0x9E3779B97F4A7C15u64.wrapping_mul(n * 2 + 1) | 1, trace: Trace::new(cpus), stick: n % 16, last: None, n: 0, choices: vec![] };
        for _ in 0..8 { r.next(); }
        let engine: Rc<Engine> = world.start(n);
        let Ok(stop) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.explore(&mut r))) else { continue };
        let _ = world.judge(&stop);
        if !matches!(stop, Stop::Finished | Stop::Deadlock(_)) { continue; }
        let class = r.trace.class();
        let ev = r.trace.events();
        if ev.len() != r.choices.len() { println!("run {n}: {} events, {} choices", ev.len(), r.choices.len()); continue; }
        for i in 0..ev.len() - 1 {
            if dependent(&ev[i].access, &ev[i + 1].access) || r.trace.precedes(i, i + 1) { continue; }
            let mut plan = r.choices.clone(); plan.swap(i, i + 1);
            let engine = world.start(n);
            let mut g = Guide { plan: &plan, at: 0, trace: Trace::new(cpus), ok: true };
            let res = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.explore(&mut g)));
            swaps += 1;
            let Ok(stop) = res else { continue };
            let _ = world.judge(&stop);
            let key = format!("{} {:?} {} / {} {:?} {}", ev[i].access.actor, ev[i].op.kind, ev[i].op.location, ev[i+1].access.actor, ev[i+1].op.kind, ev[i+1].op.location);
            if !g.ok { infeasible += 1; bad.entry(format!("INFEASIBLE {key}")).or_insert((0, format!("{}\n      {}", show(&ev[i]), show(&ev[i + 1])))).0 += 1; }
            else if g.trace.class() != class {
                let e = bad.entry(format!("CLASS {key}")).or_insert_with(|| {
                    let mut t = format!("{}\n      {}", show(&ev[i]), show(&ev[i + 1]));
                    t += &format!("\n      after: {}\n             {}", show(&g.trace.events()[i]), show(&g.trace.events()[i + 1]));
                    // which events differ
                    for (k, (a, b)) in ev.iter().zip(g.trace.events()).enumerate() {
                        if k == i || k == i + 1 { continue; }
                        let (x, y) = (show(a), show(b));
                        if x != y { t += &format!("\n      {k}: {x}\n      {k}' {y}"); break; }
                    }
                    (0, t)
                });
                e.0 += 1;
            }
        }
    }
    println!("{swaps} swaps, {infeasible} infeasible, {} kinds of bad pairs", bad.len());
    for (k, (n, t)) in bad.iter().take(12) { println!("{n} x {k}\n      {t}"); }
}
