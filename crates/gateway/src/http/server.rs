//! The server: bounds the connections, and lets open requests finish at shutdown.
//!
//! A client that holds connections shuts nobody out: when all places are taken, a new connection gets that of the one that has waited
//! longest for a request. What is ended that way, or for being slow, is counted and logged once a second.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::IntCounter;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::connection::{Limited, Phase, Progress};
use super::{BadHost, Peer, router};
use crate::app::App;
use crate::metrics::{Dropped, LISTENERS, Metrics, UNAUTHORIZED_FOR};
use crate::settings::ConnectionLimits;

/// Serves until `stop`, then lets open requests finish within the time of the settings.
///
/// # Errors
/// None in practice: errors of a connection are logged, and after an error of accepting it tries again.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let limits = app.settings.limits;
    let door = Door::new("events", router(app.clone()), limits.connections, &app.metrics);
    let open = door.serve(listener, stop).await;
    app.is_draining.store(true, Ordering::Relaxed);
    tracing::info!(open = open.count(), "draining");
    if tokio::time::timeout(limits.shutdown_timeout, open.shutdown()).await.is_err() {
        tracing::warn!("requests that are still open are given up");
    }
    app.queue.close(limits.shutdown_timeout).await;
    Ok(())
}

/// What stands between a listener and its router.
pub(super) struct Door {
    router: Router,
    limits: ConnectionLimits,
    places: Arc<Places>,
    tally: Tally,
}

impl Door {
    pub(super) fn new(
        name: &'static str,
        router: Router,
        limits: ConnectionLimits,
        metrics: &Arc<Metrics>,
    ) -> Door {
        let tally = Tally { listener: name, metrics: metrics.clone() };
        let places = Arc::new(Places { limits, tally: tally.clone(), taken: Mutex::default() });
        Door { router, limits, places, tally }
    }

    /// Serves until `stop`, and returns the connections that are still open.
    pub(super) async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> GracefulShutdown {
        let connections = GracefulShutdown::new();
        let log = tokio::spawn(self.tally.clone().log());
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => match self.places.take(address) {
                    Some(place) => self.spawn(stream, place, &connections),
                    None => refuse(&stream),
                },
                Err(error) => {
                    // Most likely out of file descriptors: those of connections that wait for nothing are the least loss.
                    tracing::error!(%error, listener = self.tally.listener, "cannot accept a connection");
                    self.places.make_room();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        log.abort();
        connections
    }

    fn spawn(&self, stream: TcpStream, place: Place, connections: &GracefulShutdown) {
        let _ = stream.set_nodelay(true);
        let (router, progress, address) = (self.router.clone(), place.progress.clone(), place.address);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            progress.enter(Phase::Served);
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Peer(address));
            if !has_one_host(&request) {
                request.extensions_mut().insert(BadHost);
            }
            let (router, progress) = (router.clone(), progress.clone());
            async move {
                let answer = router.oneshot(request).await;
                progress.enter(Phase::Idle);
                answer
            }
        });
        let stream = Limited::new(stream, self.limits, place.progress.clone(), self.tally.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .header_read_timeout(None)
            .max_headers(MOST_HEADERS)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let (connection, tally) = (connections.watch(connection), self.tally.clone());
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    if error.is_parse() {
                        tally.dropped(Dropped::BadHeader);
                    }
                    tracing::debug!(%error, %address, "connection ended");
                },
                () = place.progress.evicted.notified() => {}
            }
            drop(place);
        });
    }
}

/// Two hosts could be one to a proxy and the other to us (RFC 9112, section 3.2).
fn has_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// Tells a client that there is no place for it, as far as its socket takes that at once.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
}

/// Counts what a listener does with its connections.
#[derive(Clone)]
pub(super) struct Tally {
    listener: &'static str,
    metrics: Arc<Metrics>,
}

impl Tally {
    pub(super) fn dropped(&self, why: Dropped) {
        self.metrics.dropped(self.listener, why).inc();
    }

    /// Logs once a second who was turned away in it.
    async fn log(self) {
        let mut counters: Vec<(&str, IntCounter)> = Dropped::ALL
            .iter()
            .map(|why| (why.as_str(), self.metrics.dropped(self.listener, *why)))
            .collect();
        // Tokens belong to no listener; one of them tells.
        if self.listener == LISTENERS[0] {
            counters.extend(
                UNAUTHORIZED_FOR.map(|endpoint| ("unauthorized", self.metrics.unauthorized(endpoint))),
            );
        }
        let mut told: Vec<u64> = counters.iter().map(|(_, counter)| counter.get()).collect();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for ((reason, counter), told) in counters.iter().zip(&mut told) {
                let before = std::mem::replace(told, counter.get());
                if *told > before {
                    let (listener, number) = (self.listener, *told - before);
                    tracing::warn!(listener, reason, number, "clients turned away in the last second");
                }
            }
        }
    }
}

/// Who is connected.
struct Places {
    limits: ConnectionLimits,
    tally: Tally,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    /// By address, so that those of one address stand together, and in the order of their coming.
    all: BTreeMap<(IpAddr, u64), Arc<Progress>>,
    by_address: BTreeMap<IpAddr, usize>,
}

/// The place of a connection, free again when this is dropped.
struct Place {
    places: Arc<Places>,
    key: (IpAddr, u64),
    address: SocketAddr,
    progress: Arc<Progress>,
}

impl Places {
    /// A place, if need be that of a connection that waits.
    fn take(self: &Arc<Places>, address: SocketAddr) -> Option<Place> {
        let ip = network(address.ip());
        let mut taken = self.lock();
        let most_per_address = self.limits.most_per_address.min(self.limits.most);
        let has_place = (taken.of(ip) < most_per_address || self.evict(&mut taken, Some(ip)))
            && (taken.all.len() < self.limits.most || self.evict(&mut taken, None));
        if !has_place {
            self.tally.dropped(Dropped::Refused);
            return None;
        }
        taken.next += 1;
        let key = (ip, taken.next);
        let progress = Arc::new(Progress::new());
        taken.all.insert(key, progress.clone());
        *taken.by_address.entry(ip).or_default() += 1;
        self.show(&taken);
        drop(taken);
        Some(Place { places: self.clone(), key, address, progress })
    }

    fn make_room(&self) {
        self.evict(&mut self.lock(), None);
    }

    /// Ends those connections, of one address or of all, that have waited longest for a request: first those that have not sent a
    /// whole header, then those between two requests. Several at once, so that the search is paid for once.
    fn evict(&self, taken: &mut Taken, of: Option<IpAddr>) -> bool {
        let all = match of {
            Some(ip) => taken.all.range((ip, 0)..=(ip, u64::MAX)),
            None => taken.all.range(..),
        };
        let mut waiting: Vec<_> = all
            .map(|(key, progress)| (progress.get(), *key))
            .filter(|((phase, _), _)| *phase != Phase::Served)
            .collect();
        let number = (waiting.len() / EVICTED_AT_ONCE).max(1).min(waiting.len());
        if let Some(last) = number.checked_sub(1) {
            waiting.select_nth_unstable(last);
        }
        for (_, key) in &waiting[..number] {
            if let Some(progress) = taken.remove(*key) {
                progress.evicted.notify_one();
                self.tally.dropped(Dropped::Evicted);
            }
        }
        number > 0
    }

    fn show(&self, taken: &Taken) {
        let number = i64::try_from(taken.all.len()).unwrap_or(i64::MAX);
        self.tally.metrics.connections(self.tally.listener).set(number);
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, ip: IpAddr) -> usize {
        self.by_address.get(&ip).copied().unwrap_or(0)
    }

    fn remove(&mut self, key: (IpAddr, u64)) -> Option<Arc<Progress>> {
        let progress = self.all.remove(&key)?;
        if let Some(number) = self.by_address.get_mut(&key.0) {
            *number -= 1;
            if *number == 0 {
                self.by_address.remove(&key.0);
            }
        }
        Some(progress)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.remove(self.key);
        self.places.show(&taken);
    }
}

/// Whose connections are counted together: those of an address, and of IPv6 those of a /64, which one client can have whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

const MOST_HEADERS: usize = 64;
/// Request line and headers, in bytes; also what a connection reads ahead of a body.
const LONGEST_HEAD: usize = 32 << 10;
/// One in so many of those that wait is ended when there is no place.
const EVICTED_AT_ONCE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: usize, most_per_address: usize) -> Arc<Places> {
        let second = Duration::from_secs(1);
        let limits = ConnectionLimits {
            most,
            most_per_address,
            header_timeout: second,
            keep_alive_timeout: second,
            write_timeout: second,
        };
        let tally = Tally { listener: "events", metrics: Arc::new(Metrics::new(std::iter::empty())) };
        Arc::new(Places { limits, tally, taken: Mutex::default() })
    }

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 1))
    }

    /// Which of the connections have been told to go.
    fn gone(all: &[Place]) -> Vec<usize> {
        let taken = all[0].places.lock();
        (0..all.len()).filter(|index| !taken.all.contains_key(&all[*index].key)).collect()
    }

    #[tokio::test]
    async fn who_waits_for_a_header_goes_before_who_is_idle_and_nobody_who_is_served() {
        let places = places(3, 3);
        let mut all: Vec<Place> = (0..3).map(|host| places.take(from(host)).unwrap()).collect();
        all[0].progress.enter(Phase::Idle);
        all[1].progress.enter(Phase::Served);
        for expected in [vec![2], vec![2, 3], vec![2, 3, 4]] {
            all.push(places.take(from(9)).unwrap());
            assert_eq!(gone(&all), expected);
        }
        all.last().unwrap().progress.enter(Phase::Served);
        all.push(places.take(from(9)).unwrap());
        assert_eq!(gone(&all), [0, 2, 3, 4], "nobody waits for a header");
        all.last().unwrap().progress.enter(Phase::Served);
        assert!(places.take(from(8)).is_none(), "all are served");
        all.remove(1);
        assert!(places.take(from(8)).is_some(), "one has left");
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_loses_only_its_own() {
        let places = places(10, 2);
        let own = |host: &str| SocketAddr::new(host.parse().unwrap(), 1);
        let mut all = vec![places.take(from(7)).unwrap()];
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1:2", "2001:db8:0:1::1", "::ffff:10.0.0.7"]
        {
            all.push(places.take(own(host)).unwrap());
        }
        assert_eq!(gone(&all), [1], "three of one /64");
        all.push(places.take(from(7)).unwrap());
        assert_eq!(gone(&all), [0, 1]);
        all[5].progress.enter(Phase::Served);
        all[6].progress.enter(Phase::Served);
        assert!(places.take(from(7)).is_none());
        assert!(places.take(from(6)).is_some());
        drop(all);
        assert!(places.lock().by_address.is_empty());
    }
}
