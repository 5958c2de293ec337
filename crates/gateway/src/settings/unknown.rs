//! Variables that look like the gateway's and are none: a wrong name would otherwise be a setting that silently keeps its default.

use std::fmt;

use contract::variables;

/// A variable that the gateway does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// As found.
    pub name: String,
    /// The variable that is most likely meant.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no variable of the gateway", self.name)?;
        match self.nearest {
            Some(nearest) => write!(f, "; is {nearest} meant?"),
            None => f.write_str("; gateway --settings lists them"),
        }
    }
}

/// Those of these names that begin as several variables do, or are nearly one. Others belong to somebody else.
pub fn unknown(names: impl IntoIterator<Item = String>) -> Vec<Unknown> {
    let mut all: Vec<Unknown> = names
        .into_iter()
        .filter(|name| variables::named(name).is_none())
        .filter_map(|name| {
            let nearest = nearest(&name);
            (nearest.is_some() || has_prefix(&name)).then_some(Unknown { name, nearest })
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Whether its first word is that of at least two variables.
fn has_prefix(name: &str) -> bool {
    let head = |name: &str| name.split_once('_').map(|(head, _)| head.to_owned());
    let own = head(name);
    own.is_some() && variables::ALL.iter().filter(|variable| head(variable.name) == own).count() > 1
}

/// The variable that differs least, if it differs by little: one letter in five.
fn nearest(name: &str) -> Option<&'static str> {
    let distances = variables::ALL.iter().map(|variable| (distance(name, variable.name), variable.name));
    let (distance, nearest) = distances.min()?;
    (distance <= name.len() / 5).then_some(nearest)
}

/// Letters to insert, remove or replace. Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use contract::variable::Variable;

    use super::*;

    #[test]
    fn a_name_that_is_nearly_one_is_told_with_the_one() {
        let told = |names: &[&str]| -> Vec<String> {
            unknown(names.iter().map(|name| (*name).to_owned())).iter().map(ToString::to_string).collect()
        };
        let meant = |written: &str, variable: &Variable| {
            format!("{written} is no variable of the gateway; is {} meant?", variable.name)
        };
        assert_eq!(
            told(&["REDIS_URI", "QUEUE_CRITICAL_TRESHOLD", "ENVIROMENT", "REDIS_SENTINELS"]),
            [
                meant("ENVIROMENT", &variables::ENVIRONMENT),
                meant("QUEUE_CRITICAL_TRESHOLD", &variables::QUEUE_CRITICAL_THRESHOLD),
                "REDIS_SENTINELS is no variable of the gateway; gateway --settings lists them".to_owned(),
                meant("REDIS_URI", &variables::REDIS_URL),
            ]
        );
        let known = variables::REDIS_URL.name;
        assert_eq!(told(&["PATH", "HOME", "HOSTNAME", "PORT", known, "LANG", "NO_COLOR"]), [""; 0]);
    }

    #[test]
    fn distance_counts_letters() {
        for (a, b, letters) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("abc", "abc", 0), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), letters, "{a} {b}");
        }
    }
}
