//! One measurement of one pipeline, in a process of its own.
//!
//! It **is** the part of `cargo xtask bench` that runs what is measured: the program `spanwright-bench` takes one sample of one
//! scenario and prints it as a line of JSON. It **is not** a judge: what makes a figure of samples, and what the figures must
//! reach, is in the xtask; `docs/performance.md` explains each of them.
//!
//! ```text
//! spanwright-bench <scenario> --side ours|stock|noop [--endpoint URL] [settings]
//! ```
//!
//! # The main types
//!
//! | for | module |
//! |---|---|
//! | what is measured | `end_to_end`, `feed`, `on_end`, `encode`, `outage`, `sampling`, `tail` |
//! | what it is measured on | `pipelines`: ours, the stock one, and one that drops each span at once; `sink` where there is no receiver |
//! | the long runs of `cargo xtask soak` | `soak` |
//! | what makes the spans | `load` |
//! | what reads the clocks and the memory | `measure` |
//!
//! # Features and MSRV
//!
//! None. Rust 1.88.
#![forbid(unsafe_code)]

mod command;
mod encode;
mod end_to_end;
mod feed;
mod load;
mod measure;
mod on_end;
mod outage;
mod pipelines;
mod sample;
mod sampling;
mod settings;
mod sink;
mod soak;
mod spool;
mod tail;

pub use self::command::{count_allocations, measure};
pub use self::soak::soak;
