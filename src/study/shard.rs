//! Which part of the work this process does when several share it.
//!
//! Tasks are dealt out like cards: task `t` belongs to shard `t mod n`. A result does not depend on who ran the task,
//! so merged shards equal one run.

use std::fmt;
use std::str::FromStr;

/// One of `count` equal parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shard {
    /// From 0 on.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// Variables that launchers set, in the order in which they are looked for: the index, and how many
/// there are.
const LAUNCHERS: [Launcher; 5] = [
    Launcher { name: "Kubernetes Indexed Job", index: "JOB_COMPLETION_INDEX", count: None },
    Launcher { name: "Slurm array", index: "SLURM_ARRAY_TASK_ID", count: Some("SLURM_ARRAY_TASK_COUNT") },
    Launcher { name: "HyperQueue", index: "HQ_TASK_ID", count: None },
    Launcher { name: "AWS Batch array", index: "AWS_BATCH_JOB_ARRAY_INDEX", count: None },
    Launcher { name: "PBS array", index: "PBS_ARRAY_INDEX", count: None },
];

struct Launcher {
    name: &'static str,
    index: &'static str,
    count: Option<&'static str>,
}

impl Shard {
    /// Whether a task belongs to this shard.
    pub fn has(self, task: u64) -> bool {
        task % u64::from(self.count) == u64::from(self.index)
    }

    /// Reads from the environment of a launcher which shard this is; also says how.
    ///
    /// # Errors
    ///
    /// If there is no launcher, it does not say how many shards there are and `count` does not either, or its
    /// indices are not 0 to count - 1.
    pub fn auto(
        variable: impl Fn(&str) -> Option<String>,
        count: Option<u32>,
    ) -> Result<(Self, String), String> {
        let read = |name: &str| -> Result<Option<u32>, String> {
            let Some(text) = variable(name).filter(|text| !text.is_empty()) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| format!("{name} is `{text}`, which is not a whole number"))
        };
        for Launcher { name, index, count: count_name } in LAUNCHERS {
            let Some(value) = read(index)? else { continue };
            let told = count_name.map(read).transpose()?.flatten();
            // Slurm says what range its array has; a stepped or shifted one would leave shards out.
            if index == "SLURM_ARRAY_TASK_ID" && count.is_none() {
                let (min, max) = (read("SLURM_ARRAY_TASK_MIN")?, read("SLURM_ARRAY_TASK_MAX")?);
                let is_plain =
                    min.is_none_or(|min| min == 0) && told.zip(max).is_none_or(|(told, max)| told == max + 1);
                if !is_plain {
                    return Err(
                        "the Slurm array is not 0 to n-1 in steps of 1: some shards would never run; \
                                give the number of shards with --shard-count"
                            .to_string(),
                    );
                }
            }
            let count = count.or(told).ok_or_else(|| {
                format!("{name} does not say how many shards there are: give it with --shard-count")
            })?;
            let shard = Self { index: value, count };
            if shard.index >= count {
                return Err(format!("{index} is {value}, but there are {count} shards, numbered from 0"));
            }
            return Ok((shard, format!("{shard} from {index} ({name})")));
        }
        let names: Vec<_> = LAUNCHERS.iter().map(|launcher| launcher.index).collect();
        Err(format!("none of {} is set: no launcher says which shard this is", names.join(", ")))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parsed {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            Some((index, count)) => {
                Err(format!("there is no shard {index} of {count}: they are numbered from 0"))
            }
            None => Err("written INDEX/COUNT, as in 0/8, or auto".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(variables: &[(&str, &str)], count: Option<u32>) -> Result<Shard, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
        };
        Shard::auto(variable, count).map(|(shard, _)| shard)
    }

    #[test]
    fn launchers_say_which_shard_this_is() {
        let shard = |index, count| Ok(Shard { index, count });
        assert_eq!(auto(&[("JOB_COMPLETION_INDEX", "3")], Some(8)), shard(3, 8));
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
            ("SLURM_ARRAY_TASK_MIN", "0"),
            ("SLURM_ARRAY_TASK_MAX", "2"),
        ];
        assert_eq!(auto(&slurm, None), shard(2, 3));
        // One index run again: Slurm then says that there is one task.
        let again =
            [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_COUNT", "1"), ("SLURM_ARRAY_TASK_MIN", "1")];
        assert_eq!(auto(&again, Some(3)), shard(1, 3));
        assert!(auto(&again, None).is_err_and(|message| message.contains("--shard-count")));
        assert!(auto(&[("HQ_TASK_ID", "0")], None).is_err_and(|message| message.contains("--shard-count")));
        assert!(
            auto(&[("HQ_TASK_ID", "x")], Some(2))
                .is_err_and(|message| message.contains("not a whole number"))
        );
        assert!(auto(&[("AWS_BATCH_JOB_ARRAY_INDEX", "2")], Some(2)).is_err());
        assert!(auto(&[], Some(2)).is_err_and(|message| message.contains("JOB_COMPLETION_INDEX")));
    }

    #[test]
    fn every_task_has_one_shard() {
        for task in 0..100 {
            let owners = (0..7).filter(|&index| Shard { index, count: 7 }.has(task)).count();
            assert_eq!(owners, 1);
        }
        assert_eq!("2/5".parse(), Ok(Shard { index: 2, count: 5 }));
        assert!("5/5".parse::<Shard>().is_err() && "1".parse::<Shard>().is_err());
    }
}
