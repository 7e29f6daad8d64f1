//! Which thread runs on which CPU.

use std::str::FromStr;

use pagewalk_engine::CpuId;

/// How threads are placed. A thread never moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Threads go round the CPUs in the order in which they start.
    Spread,
    /// All threads of a process share a CPU; processes go round the CPUs by number.
    Process,
    /// The n-th thread to start runs on the n-th CPU of the list, which repeats.
    List(Vec<u16>),
}

impl Placement {
    /// The CPU of the thread that starts as number `started`, of process `pid`.
    pub fn cpu(&self, started: u32, pid: u32, cpus: u16) -> CpuId {
        let number = match self {
            Self::Spread => started,
            Self::Process => pid,
            Self::List(list) => u32::from(list[started as usize % list.len()]),
        };
        CpuId((number % u32::from(cpus)) as u16)
    }

    /// The largest CPU number the placement names.
    pub fn largest(&self) -> Option<u16> {
        match self {
            Self::List(list) => list.iter().copied().max(),
            _ => None,
        }
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "spread" => Ok(Self::Spread),
            "process" => Ok(Self::Process),
            _ => {
                let numbers: Result<Vec<u16>, _> = text.split(',').map(str::parse).collect();
                numbers.map(Self::List).map_err(|_| {
                    "expected `spread`, `process`, or CPU numbers separated by commas such as `0,2,1`"
                        .to_owned()
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_go_where_the_placement_says() {
        let spread: Vec<u16> = (0..5).map(|n| Placement::Spread.cpu(n, 9, 4).0).collect();
        assert_eq!(spread, [0, 1, 2, 3, 0]);
        assert_eq!(Placement::Process.cpu(3, 6, 4).0, 2);
        let list: Placement = "0,2".parse().expect("a list");
        assert_eq!([0, 1, 2].map(|n| list.cpu(n, 1, 4).0), [0, 2, 0]);
        assert_eq!(list.largest(), Some(2));
        assert!("2,x".parse::<Placement>().is_err());
    }
}
