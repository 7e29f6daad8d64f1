//! How a command answers.

use clap::ValueEnum;

/// How to answer.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// For people
    Text,
    /// For programs
    Json,
}
