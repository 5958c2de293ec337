//! Admission control for a queue.
#![no_std]
