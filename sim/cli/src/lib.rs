//! The program `pagewalk`: machine descriptions, replay, and the account people read.

pub mod diagnostic;
pub mod exit;
pub mod machine;
pub mod report;
pub mod size;
pub mod style;
