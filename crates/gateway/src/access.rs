//! Who may send what: bearer tokens, each with an organization, the priorities that it may use, and a quota.
//!
//! They stand in a file, as SHA-256 of the tokens, so that who reads the file cannot send. Reading it again replaces them all at once,
//! and keeps the quotas that have not changed as they are.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use backpressure::Priority;
use contract::variables::CREDENTIALS_FILE;
use governor::{DefaultDirectRateLimiter, RateLimiter};
use hmac_sha256::Hash;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::settings::Quota;

/// The credentials in force.
pub struct Access {
    /// `None` for access without credentials.
    file: Option<PathBuf>,
    current: RwLock<Arc<[Arc<Credential>]>>,
}

/// What one token is good for.
pub struct Credential {
    /// What people call it.
    pub name: String,
    /// Whose events it sends.
    pub organization: String,
    digest: [u8; 32],
    priorities: Vec<Priority>,
    quota: Option<(Quota, DefaultDirectRateLimiter)>,
}

impl Access {
    /// Reads the file of the settings, if there is one.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn open(file: Option<&Path>) -> Result<Access, String> {
        let current = file.map_or_else(|| Ok(Arc::default()), |file| read(file, &[]));
        let current = current.map_err(|problem| format!("{}: {problem}", CREDENTIALS_FILE.name))?;
        Ok(Access { file: file.map(Path::to_owned), current: RwLock::new(current) })
    }

    /// Reads the file again, and returns the number of its credentials. After a mistake the old ones stay in force.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn reload(&self) -> Result<usize, String> {
        let Some(file) = &self.file else { return Ok(0) };
        let new = read(file, &self.all())?;
        let number = new.len();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(number)
    }

    /// Whether anybody may send.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.file.is_none()
    }

    /// The credential of a token. Takes the same time whichever it is, and whether it is one.
    #[must_use]
    pub fn find(&self, token: &[u8]) -> Option<Arc<Credential>> {
        let digest = Hash::hash(token);
        let mut found = None;
        for credential in self.all().iter() {
            if bool::from(credential.digest.ct_eq(&digest)) {
                found = Some(credential.clone());
            }
        }
        found
    }

    fn all(&self) -> Arc<[Arc<Credential>]> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Credential {
    /// Whether it may send events of this priority.
    #[must_use]
    pub fn may_use(&self, priority: Priority) -> bool {
        self.priorities.contains(&priority)
    }

    /// Its priorities, for people.
    #[must_use]
    pub fn priorities(&self) -> String {
        let numbers: Vec<String> =
            self.priorities.iter().map(|priority| priority.get().to_string()).collect();
        numbers.join(", ")
    }

    /// Its quota, and what limits by it.
    #[must_use]
    pub fn quota(&self) -> Option<&(Quota, DefaultDirectRateLimiter)> {
        self.quota.as_ref()
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    credentials: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    name: String,
    organization: String,
    sha256: String,
    priorities: Option<Vec<u8>>,
    events_per_second: Option<std::num::NonZeroU32>,
    burst: Option<std::num::NonZeroU32>,
}

fn read(file: &Path, before: &[Arc<Credential>]) -> Result<Arc<[Arc<Credential>]>, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let written: Written =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut problems = String::new();
    let mut all: Vec<Arc<Credential>> = Vec::new();
    for (index, entry) in written.credentials.into_iter().enumerate() {
        let place = format!("credentials[{index}]");
        match credential(entry) {
            Ok(new) if all.iter().any(|other| other.digest == new.digest || other.name == new.name) => {
                let _ = write!(problems, "\n  {place}: name and token must not be those of an earlier one");
            }
            Ok(new) => {
                let is_same = |old: &&Arc<Credential>| old.is_same(&new);
                all.push(before.iter().find(is_same).cloned().unwrap_or_else(|| Arc::new(new)));
            }
            Err(problem) => {
                let _ = write!(problems, "\n  {place}{problem}");
            }
        }
    }
    if all.is_empty() && problems.is_empty() {
        problems.push_str("\n  credentials: at least one");
    }
    if problems.is_empty() { Ok(all.into()) } else { Err(format!("{}:{problems}", file.display())) }
}

fn credential(entry: Entry) -> Result<Credential, String> {
    let Entry { name, organization, sha256, priorities, events_per_second, burst } = entry;
    for (field, text) in [("name", &name), ("organization", &organization)] {
        if text.trim().is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
            return Err(format!(".{field}: 1 to 128 bytes without control characters"));
        }
    }
    let digest = hex(&sha256).ok_or(".sha256: 64 hexadecimal digits, as of: printf %s TOKEN | sha256sum")?;
    let mut numbers = priorities.unwrap_or_else(|| (1..=10).collect());
    numbers.sort_unstable();
    numbers.dedup();
    let priorities: Option<Vec<Priority>> = numbers.into_iter().map(Priority::new).collect();
    let priorities = priorities.filter(|all| !all.is_empty()).ok_or(".priorities: some of 1 to 10")?;
    if burst.is_some() && events_per_second.is_none() {
        return Err(".burst: only beside eventsPerSecond".to_owned());
    }
    let quota = events_per_second.map(|per_second| {
        let burst = burst.unwrap_or(per_second);
        let limiter = RateLimiter::direct(governor::Quota::per_second(per_second).allow_burst(burst));
        (Quota { per_second, burst }, limiter)
    });
    Ok(Credential { name, organization, digest, priorities, quota })
}

impl Credential {
    fn is_same(&self, other: &Credential) -> bool {
        let quota = |of: &Credential| of.quota.as_ref().map(|(quota, _)| *quota);
        self.name == other.name
            && self.organization == other.organization
            && self.digest == other.digest
            && self.priorities == other.priorities
            && quota(self) == quota(other)
    }
}

/// The 32 bytes that 64 hexadecimal digits are.
fn hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum * 16 + digit)).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}
