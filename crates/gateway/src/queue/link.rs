//! One connection to the Redis of one shard, reopened whenever it is lost.
//!
//! Nothing is sent twice: Redis may have run a command whose answer was lost, and only the sender knows whether repeating it does
//! harm. Without a connection every command fails at once, so that commands do not pile up. On a cluster the link finds the
//! master of its slot, and finds it again when the slot moves.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

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
    /// Consecutive commands without an answer in time.
    silent: AtomicU32,
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
            silent: AtomicU32::new(0),
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
            self.put(Some((generation, connection)));
            self.silent.store(0, Ordering::Relaxed);
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
        let (generation, mut connection) = self.get()?;
        self.heard(generation, command.query_async::<T>(&mut connection).await)
    }

    /// Sends commands in one pipeline. One error fails them all, so use it for reads.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &::redis::Pipeline,
    ) -> Result<T, QueueError> {
        let (generation, mut connection) = self.get()?;
        self.heard(generation, commands.query_async::<T>(&mut connection).await)
    }

    /// Runs a script by its hash, and loads it first if Redis does not know it. Redis runs nothing of an unknown script.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        command: &Cmd,
    ) -> Result<T, QueueError> {
        let (generation, mut connection) = self.get()?;
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
        self.heard(generation, answer)
    }

    fn get(&self) -> Result<(u64, MultiplexedConnection), QueueError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().ok_or_else(|| QueueError::Unavailable("no connection to Redis".to_owned()))
    }

    fn put(&self, connection: Option<(u64, MultiplexedConnection)>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// The result of a command; an error may end the connection.
    fn heard<T>(&self, generation: u64, answer: Result<T, RedisError>) -> Result<T, QueueError> {
        let answer = answer.map_err(|error| self.judge(generation, &error))?;
        // A write invalidates the cache line for all readers.
        if self.silent.load(Ordering::Relaxed) > 0 {
            self.silent.store(0, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// What an error means to the caller and to the connection.
    fn judge(&self, generation: u64, error: &RedisError) -> QueueError {
        let text = error.to_string();
        if error.code() == Some("OOM") || text.contains("OOM command not allowed") {
            return QueueError::Full("Redis is at maxmemory".to_owned());
        }
        let is_silent = error.is_timeout() && {
            let silent = self.silent.fetch_add(1, Ordering::Relaxed) + 1;
            silent >= MOST_SILENT
        };
        // The server became a replica, lost the slot, or goes away: find another one.
        let is_elsewhere = matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ClusterDown
            )
        );
        if is_silent
            || is_elsewhere
            || error.is_connection_dropped()
            || (error.is_io_error() && !error.is_timeout())
        {
            self.lose(generation, &text);
        }
        QueueError::Unavailable(text)
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

const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(1000);
/// Consecutive unanswered commands after which the connection is closed.
const MOST_SILENT: u32 = 32;
