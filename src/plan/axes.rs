//! The grid of those who bring none: around what the load needs.
