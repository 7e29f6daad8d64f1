//! Measures what one step costs: inside the horizon, between two CPUs, and under the random schedule.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{Class, Context, Cpu, CpuId, Engine, EngineConfig, ObjectId, Schedule, Stop, Word};

static COUNTER: Class = Class::new(100, "counter");

async fn leaf(cx: &Context, cell: &Cell<u64>, index: u64) {
    let word = Word::new(cell, ObjectId::new(&COUNTER, index));
    let value = word.read_once(cx).await;
    word.write_once(cx, value + 1).await;
}

async fn middle(cx: &Context, cell: &Cell<u64>, index: u64) {
    leaf(cx, cell, index).await;
    leaf(cx, cell, index).await;
}

async fn path(cx: &Context, cell: &Cell<u64>, index: u64) {
    middle(cx, cell, index).await;
    middle(cx, cell, index).await;
}

/// What a CPU does with each of its rounds.
#[derive(Clone, Copy)]
enum Shape {
    /// Eight steps, three calls deep.
    Nested,
    /// Eight times the same step.
    Flat,
}

/// Runs `rounds` paths of eight steps on each CPU and prints nanoseconds per step.
fn measure(name: &str, cpus: u16, schedule: Schedule, shape: Shape, rounds: u64) {
    let engine = Engine::new(EngineConfig { cpus, schedule, ..EngineConfig::default() });
    for cpu in 0..cpus {
        engine.spawn(CpuId(cpu), move |cx| async move {
            let cell = Rc::new(Cell::new(0));
            match shape {
                Shape::Nested => {
                    for _ in 0..rounds {
                        path(&cx, &cell, u64::from(cpu)).await;
                    }
                }
                Shape::Flat => {
                    let word = Word::new(&*cell, ObjectId::new(&COUNTER, u64::from(cpu)));
                    for _ in 0..rounds * 8 {
                        word.fetch_add(&cx, 1).await;
                    }
                }
            }
            assert!(cell.get() >= rounds * 4);
        });
    }
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; nothing depends on it")]
    let begin = std::time::Instant::now();
    assert_eq!(engine.run(), Stop::Finished);
    let spent = begin.elapsed();
    let steps: u64 = engine.cpus().iter().map(|cpu: &Rc<Cpu>| cpu.steps()).sum();
    println!("{name:34} {:7.2} ns/step ({steps} steps)", spent.as_secs_f64() * 1e9 / steps as f64);
}

fn main() {
    for _ in 0..3 {
        measure("timed, 1 CPU, inside the horizon", 1, Schedule::Timed, Shape::Nested, 3_000_000);
        measure("timed, 1 CPU, flat", 1, Schedule::Timed, Shape::Flat, 3_000_000);
        measure("timed, 2 CPUs, a yield each step", 2, Schedule::Timed, Shape::Nested, 300_000);
        measure("timed, 8 CPUs, a yield each step", 8, Schedule::Timed, Shape::Nested, 75_000);
        measure("random, 1 CPU", 1, Schedule::Random, Shape::Nested, 1_000_000);
        measure("random, 2 CPUs", 2, Schedule::Random, Shape::Nested, 300_000);
        measure("random, 4 CPUs", 4, Schedule::Random, Shape::Nested, 150_000);
        measure("random, 2 CPUs, flat", 2, Schedule::Random, Shape::Flat, 300_000);
        measure("random, 4 CPUs, flat", 4, Schedule::Random, Shape::Flat, 150_000);
        measure("timed, 2 CPUs, flat", 2, Schedule::Timed, Shape::Flat, 300_000);
        measure("random, 64 CPUs", 64, Schedule::Random, Shape::Nested, 8_000);
    }
}
