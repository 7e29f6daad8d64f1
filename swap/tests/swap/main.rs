//! Behaviour of swap: the maps against a model, the devices against arithmetic, and the swap cache under random schedules.

mod cache;
mod device;
mod map;
#[path = "../../../pagecache/tests/pagecache/world.rs"]
mod world;

use std::rc::Rc;

use pagewalk_pagecache::PageCache;
use pagewalk_swap::{DeviceSpec, Swap, SwapAreaSpec};

/// Areas of so many pages with these priorities, on a device that does not matter.
fn areas(cache: &Rc<PageCache>, specs: &[(u32, i16)]) -> Rc<Swap> {
    let spec = |&(pages, priority)| SwapAreaSpec { pages, priority, device: DeviceSpec::default() };
    Swap::new(cache, &specs.iter().map(spec).collect::<Vec<_>>())
}
