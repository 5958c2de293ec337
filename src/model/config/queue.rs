//! The waiting line and its order.

/// The waiting line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Who is served next.
    pub discipline: Discipline,
    /// Most jobs waiting and in service; an arrival beyond is rejected.
    pub capacity: Option<u64>,
    /// BullMQ queues that the jobs are spread over, in turn. Each lives on one shard of Redis; every worker process serves
    /// all of them.
    pub queues: u32,
}

impl Default for Queue {
    /// One line, without a limit.
    fn default() -> Self {
        Self { discipline: Discipline::Fifo, capacity: None, queues: 1 }
    }
}

/// Who is served next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// In order of enqueueing.
    Fifo,
    /// As BullMQ does: the smallest queue priority first, in order of enqueueing within one; service is never interrupted. Priority 0 is a
    /// job without one, which goes before all others.
    Priority,
    /// A line for each lane, served in turn, each as many jobs as its weight (weighted round robin: Katevenis, Sidiropoulos and
    /// Courcoubetis, IEEE JSAC 9(8), 1991).
    Lanes(Vec<Lane>),
}

/// One of several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Name in reports.
    pub name: String,
    /// Jobs that it is served in its turn.
    pub weight: u32,
    /// Classes that wait in it, by index.
    pub classes: Vec<usize>,
}
