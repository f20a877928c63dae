//! What other implementations and the specification say of the same things, as data.
//!
//! `sampling.json` has the tables of numbers, each with its source. The rows in the files beside this one are the cases of other
//! implementations' tests, by what goes in and what comes out.

mod composite;
mod downstream;
mod json;
#[path = "../support/mod.rs"]
mod support;
mod threshold;
mod trace_state;
mod w3c;
