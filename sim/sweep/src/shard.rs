//! A part of a sweep, for one of several machines.

use std::fmt;
use std::str::FromStr;

/// Part `index` (from 0) of `count`: every `count`-th point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether point number `number` is in it.
    #[must_use]
    pub fn has(self, number: usize) -> bool {
        number as u64 % self.count == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

/// `--shard`: which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// This one.
    Given(Shard),
    /// What the variables of a job array say.
    Auto,
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let expected =
            || format!("`{text}` is no shard; expected I/N with I from 1 to N, as in 3/16, or auto");
        let (index, count) = text.split_once('/').ok_or_else(expected)?;
        let (index, count): (u64, u64) =
            (index.parse().map_err(|_| expected())?, count.parse().map_err(|_| expected())?);
        if index == 0 || index > count {
            return Err(expected());
        }
        Ok(Self::Given(Shard { index: index - 1, count }))
    }
}

impl ShardChoice {
    /// The shard; `variable` looks up the environment.
    ///
    /// # Errors
    /// What is missing, or does not fit together.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        if let Self::Given(shard) = self {
            return Ok(shard);
        }
        let number = |name: &str| -> Result<Option<u64>, String> {
            let Some(text) = variable(name) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| format!("{name} is `{text}`, which is no number"))
        };
        let shard = |index: u64, count: u64| match index < count {
            true => Ok(Shard { index, count }),
            false => Err(format!("the job array says task {index} of {count}, counted from 0")),
        };
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            if number("SLURM_ARRAY_TASK_STEP")?.is_some_and(|step| step != 1) {
                return Err("SLURM_ARRAY_TASK_STEP is not 1: tasks would leave points out".into());
            }
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let count = number("SLURM_ARRAY_TASK_COUNT")?.ok_or("SLURM_ARRAY_TASK_COUNT is not set")?;
            return shard(
                id.checked_sub(first).ok_or("SLURM_ARRAY_TASK_ID is below SLURM_ARRAY_TASK_MIN")?,
                count,
            );
        }
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            let count = number("PAGEWALK_SHARDS")?;
            return shard(
                index,
                count.ok_or("a Kubernetes job does not say how many there are: set PAGEWALK_SHARDS")?,
            );
        }
        if let Some(index) = number("CI_NODE_INDEX")? {
            let count = number("CI_NODE_TOTAL")?.ok_or("CI_NODE_TOTAL is not set")?;
            return shard(index.checked_sub(1).ok_or("CI_NODE_INDEX counts from 1")?, count);
        }
        Err("no job array here: neither SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX nor CI_NODE_INDEX is set"
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_part_the_points() {
        let third: ShardChoice = "3/16".parse().expect("right");
        assert_eq!(third, ShardChoice::Given(Shard { index: 2, count: 16 }));
        for number in 0..40 {
            let has = |index| Shard { index, count: 7 }.has(number);
            assert_eq!((0..7).filter(|&index| has(index)).count(), 1);
        }
        for wrong in ["0/4", "5/4", "1/0", "1", "a/b", "", "-1/4"] {
            assert!(wrong.parse::<ShardChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn job_arrays_say_which_shard_it_is() {
        let resolve = |pairs: &[(&str, &str)]| {
            let look = |name: &str| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            ShardChoice::Auto.resolve(look).map(|shard| shard.to_string())
        };
        let slurm = |id, min, count, step| {
            resolve(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_COUNT", count),
                ("SLURM_ARRAY_TASK_STEP", step),
            ])
        };
        assert_eq!(slurm("8", "0", "20", "1"), Ok("9/20".into()));
        assert_eq!(slurm("8", "5", "20", "1"), Ok("4/20".into()));
        assert!(slurm("20", "0", "20", "1").is_err() && slurm("8", "0", "20", "2").is_err());
        assert_eq!(resolve(&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")]), Ok("2/4".into()));
        assert_eq!(resolve(&[("JOB_COMPLETION_INDEX", "2"), ("PAGEWALK_SHARDS", "4")]), Ok("3/4".into()));
        assert!(resolve(&[("JOB_COMPLETION_INDEX", "2")]).is_err() && resolve(&[]).is_err());
    }
}
