//! The log on a file system in memory, step by step.

mod bound;
mod damage;
mod faults;
mod model;
mod recovery;
mod support;
