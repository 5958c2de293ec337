//! The queue of BullMQ on Redis, as a producer and as a reader of its counts.
//!
//! Keys and their meaning are those of BullMQ 5 and 6, observed on the wire. One script call adds jobs of many requests, and can
//! compare the depth first; [`super::line`] puts calls together. A queue lives on one Redis core, so several queues (shards) can share
//! the load: the id of a job tells its shard, and each shard compares its own depth with its share of a limit.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backpressure::Priority;
use contract::variables::backoff_kind;
use futures_util::future::join_all;

use super::completed::Completed;
use super::line::{Carrier, Line};
use super::link::{Link, Place, Script};
use super::{Counts, Enqueued, Memory, Offer, Queue, QueueError, Repeat, WorkerInfo};
use crate::settings::{JobBackoff, Keep, RedisSettings};
use crate::status;

/// One or more BullMQ queues, used as one.
pub struct RedisQueue {
    settings: RedisSettings,
    name: String,
    lines: Vec<Arc<Line<Shard>>>,
    counts: Script,
}

struct Shard {
    link: Arc<Link>,
    /// Its BullMQ name.
    name: String,
    /// Prefix of its keys.
    base: String,
    wait: String,
    /// Prefix of the connection names of its workers, and of those of BullMQ for Python.
    client_name: String,
    plain_name: String,
    completed: Arc<Completed>,
    enqueue: Script,
    manner: Arc<Manner>,
    /// Ids that Redis need not remember any more: their jobs are answered, so the gateway sends them no second time.
    answered: Mutex<Vec<String>>,
    /// Whether the access list of Redis did not let the last jobs in.
    is_denied: AtomicBool,
}

/// What all calls have in common.
struct Manner {
    by_priority: bool,
    /// Options of a job up to its priority, and from there on.
    options: (String, String),
    /// How long ids of jobs without an answer are remembered.
    unanswered_ms: u64,
    /// Half the window of keys.
    generation_ms: u64,
    /// Keys in the window, in one shard.
    most_keys: u64,
    shards: u64,
}

impl RedisQueue {
    /// The queue `name`. Returns at once and connects in the background.
    #[must_use]
    pub fn start(settings: &RedisSettings, name: &str) -> RedisQueue {
        let completed = (0..settings.shards).map(|_| Arc::default());
        RedisQueue::start_with(settings, name, completed.collect())
    }

    /// As [`Self::start`], with the counts of completed jobs of its shards.
    fn start_with(settings: &RedisSettings, name: &str, completed: Vec<Arc<Completed>>) -> RedisQueue {
        let shards = u64::from(settings.shards);
        let manner = Arc::new(Manner {
            by_priority: settings.by_priority,
            options: (
                format!("{{\"attempts\":{}{}", settings.attempts, backoff(settings.backoff)),
                format!(
                    ",\"removeOnComplete\":{},\"removeOnFail\":{}}}",
                    keep(settings.keep_completed),
                    keep(settings.keep_failed)
                ),
            ),
            unanswered_ms: milliseconds(settings.deduplication),
            generation_ms: milliseconds(settings.idempotency.window).div_ceil(2),
            most_keys: settings.idempotency.most_keys.div_ceil(shards),
            shards,
        });
        let is_tagged = settings.cluster || settings.shards > 1;
        let lines = (0..settings.shards).zip(completed).map(|(index, completed)| {
            // Braces put all keys of a queue into one slot; workers must use the name with them.
            let name = if is_tagged { format!("{{{name}-{index}}}") } else { name.to_owned() };
            let base = format!("{}:{name}:", settings.prefix);
            let wait = format!("{base}wait");
            let place = Place {
                url: settings.url.clone(),
                slot_key: settings.cluster.then(|| wait.clone()),
                timeout: settings.timeout,
            };
            let shard = Shard {
                link: Link::start(place),
                client_name: format!("{}:{}", settings.prefix, base64(name.as_bytes())),
                plain_name: format!("{}:{name}", settings.prefix),
                name,
                base,
                wait,
                completed,
                enqueue: Script::new(include_str!("enqueue.lua")),
                manner: manner.clone(),
                answered: Mutex::default(),
                is_denied: AtomicBool::new(false),
            };
            let line = Line::start(shard, settings.line);
            tokio::spawn(forget_when_idle(line.clone()));
            line
        });
        RedisQueue {
            settings: settings.clone(),
            name: name.to_owned(),
            lines: lines.collect(),
            counts: Script::new(include_str!("counts.lua")),
        }
    }

    /// Waits until all shards are connected, at most for `patience`.
    pub async fn wait(&self, patience: Duration) -> bool {
        join_all(self.shards().map(|shard| shard.link.wait(patience))).await.into_iter().all(|is_up| is_up)
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.lines.iter().map(|line| line.carrier())
    }

    /// The number of the shard of a job: always the same for one id, so that a second sending is recognised.
    fn shard_of(&self, id: &str) -> usize {
        crc32fast::hash(id.as_bytes()) as usize % self.lines.len()
    }
}

#[async_trait]
impl Carrier for Shard {
    async fn carry(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
        let forgotten = self.take_answered();
        let command = self.command(offers, &forgotten);
        let (mut depth, codes): (u64, String) = match self.link.run(&self.enqueue, &command).await {
            Ok(answer) => answer,
            Err(error) => {
                if let QueueError::Denied(why) = &error {
                    self.denied(why);
                }
                self.lock_answered().extend(forgotten);
                return vec![Err(error); offers.len()];
            }
        };
        let answer = |code: u8| match code {
            b'1' => {
                depth += 1;
                Ok(Enqueued::Added { depth: depth - 1 })
            }
            b'2' => Ok(Enqueued::Duplicate),
            b'3' => Ok(Enqueued::TooManyKeys),
            b'4' => Err(QueueError::Full("Redis is at maxmemory".to_owned())),
            _ => Ok(Enqueued::Refused { depth }),
        };
        let answers: Vec<Result<Enqueued, QueueError>> = codes.bytes().map(answer).collect();
        if answers.iter().any(|answer| matches!(answer, Ok(Enqueued::Added { .. }))) {
            self.is_denied.store(false, Ordering::Relaxed);
        }
        let is_in_queue = |answer: &Result<Enqueued, QueueError>| {
            matches!(answer, Ok(Enqueued::Added { .. } | Enqueued::Duplicate))
        };
        if answers.iter().any(Result::is_err) {
            self.lock_answered().extend(forgotten);
        }
        let is_of_gateway = |offer: &Offer| matches!(offer.repeat, Repeat::Gateway | Repeat::Again);
        let answered = offers
            .iter()
            .zip(&answers)
            .filter(|(offer, answer)| is_of_gateway(offer) && is_in_queue(answer))
            .map(|(offer, _)| offer.job.id.clone());
        self.lock_answered().extend(answered);
        answers
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn depth(&self) -> Result<u64, QueueError> {
        let depths = self.shards().map(async |shard| {
            let mut lengths = ::redis::pipe();
            lengths.cmd("LLEN").arg(&shard.wait);
            lengths.cmd("LLEN").arg(format!("{}paused", shard.base));
            lengths.cmd("LLEN").arg(format!("{}active", shard.base));
            lengths.cmd("ZCARD").arg(format!("{}prioritized", shard.base));
            let lengths: [u64; 4] = shard.link.ask_all(&lengths).await?;
            Ok(lengths.iter().sum::<u64>())
        });
        join_all(depths).await.into_iter().sum()
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let counts = self.shards().map(async |shard| {
            let begun = Instant::now();
            let answer: Vec<u64> = shard.link.run(&self.counts, &self.counts.call(&shard.wait)).await?;
            let [
                wait,
                paused,
                prioritized,
                active,
                delayed,
                completed,
                failed,
                children,
                is_paused,
                added,
                failed_ever,
            ] = answer[..]
            else {
                return Err(QueueError::Unavailable("counts of another shape".to_owned()));
            };
            let in_system = wait + paused + prioritized + active + delayed + children;
            // Jobs that were added and are neither in the queue nor failed are completed. Failed jobs that are no longer kept are known
            // only if workers count them.
            let completed_total = added.saturating_sub(in_system + failed.max(failed_ever)).max(completed);
            Ok(Counts {
                wait,
                paused,
                prioritized,
                active,
                delayed,
                completed,
                failed,
                completed_total: shard.completed.count(begun, added, completed_total),
                is_paused: is_paused > 0,
            })
        });
        join_all(counts).await.into_iter().try_fold(Counts::default(), |sum, counts| Ok(sum.plus(counts?)))
    }

    async fn enqueue(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
        if let [line] = &self.lines[..] {
            return line.pass(offers.to_vec()).await;
        }
        let mut shares: Vec<Vec<Offer>> = vec![Vec::new(); self.lines.len()];
        let homes: Vec<usize> = offers.iter().map(|offer| self.shard_of(&offer.job.id)).collect();
        for (offer, home) in offers.iter().zip(&homes) {
            shares[*home].push(offer.clone());
        }
        let answers = join_all(self.lines.iter().zip(shares).map(|(line, share)| line.pass(share))).await;
        let mut answers: Vec<_> = answers.into_iter().map(Vec::into_iter).collect();
        homes.into_iter().map(|home| answers[home].next().expect("an answer for each offer")).collect()
    }

    async fn memory(&self) -> Result<Memory, QueueError> {
        let memories = self.shards().map(async |shard| {
            let mut sections = ::redis::pipe();
            sections.cmd("INFO").arg("memory").cmd("INFO").arg("replication");
            let sections: [String; 2] = shard.link.ask_all(&sections).await?;
            let info = sections.concat();
            let field = |name: &str| {
                info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
            };
            let number = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
            let policy = field("maxmemory_policy").unwrap_or("noeviction");
            Ok(Memory {
                used: number("used_memory"),
                max: number("maxmemory"),
                evicts: (policy != "noeviction").then(|| policy.to_owned()),
                is_read_only: field("role") == Some("slave") && field("slave_read_only") != Some("0"),
            })
        });
        let mut fullest = Memory::default();
        for memory in join_all(memories).await {
            let memory: Memory = memory?;
            // A store without a limit is the fullest only if it is the only one.
            let share = |of: &Memory| if of.max == 0 { 0.0 } else { of.used as f64 / of.max as f64 };
            let evicts = fullest.evicts.take().or_else(|| memory.evicts.clone());
            let is_read_only = fullest.is_read_only || memory.is_read_only;
            if fullest.used == 0 || share(&memory) > share(&fullest) {
                fullest = memory;
            }
            (fullest.evicts, fullest.is_read_only) = (evicts, is_read_only);
        }
        Ok(fullest)
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let lists = self.shards().map(async |shard| {
            let clients: String = shard.link.ask(::redis::cmd("CLIENT").arg("LIST")).await?;
            Ok((shard, clients))
        });
        let mut workers = Vec::new();
        // A worker without a name is in the list of each shard that its Redis has.
        let mut seen = BTreeSet::new();
        for list in join_all(lists).await {
            let (shard, clients): (&Shard, String) = list?;
            for client in shard.workers(&clients) {
                let place = [client.field("laddr"), client.field("id")].map(|part| part.map(str::to_owned));
                if seen.insert(place) {
                    workers.push(shard.describe(client));
                }
            }
        }
        Ok(workers)
    }

    fn is_connected(&self) -> bool {
        self.shards().all(|shard| shard.link.is_connected())
    }

    fn is_denied(&self) -> bool {
        self.shards().any(|shard| shard.is_denied.load(Ordering::Relaxed))
    }

    fn reader(&self, patience: Duration) -> Option<Arc<dyn Queue>> {
        let settings =
            RedisSettings { timeout: self.settings.timeout.min(patience), ..self.settings.clone() };
        let completed = self.shards().map(|shard| shard.completed.clone()).collect();
        Some(Arc::new(RedisQueue::start_with(&settings, &self.name, completed)))
    }

    fn parts(&self) -> u64 {
        self.lines.len() as u64
    }

    async fn close(&self, patience: Duration) {
        let forgotten = join_all(self.shards().map(Shard::forget_answered));
        // Otherwise they expire.
        let _ = tokio::time::timeout(patience, forgotten).await;
    }
}

impl Shard {
    /// The call of the script.
    fn command(&self, offers: &[Offer], forgotten: &[String]) -> ::redis::Cmd {
        let Manner { by_priority, options: (head, tail), unanswered_ms, generation_ms, most_keys, shards } =
            &*self.manner;
        let mut command = self.enqueue.call(&self.wait);
        command.arg(head).arg(tail).arg(unanswered_ms).arg(generation_ms).arg(most_keys);
        command.arg(forgotten.len()).arg(forgotten);
        for Offer { job, limit, repeat } in offers {
            let urgent = job.priority == Priority::MOST_URGENT;
            command.arg(&job.id).arg(&job.name).arg(&job.data).arg(job.timestamp_ms);
            command.arg(if *by_priority { job.priority.get() } else { 0 });
            match limit {
                Some(limit) => command.arg(limit / shards),
                None => command.arg(""),
            };
            command.arg(match repeat {
                Repeat::Never => "0",
                Repeat::Gateway => "1",
                Repeat::Client if urgent => "4",
                Repeat::Client => "2",
                Repeat::Again => "3",
            });
        }
        command
    }

    fn denied(&self, why: &str) {
        if !self.is_denied.swap(true, Ordering::Relaxed) {
            tracing::error!(why, queue = self.name, "Redis: {}", status::NO_JOBS);
        }
    }

    /// Some of the ids that Redis need not remember any more.
    fn take_answered(&self) -> Vec<String> {
        let mut answered = self.lock_answered();
        // Those that Redis could not be told for long expire there by themselves.
        answered.truncate(MOST_ANSWERED);
        let rest = answered.len().saturating_sub(FORGOTTEN_AT_A_TIME);
        answered.split_off(rest)
    }

    /// Lets Redis forget ids also when no event comes after them.
    async fn forget_answered(&self) {
        let left = || self.lock_answered().len();
        let mut before = usize::MAX;
        while (1..before).contains(&left()) {
            before = left();
            self.carry(&[]).await;
        }
    }

    fn lock_answered(&self) -> MutexGuard<'_, Vec<String>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines of `CLIENT LIST` that stand for a worker each.
    ///
    /// BullMQ names one connection of each worker. BullMQ for Python names all of them, in plain text, or before version 3 none; but on
    /// one it does nothing but wait for jobs. A worker that had no time to wait yet has no such connection: of those it is only
    /// certain that there is one. For a connection without a name Redis does not tell which queue it waits for.
    fn workers<'a>(&self, clients: &'a str) -> Vec<ClientLine<'a>> {
        let is_waiting = |client: &ClientLine<'_>| client.field("cmd") == Some("bzpopmin");
        let of_name = |client: &ClientLine<'_>, own: &str| {
            let rest = client.field("name").and_then(|name| name.strip_prefix(own));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(":w:"))
        };
        let (mut workers, mut python) = (Vec::new(), Vec::new());
        for client in clients.lines().map(ClientLine) {
            let is_nameless = client.field("name") == Some("");
            if of_name(&client, &self.client_name) || (is_nameless && is_waiting(&client)) {
                workers.push(client);
            } else if of_name(&client, &self.plain_name) {
                python.push(client);
            }
        }
        if python.iter().any(is_waiting) {
            python.retain(is_waiting);
        } else {
            python.truncate(1);
        }
        workers.extend(python);
        workers
    }

    fn describe(&self, client: ClientLine<'_>) -> WorkerInfo {
        let seconds = |name| client.field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let name = client.field("name").and_then(|name| name.split_once(":w:"));
        WorkerInfo {
            id: client.field("id").unwrap_or_default().to_owned(),
            name: name.map(|(_, own)| own.to_owned()),
            queue: self.name.clone(),
            age_seconds: seconds("age"),
            idle_seconds: seconds("idle"),
        }
    }
}

/// A line of `CLIENT LIST`.
#[derive(Clone, Copy)]
struct ClientLine<'a>(&'a str);

impl<'a> ClientLine<'a> {
    fn field(self, name: &str) -> Option<&'a str> {
        self.0.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

async fn forget_when_idle(line: Arc<Line<Shard>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        line.carrier().forget_answered().await;
    }
}

fn keep(keep: Keep) -> String {
    match keep {
        Keep::All => "false".to_owned(),
        Keep::Latest(0) => "true".to_owned(),
        Keep::Latest(count) => format!("{{\"count\":{count}}}"),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const IDLE: Duration = Duration::from_secs(1);
/// More than a call adds, so that the rest shrinks.
const FORGOTTEN_AT_A_TIME: usize = 256;
const MOST_ANSWERED: usize = 65_536;

/// BullMQ's option for the pause before a further attempt.
fn backoff(backoff: Option<JobBackoff>) -> String {
    let Some(JobBackoff { pause, doubles }) = backoff else { return String::new() };
    let kind = if doubles { backoff_kind::EXPONENTIAL } else { backoff_kind::FIXED };
    format!(",\"backoff\":{{\"type\":\"{kind}\",\"delay\":{}}}", pause.as_millis())
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(b"rule-engine-events"), "cnVsZS1lbmdpbmUtZXZlbnRz");
    }
}
