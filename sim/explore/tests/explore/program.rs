//! Small programs for a few CPUs, as something to explore.

use std::rc::Rc;

use pagewalk_engine::{CpuId, Engine, EngineConfig, Schedule, Shared, Stop, Violation};
use pagewalk_explore::Model;

use crate::acts::{Act, World, run};

/// For each CPU, what it does.
pub(crate) type Program = Vec<Vec<Act>>;

/// A program as something to explore.
pub(crate) struct Programs {
    engine: Rc<Engine>,
    programs: Rc<Program>,
    world: Rc<World>,
}

impl Programs {
    pub(crate) fn new(programs: Program) -> Self {
        let cpus = programs.len();
        let config = EngineConfig {
            cpus: cpus as u16,
            schedule: Schedule::Explore,
            jitter: 0,
            ..EngineConfig::default()
        };
        let world = Rc::new(World::new(cpus));
        Self { engine: Engine::new(config), programs: Rc::new(programs), world }
    }
}

impl Model for Programs {
    fn cpus(&self) -> usize {
        self.programs.len()
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        self.engine.restart(seed);
        self.world = Rc::new(World::new(self.programs.len()));
        for cpu in 0..self.programs.len() {
            let (programs, world) = (Rc::clone(&self.programs), Rc::clone(&self.world));
            self.engine
                .spawn(CpuId(cpu as u16), move |cx| async move { run(&cx, &world, &programs[cpu]).await });
        }
        Rc::clone(&self.engine)
    }

    fn shared(&self) -> Option<Rc<dyn Shared>> {
        let world: Rc<dyn Shared> = self.world.clone();
        Some(world)
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        let mut found = Vec::new();
        if let Stop::Deadlock(message) = stop {
            found.push(Violation { invariant: "I27", message: message.clone() });
        }
        // What every context saw is part of the verdict.
        found.push(Violation { invariant: "outcome", message: format!("{:?}", self.world.outcome()) });
        found
    }
}
