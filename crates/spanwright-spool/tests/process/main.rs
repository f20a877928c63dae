//! Real processes on a real disk: killed at any moment, several on one directory.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod child;
mod kill;
mod shared;
#[path = "../support/mod.rs"]
mod support;
