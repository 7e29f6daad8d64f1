//! Search by state: every state that a scenario can be in once, and every step out of it.
//!
//! Long paths with many independent races have more classes of schedules than anybody can run, and few states: two paths of
//! 150 steps have some 150² positions. The search needs no relation of independence: what [`Engine::state`] does not tell
//! apart goes on alike, and that is all. So it is also the judge of [`crate::exhaust`].
//!
//! The states are the nodes of a [`StateGraph`], each with the steps out of it. A worker ([`walk`]) takes a step that nobody has
//! taken yet: it runs from the beginning along the known way there, takes it, and goes on as long as it comes to steps that are
//! still to be taken. Which worker finds a state first changes nothing in what is found: the answer is read off the graph.
//!
//! [`Engine::state`]: pagewalk_engine::Engine::state

mod agree;
mod checkpoint;
mod edge;
mod graph;
mod summary;
mod table;
mod walk;

pub use agree::disagreement;
pub use checkpoint::CheckpointError;
pub use graph::StateGraph;
pub use summary::{BrokenState, StateSummary};
pub use walk::{Walked, exhaust_states, walk};
