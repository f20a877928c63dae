//! Several receivers behind one exporter: one after the other, or side by side.

mod balance;
mod failover;
#[cfg(test)]
mod tests;

pub use self::{balance::Balance, failover::Failover};
