//! One connection of a client: how long it may take over a header, over the next request, and over taking an answer.
//!
//! ```text
//! accepted --> header ---------> served --answered--> idle --first byte--> header
//!              HEADER_TIMEOUT    limits of the request        KEEP_ALIVE_TIMEOUT
//! ```
//!
//! The limits are on the socket, below hyper, which has one time limit for a header and the wait before it, and none for writing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::server::Tally;
use crate::metrics::Dropped;
use crate::settings::ConnectionLimits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// A header is coming in.
    Header,
    /// Between two requests.
    Idle,
    /// A request is being worked on.
    Served,
}

/// How far a connection is, for itself and for whoever looks for a place.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    /// The phase, and the milliseconds from `begun` to its beginning, in one word.
    word: AtomicU64,
    /// Whoever needs the place says so here.
    pub(super) evicted: Notify,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { begun: Instant::now(), word: AtomicU64::new(Phase::Header as u64), evicted: Notify::new() }
    }

    /// The phase, and when it began.
    pub(super) fn get(&self) -> (Phase, Instant) {
        let word = self.word.load(Ordering::Relaxed);
        let phase = match word % 4 {
            0 => Phase::Header,
            1 => Phase::Idle,
            _ => Phase::Served,
        };
        (phase, self.begun + Duration::from_millis(word / 4))
    }

    pub(super) fn enter(&self, phase: Phase) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX / 4);
        self.word.store(millis * 4 + phase as u64, Ordering::Relaxed);
    }
}

/// A stream with time limits. An error of the kind `TimedOut` ends it.
pub(super) struct Limited {
    stream: TcpStream,
    limits: ConnectionLimits,
    progress: Arc<Progress>,
    tally: Tally,
    read_alarm: Alarm,
    write_alarm: Alarm,
    /// Since when an answer has not been taken whole.
    writing_since: Option<Instant>,
}

impl Limited {
    pub(super) fn new(
        stream: TcpStream,
        limits: ConnectionLimits,
        progress: Arc<Progress>,
        tally: Tally,
    ) -> Limited {
        let (read_alarm, write_alarm) = Default::default();
        Limited { stream, limits, progress, tally, read_alarm, write_alarm, writing_since: None }
    }

    /// Ends the connection if what it waits for is overdue. The body of a request has limits of its own.
    fn wait_for_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (phase, since) = self.progress.get();
        let limit = match phase {
            Phase::Header => self.limits.header_timeout,
            Phase::Idle => self.limits.keep_alive_timeout,
            Phase::Served => return Poll::Pending,
        };
        ready!(self.read_alarm.poll(since + limit, context));
        if phase == Phase::Header {
            self.tally.dropped(Dropped::SlowHeader);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// As `written`, unless the client has not taken an answer for too long.
    fn wait_for_client<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let since = *self.writing_since.get_or_insert_with(Instant::now);
            ready!(self.write_alarm.poll(since + self.limits.write_timeout, context));
            self.tally.dropped(Dropped::SlowReader);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.wait_for_request(context),
            Poll::Ready(result) => {
                if buffer.filled().len() > before && self.progress.get().0 == Phase::Idle {
                    self.progress.enter(Phase::Header);
                }
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wait_for_client(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wait_for_client(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write: then the answer has been taken.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing_since = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A timer that is set anew only when its moment changes.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(context)
    }
}
