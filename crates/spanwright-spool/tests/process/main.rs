//! Real processes on a real disk: killed at any moment, several on one directory.

mod child;
mod kill;
mod shared;
#[path = "../support/mod.rs"]
mod support;
