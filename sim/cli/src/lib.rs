//! The program `pagewalk`: machine descriptions, replay, and the account people read.

pub mod config_cmd;
pub mod diagnostic;
pub mod exit;
pub mod machine;
pub mod report;
pub mod set;
pub mod size;
pub mod style;
