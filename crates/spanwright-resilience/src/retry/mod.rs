//! When to try again: delays that grow, limits of each operation, and a budget of all of them.

mod budget;
mod layer;
mod policy;
mod service;
mod stats;
mod strategy;

pub use self::{
    budget::RetryBudget,
    layer::RetryLayer,
    policy::{Attempts, GiveUp, RetryAdvice, RetryDecision, RetryLimits},
    service::RetryService,
    stats::RetryStats,
    strategy::{AdaptiveRetryStrategy, AdaptiveRetryStrategyBuilder},
};
