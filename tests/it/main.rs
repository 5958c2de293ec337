//! Behaviour of the whole, one module a topic.

mod report;
