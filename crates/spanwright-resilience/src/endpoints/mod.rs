//! Several receivers behind one exporter: one after the other, side by side, or each for its share of the traces.

mod balance;
mod discover;
mod failover;
mod members;
mod rendezvous;
mod resolve;
mod resolved;
mod set;
mod settle;
#[cfg(test)]
mod tests;
mod trace_hash;

pub use self::{
    balance::Balance,
    discover::{Change, Discover},
    failover::Failover,
    members::{MemberChange, Members, ResolveConfig, ResolveCounts},
    resolve::{Resolve, ResolveFuture, SystemResolver},
    resolved::{Resolved, ResolvedWatch},
    trace_hash::TraceHash,
};
