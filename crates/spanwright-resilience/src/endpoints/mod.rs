//! Several receivers behind one exporter: one after the other, side by side, or each for its share of the traces.

mod balance;
mod failover;
mod rendezvous;
mod set;
mod settle;
#[cfg(test)]
mod tests;
mod trace_hash;

pub use self::{balance::Balance, failover::Failover, trace_hash::TraceHash};
