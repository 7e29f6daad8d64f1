//! Exit codes: the documented meaning of what the program returns to the shell.

use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done, and every promise that was checked held.
    Held,
    /// 1: a promise was broken, or a comparison found a difference.
    Broken,
    /// 2: the command line is wrong.
    Usage,
    /// 3: an input (machine, trace, plan) was rejected.
    BadInput,
    /// 5: finished, but something asked for is missing.
    Incomplete,
    /// 70: a bug of this program.
    Internal,
    /// 130: interrupted from the keyboard; finished work is kept.
    Interrupted,
}

impl Exit {
    /// Every exit code, in numeric order.
    pub const ALL: [Self; 7] = [
        Self::Held,
        Self::Broken,
        Self::Usage,
        Self::BadInput,
        Self::Incomplete,
        Self::Internal,
        Self::Interrupted,
    ];

    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Broken => 1,
            Self::Usage => 2,
            Self::BadInput => 3,
            Self::Incomplete => 5,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// One line saying when this code is returned.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Held => "done; every promise that was checked held",
            Self::Broken => "a promise was broken, or a comparison found a difference",
            Self::Usage => "the command line is wrong",
            Self::BadInput => "an input was rejected; the message says where and what was expected",
            Self::Incomplete => "finished, but something asked for is missing",
            Self::Internal => "a bug of this program; please report it with the seed and version printed",
            Self::Interrupted => "interrupted; finished work is kept",
        }
    }

    /// The table of codes, one a line, for `--help`.
    #[must_use]
    pub fn table() -> String {
        Self::ALL.iter().map(|exit| format!("  {:>3}  {}\n", exit.code(), exit.meaning())).collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_numbers_in_order() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 5, 70, 130]);
        assert_eq!(Exit::table().lines().count(), Exit::ALL.len());
    }
}
