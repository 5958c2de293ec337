//! The queue of BullMQ on Redis, as a producer and as a reader of its counts.
//!
//! Keys and their meaning are those of BullMQ 5 and 6, observed on the wire. One script call adds a job, and can compare the depth
//! first. A queue lives on one Redis core, so several queues (shards) can share the load: jobs go to them in turn, and each shard
//! compares its own depth with its share of a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use contract::variables::backoff_kind;
use futures_util::future::join_all;

use super::completed::Completed;
use super::link::{Link, Place, Script};
use super::{Counts, Enqueued, Job, Memory, Offer, Queue, QueueError, WorkerInfo};
use crate::settings::{JobBackoff, Keep, RedisSettings};

/// One or more BullMQ queues, used as one.
pub struct RedisQueue {
    shards: Vec<Shard>,
    next: AtomicUsize,
    enqueue: Script,
    counts: Script,
    by_priority: bool,
    /// Options of a job up to its priority, and from there on.
    options: (String, String),
    deduplication_ms: u64,
}

struct Shard {
    link: Arc<Link>,
    /// Its BullMQ name.
    name: String,
    /// Prefix of its keys.
    base: String,
    wait: String,
    /// Prefix of the connection names of its workers.
    client_name: String,
    completed: Completed,
}

impl RedisQueue {
    /// The queue `name`. Returns at once and connects in the background.
    #[must_use]
    pub fn start(settings: &RedisSettings, name: &str) -> RedisQueue {
        let is_tagged = settings.cluster || settings.shards > 1;
        let shards = (0..settings.shards).map(|index| {
            // Braces put all keys of a queue into one slot; workers must use the name with them.
            let name = if is_tagged { format!("{{{name}-{index}}}") } else { name.to_owned() };
            let base = format!("{}:{name}:", settings.prefix);
            let wait = format!("{base}wait");
            let place = Place {
                url: settings.url.clone(),
                slot_key: settings.cluster.then(|| wait.clone()),
                timeout: settings.timeout,
            };
            Shard {
                link: Link::start(place),
                client_name: format!("{}:{}", settings.prefix, base64(name.as_bytes())),
                name,
                base,
                wait,
                completed: Completed::default(),
            }
        });
        let keep = |keep| match keep {
            Keep::All => "false".to_owned(),
            Keep::Latest(0) => "true".to_owned(),
            Keep::Latest(count) => format!("{{\"count\":{count}}}"),
        };
        RedisQueue {
            shards: shards.collect(),
            next: AtomicUsize::new(0),
            enqueue: Script::new(include_str!("enqueue.lua")),
            counts: Script::new(include_str!("counts.lua")),
            by_priority: settings.by_priority,
            options: (
                format!("{{\"attempts\":{}{}", settings.attempts, backoff(settings.backoff)),
                format!(
                    ",\"removeOnComplete\":{},\"removeOnFail\":{}}}",
                    keep(settings.keep_completed),
                    keep(settings.keep_failed)
                ),
            ),
            deduplication_ms: u64::try_from(settings.deduplication.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Waits until all shards are connected, at most for `patience`.
    pub async fn wait(&self, patience: Duration) -> bool {
        join_all(self.shards.iter().map(|shard| shard.link.wait(patience)))
            .await
            .into_iter()
            .all(|is_up| is_up)
    }

    /// The shard of a job. A job with an id always has the same one, so that a second sending is recognised.
    fn shard_of(&self, job: &Job) -> &Shard {
        let number = match &job.id {
            Some(id) => crc32fast::hash(id.as_bytes()) as usize,
            None => self.next.fetch_add(1, Ordering::Relaxed),
        };
        &self.shards[number % self.shards.len()]
    }

    async fn offer(&self, Offer { job, limit }: Offer<'_>) -> Result<Enqueued, QueueError> {
        let shard = self.shard_of(job);
        let mut command = self.enqueue.call(&shard.wait);
        let priority = if self.by_priority { job.priority.get() } else { 0 };
        let (head, tail) = &self.options;
        let options = if priority > 0 {
            format!("{head},\"priority\":{priority}{tail}")
        } else {
            format!("{head}{tail}")
        };
        command.arg(&job.name).arg(&job.data).arg(options).arg(job.timestamp_ms).arg(priority);
        match limit {
            Some(limit) => command.arg(limit / self.parts()),
            None => command.arg(""),
        };
        command.arg(job.id.as_deref().unwrap_or("")).arg(self.deduplication_ms);
        let (code, id, depth): (u8, String, u64) = shard.link.run(&self.enqueue, &command).await?;
        Ok(match code {
            1 => Enqueued::Added { id, depth },
            2 => Enqueued::Duplicate { id },
            _ => Enqueued::Refused { depth },
        })
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn depth(&self) -> Result<u64, QueueError> {
        let depths = self.shards.iter().map(async |shard| {
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
        let counts = self.shards.iter().map(async |shard| {
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
                completed_total: shard.completed.count(added, completed_total),
                is_paused: is_paused > 0,
            })
        });
        join_all(counts).await.into_iter().try_fold(Counts::default(), |sum, counts| Ok(sum.plus(counts?)))
    }

    async fn enqueue(&self, offers: &[Offer<'_>]) -> Vec<Result<Enqueued, QueueError>> {
        match offers {
            [offer] => vec![self.offer(*offer).await],
            // They are pipelined in order, and Redis runs them in that order.
            offers => join_all(offers.iter().map(|offer| self.offer(*offer))).await,
        }
    }

    async fn memory(&self) -> Result<Memory, QueueError> {
        let memories = self.shards.iter().map(async |shard| {
            let info: String = shard.link.ask(::redis::cmd("INFO").arg("memory")).await?;
            let field = |name: &str| {
                info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
            };
            let number = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
            let policy = field("maxmemory_policy").unwrap_or("noeviction");
            Ok(Memory {
                used: number("used_memory"),
                max: number("maxmemory"),
                evicts: (policy != "noeviction").then(|| policy.to_owned()),
            })
        });
        let mut fullest = Memory::default();
        for memory in join_all(memories).await {
            let memory: Memory = memory?;
            // A store without a limit is the fullest only if it is the only one.
            let share = |of: &Memory| if of.max == 0 { 0.0 } else { of.used as f64 / of.max as f64 };
            let evicts = fullest.evicts.take().or_else(|| memory.evicts.clone());
            if fullest.used == 0 || share(&memory) > share(&fullest) {
                fullest = memory;
            }
            fullest.evicts = evicts;
        }
        Ok(fullest)
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let lists = self.shards.iter().map(async |shard| {
            let clients: String = shard.link.ask(::redis::cmd("CLIENT").arg("LIST")).await?;
            Ok(clients.lines().filter_map(|line| shard.worker(line)).collect::<Vec<_>>())
        });
        join_all(lists).await.into_iter().try_fold(Vec::new(), |mut all, list| {
            let list: Result<_, QueueError> = list;
            all.extend(list?);
            Ok(all)
        })
    }

    fn is_connected(&self) -> bool {
        self.shards.iter().all(|shard| shard.link.is_connected())
    }

    fn parts(&self) -> u64 {
        self.shards.len() as u64
    }

    async fn close(&self, _patience: Duration) {}
}

impl Shard {
    /// The worker on one line of `CLIENT LIST`, if any: BullMQ names exactly one connection of each worker.
    fn worker(&self, line: &str) -> Option<WorkerInfo> {
        let field = |name: &str| line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let rest = field("name")?.strip_prefix(&self.client_name)?;
        let name = if rest.is_empty() { None } else { Some(rest.strip_prefix(":w:")?.to_owned()) };
        let seconds = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(WorkerInfo {
            id: field("id").unwrap_or_default().to_owned(),
            name,
            queue: self.name.clone(),
            age_seconds: seconds("age"),
            idle_seconds: seconds("idle"),
        })
    }
}

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
