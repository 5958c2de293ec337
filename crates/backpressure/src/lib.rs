//! Admission control for a queue.
#![no_std]
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority(u8);
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// C
    Closed,
    /// H
    HalfOpen,
    /// O
    Open,
}
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config;
