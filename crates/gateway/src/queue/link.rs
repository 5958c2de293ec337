//! One connection to the Redis of one shard, reopened whenever it is lost.
//!
//! Nothing is sent twice: Redis may have run a command whose answer was lost, and only the sender knows whether repeating it does
//! harm. So an error says whether the command certainly did nothing. Without a connection every command fails at once. On a cluster the link finds the
//! master of its slot, and finds it again when the slot moves.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, RedisError, ServerErrorKind, Value, from_redis_value_ref,
};
use tokio::sync::Notify;

use super::QueueError;

/// Where the Redis of a link is.
#[derive(Clone)]
pub(super) struct Place {
    /// Of one server, or of any node of the cluster.
    pub(super) url: String,
    /// A key of the slot, on a cluster.
    pub(super) slot_key: Option<String>,
    pub(super) timeout: Duration,
}

/// The connection, or the lack of it.
pub(super) struct Link {
    place: Place,
    current: RwLock<Option<(u64, MultiplexedConnection)>>,
    started: Instant,
    /// When Redis last answered anything, in nanoseconds since then.
    heard: AtomicU64,
    /// When the connection was opened, likewise.
    opened: AtomicU64,
    lost: Notify,
    connected: Notify,
    /// Nodes of the cluster, as last reported.
    nodes: Mutex<Vec<Node>>,
}

impl Link {
    /// A link that reconnects until the runtime ends.
    pub(super) fn start(place: Place) -> Arc<Link> {
        let link = Arc::new(Link {
            place,
            current: RwLock::new(None),
            started: Instant::now(),
            heard: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            lost: Notify::new(),
            connected: Notify::new(),
            nodes: Mutex::default(),
        });
        tokio::spawn(link.clone().keep_up());
        link
    }

    async fn keep_up(self: Arc<Link>) {
        let mut wait = SHORTEST_WAIT;
        let mut is_told = false;
        for generation in 1.. {
            let connection = loop {
                match self.connect().await {
                    Ok(connection) => break connection,
                    Err(error) => {
                        if !std::mem::replace(&mut is_told, true) {
                            tracing::error!(%error, "cannot connect to Redis; still trying");
                        }
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                }
            };
            self.opened.store(self.now(), Ordering::Relaxed);
            self.put(Some((generation, connection)));
            tracing::info!(generation, "connected to Redis");
            (wait, is_told) = (SHORTEST_WAIT, false);
            self.connected.notify_waiters();
            self.lost.notified().await;
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Waits for a connection, at most for `patience`.
    pub(super) async fn wait(&self, patience: Duration) -> bool {
        let connected = self.connected.notified();
        self.is_connected() || tokio::time::timeout(patience, connected).await.is_ok()
    }

    /// Sends one command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        let (sent, mut connection) = self.get()?;
        self.heard(sent, command.query_async::<T>(&mut connection).await)
    }

    /// Sends commands in one pipeline. One error fails them all, so use it for reads.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &::redis::Pipeline,
    ) -> Result<T, QueueError> {
        let (sent, mut connection) = self.get()?;
        self.heard(sent, commands.query_async::<T>(&mut connection).await)
    }

    /// Runs a script by its hash, and loads it first if Redis does not know it. Redis runs nothing of an unknown script.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        command: &Cmd,
    ) -> Result<T, QueueError> {
        let (sent, mut connection) = self.get()?;
        let mut answer = command.query_async::<T>(&mut connection).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            let load = ::redis::cmd("SCRIPT").arg("LOAD").arg(script.code).to_owned();
            answer = match load.query_async::<String>(&mut connection).await {
                Ok(_) => command.query_async::<T>(&mut connection).await,
                Err(error) => Err(error),
            };
        }
        self.heard(sent, answer)
    }

    fn get(&self) -> Result<(Sent, MultiplexedConnection), QueueError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let no_connection = || QueueError::Unavailable("no connection to Redis".to_owned());
        let (generation, connection) = current.clone().ok_or_else(no_connection)?;
        Ok((Sent { generation, at: self.now() }, connection))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn put(&self, connection: Option<(u64, MultiplexedConnection)>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// The result of a command; an error may end the connection.
    fn heard<T>(&self, sent: Sent, answer: Result<T, RedisError>) -> Result<T, QueueError> {
        match answer {
            Ok(answer) => {
                self.heard.store(self.now(), Ordering::Relaxed);
                Ok(answer)
            }
            Err(error) => Err(self.judge(sent, &error)),
        }
    }

    /// What an error means to the caller and to the connection.
    fn judge(&self, sent: Sent, error: &RedisError) -> QueueError {
        let text = error.to_string();
        // Before version 7 Redis puts the error of a script's command into a text of its own.
        let is = |code: &str| error.code() == Some(code) || text.contains(&format!("-{code} "));
        let is_elsewhere = ELSEWHERE.into_iter().any(is);
        // The server became a replica, lost the slot, or goes away: find another one. But if this is what was found just now, there
        // is no other yet.
        let is_to_be_left =
            is_elsewhere && self.now().saturating_sub(self.opened.load(Ordering::Relaxed)) > SHORTEST_STAY;
        // Answers come in the order of the commands, so a server that answered others meanwhile is slow, and one that answered
        // nothing is asked whether it lives, on a new connection, before it is sent anything more.
        let is_silent = error.is_timeout() && self.heard.load(Ordering::Relaxed) < sent.at;
        let is_broken = error.is_connection_dropped() || (error.is_io_error() && !error.is_timeout());
        if is_silent || is_to_be_left || is_broken {
            self.lose(sent.generation, &text);
        } else if !error.is_timeout() {
            self.heard.store(self.now(), Ordering::Relaxed);
        }
        if is("HALFDONE") {
            QueueError::Unknown(text)
        } else if DENIED.into_iter().any(|words| text.contains(words)) {
            QueueError::Denied(text)
        } else if is("OOM") {
            QueueError::Full("Redis is at maxmemory".to_owned())
        } else if is_elsewhere || REFUSED.into_iter().any(is) {
            QueueError::Unavailable(text)
        } else {
            QueueError::Unknown(text)
        }
    }

    fn lose(&self, generation: u64, why: &str) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(number, _)| *number == generation) {
            *current = None;
            tracing::warn!(generation, why, "connection to Redis closed");
            self.lost.notify_one();
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let seed = self.place.url.as_str().into_connection_info()?;
        let Some(key) = &self.place.slot_key else { return self.open(seed).await };
        // The node in the settings may be the one that is gone.
        let known = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let others = known.into_iter().map(|node| at(&seed, node));
        let mut last = None;
        for candidate in std::iter::once(seed.clone()).chain(others) {
            let found = async { self.at_master_of(key, &seed, self.open(candidate).await?).await };
            match found.await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("the seed at least was tried"))
    }

    async fn open(&self, node: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.place.timeout))
            .set_response_timeout(Some(self.place.timeout))
            .set_pipeline_buffer_size(1024);
        let client = Client::open(node)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // A server that loads or hangs does not count as connected.
        ::redis::cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(connection)
    }

    /// Connects to the master of the slot of `key` that `node` reports, and remembers the other nodes.
    async fn at_master_of(
        &self,
        key: &str,
        seed: &ConnectionInfo,
        mut node: MultiplexedConnection,
    ) -> Result<MultiplexedConnection, RedisError> {
        let slot: u16 = ::redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut node).await?;
        let answer: Vec<Value> = ::redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut node).await?;
        let ranges: Vec<(RangeInclusive<u16>, Vec<Node>)> = answer.iter().filter_map(slot_range).collect();
        let mut nodes: Vec<Node> = ranges.iter().flat_map(|(_, nodes)| nodes.clone()).collect();
        nodes.sort();
        nodes.dedup();
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
        let master = ranges.into_iter().find(|(slots, _)| slots.contains(&slot));
        match master.and_then(|(_, nodes)| nodes.into_iter().next()) {
            Some(master) => self.open(at(seed, master)).await,
            None => Err((ErrorKind::Client, "no node of the cluster serves the slot of the queue").into()),
        }
    }
}

/// Host and port.
type Node = (String, u16);

/// `seed` with another address: the same user, password and encryption.
fn at(seed: &ConnectionInfo, (host, port): Node) -> ConnectionInfo {
    let address = match seed.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    seed.clone().set_addr(address)
}

/// One entry of `CLUSTER SLOTS`: first slot, last slot, the master, its replicas.
fn slot_range(entry: &Value) -> Option<(RangeInclusive<u16>, Vec<Node>)> {
    let Value::Array(parts) = entry else { return None };
    let [first, last, nodes @ ..] = &parts[..] else { return None };
    let node = |node: &Value| {
        let Value::Array(fields) = node else { return None };
        let [host, port, ..] = &fields[..] else { return None };
        Some((from_redis_value_ref(host).ok()?, from_redis_value_ref(port).ok()?))
    };
    let slots = from_redis_value_ref(first).ok()?..=from_redis_value_ref(last).ok()?;
    Some((slots, nodes.iter().filter_map(node).collect()))
}

/// A script and its hash.
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Script {
        Script { code, hash: ::redis::Script::new(code).get_hash().to_owned() }
    }

    /// A call with one key; the caller adds arguments.
    pub(super) fn call(&self, key: &str) -> Cmd {
        ::redis::cmd("EVALSHA").arg(&self.hash).arg(1).arg(key).to_owned()
    }
}

/// When a command was sent, and on which connection.
#[derive(Clone, Copy)]
struct Sent {
    generation: u64,
    /// Nanoseconds since the start of the link.
    at: u64,
}

const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// Nanoseconds.
const SHORTEST_STAY: u64 = 500_000_000;
const LONGEST_WAIT: Duration = Duration::from_millis(1000);
/// Errors of a server that is not, or no longer, the one to ask.
const ELSEWHERE: [&str; 5] = ["READONLY", "MOVED", "ASK", "MASTERDOWN", "CLUSTERDOWN"];
/// Further errors with which Redis runs nothing, or a script undoes what it did.
const REFUSED: [&str; 8] =
    ["BUSY", "LOADING", "MISCONF", "NOAUTH", "NOREPLICAS", "NOSCRIPT", "TRYAGAIN", "WRONGTYPE"];
/// How Redis says that the access list does not allow it: of a command, and of one in a script before 7, in 7.0 and from 7.2 on.
const DENIED: [&str; 4] =
    ["NOPERM", "no permissions", "The user executing the script can't", "ACL failure in script"];
