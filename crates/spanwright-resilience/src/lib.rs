//! Retry, retry budget, circuit breaker, adaptive concurrency, failover: tower layers over policies without I/O.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod breaker;
mod endpoints;
mod limit;
mod otel;
mod parking;
mod random;
mod retry;
mod window;

#[doc(inline)]
pub use self::{
    breaker::{
        BreakerConfig, BreakerCounts, BreakerService, BreakerState, CallError, CallOutcome, CircuitBreaker,
        CircuitBreakerLayer, Permit,
    },
    endpoints::{Balance, Failover},
    limit::{
        AdaptiveConcurrency, Aimd, Concurrency, ConcurrencyLimitLayer, FixedLimit, Gradient, Limit, LimitOutcome,
        LimitSample, LimitService, MAX_LIMIT,
    },
    otel::{ResilientExporter, ResilientExporterBuilder, ResilientExporterStats},
    random::{Random, SeededRandom, ThreadRandom},
    retry::{
        AdaptiveRetryStrategy, AdaptiveRetryStrategyBuilder, Attempts, Backoff, GiveUp, Jitter, RetryAdvice,
        RetryBudget, RetryDecision, RetryLayer, RetryLimits, RetryService, RetryStats,
    },
};
