//! Behaviour of the page cache: the tree against a map, races under random schedules, and what each mutant breaks.

mod branches;
mod common;
mod files;
mod mutants;
mod races;
mod tree_model;
mod world;
