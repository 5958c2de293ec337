//! Ids of jobs: unique over gateways, restarts and shards, and as short as that allows, since Redis keeps each of them several times.
//!
//! ```text
//! Qx3kPz9a 0Gf2       an instance, its number of the job      12 to 14 characters: one size class of Redis' allocator
//! k 5hG...            a hash of organization and key          18 characters: the same for every sending with that key
//! ```
//!
//! BullMQ allows neither plain numbers nor ':' in ids that it has not given itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives ids to the jobs of one gateway.
pub struct Ids {
    instance: String,
    next: AtomicU64,
}

impl Ids {
    /// Ids of an instance; `instance` is random.
    #[must_use]
    pub fn new(instance: u64) -> Ids {
        let letter = char::from(DIGITS[10 + (instance % 52) as usize]);
        let rest = base62((instance / 52).into(), INSTANCE - 1);
        Ids { instance: format!("{letter}{rest}"), next: AtomicU64::new(0) }
    }

    /// The next id.
    #[must_use]
    pub fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let digits = 1 + number.checked_ilog(62).unwrap_or(0) as usize;
        // The queue keeps ids that differ in their last three characters together, so there are always more than three.
        self.instance.clone() + &base62(number.into(), digits.max(LEAST_DIGITS))
    }
}

/// The id of every job that an organization sends with that key. A hash without known second preimages, so that no organization
/// can take away the job of another; 96 bits of it, so that among a billion keys two are equal with a probability of 1e-11.
#[must_use]
pub fn of_key(organization: Option<&str>, key: &str) -> String {
    let mut hash = sha1_smol::Sha1::new();
    // The length in front keeps "a" + "bc" apart from "ab" + "c", and no organization apart from an empty one.
    hash.update(&organization.map_or(u64::MAX, |name| name.len() as u64).to_be_bytes());
    hash.update(organization.unwrap_or_default().as_bytes());
    hash.update(key.as_bytes());
    let mut bytes = [0; 16];
    bytes[4..].copy_from_slice(&hash.digest().bytes()[..12]);
    format!("k{}", base62(u128::from_be_bytes(bytes), KEY_DIGITS))
}

/// The last `digits` digits of a number.
fn base62(mut number: u128, digits: usize) -> String {
    let mut text = vec![b'0'; digits];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8(text).expect("digits are ASCII")
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of an instance: 47 bits, so that of a thousand starts two are equal with a probability of 3e-9.
const INSTANCE: usize = 8;
const LEAST_DIGITS: usize = 4;
/// 62^17 is more than 2^96.
const KEY_DIGITS: usize = 17;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_stay_short_and_are_no_numbers() {
        let (a, b) = (Ids::new(7), Ids::new(7 + 52));
        let mut all = BTreeSet::new();
        for _ in 0..70_000 {
            for ids in [&a, &b] {
                let id = ids.next();
                assert!(id.len() == 12 && id.starts_with(|c: char| c.is_ascii_alphabetic()), "{id}");
                assert!(all.insert(id));
            }
        }
        a.next.store(62_u64.pow(6) - 1, Ordering::Relaxed);
        assert_eq!(a.next().len(), 14);
        assert_eq!(a.next().len(), 15, "it grows rather than begins again");
    }

    #[test]
    fn a_key_is_that_of_its_organization() {
        let ids = [
            of_key(Some("a"), "bc"),
            of_key(Some("ab"), "c"),
            of_key(None, "abc"),
            of_key(Some(""), "abc"),
            of_key(Some("a"), "bd"),
        ];
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 18 && id.starts_with('k')));
        assert_eq!(of_key(Some("a"), "bc"), ids[0]);
    }

    #[test]
    fn base_62_is_positional() {
        for (number, text) in
            [(0, "000"), (61, "00z"), (62, "010"), (62 * 62, "100"), (62 * 62 * 62 + 1, "001")]
        {
            assert_eq!(base62(number, 3), text);
        }
    }
}
