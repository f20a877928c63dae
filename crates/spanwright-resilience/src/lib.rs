//! Retry, retry budget, circuit breaker, adaptive concurrency, failover, traces divided among receivers: tower layers over policies
//! without I/O.
//!
//! It **is** what stands between who has requests and who sends them while the receiver is slow, full or away: policies that are given
//! the time and the chance and answer with a decision, and thin layers that put them around an
//! [`Exporter`](spanwright_core::Exporter). It **is not** a queue: what cannot be sent is kept by whoever sends it (the processor of
//! `spanwright-batching`, or [`ResilientExporter`] for the SDK's own). And it is of use without any exporter:
//!
//! ```
//! use spanwright_resilience::{BreakerConfig, CallError, CircuitBreaker};
//!
//! let breaker = CircuitBreaker::new(BreakerConfig::default())?;
//! let charge = || Err::<(), _>("the payment provider does not answer");
//! for _ in 0..5 {
//!     assert!(matches!(breaker.call(charge), Err(CallError::Inner(_))));
//! }
//! assert!(matches!(breaker.call(charge), Err(CallError::Open { .. })), "it is left alone for a while");
//! # Ok::<_, spanwright_core::BuildError>(())
//! ```
//!
//! # The main types
//!
//! | for | the policy | around an exporter |
//! |---|---|---|
//! | trying again | [`AdaptiveRetryStrategy`]: [`Backoff`], [`RetryBudget`], [`RetryLimits`] | [`RetryLayer`] |
//! | leaving alone | [`CircuitBreaker`], [`BreakerConfig`] | [`CircuitBreakerLayer`] |
//! | as many at once as it takes | [`Limit`]: [`AdaptiveConcurrency`], [`Gradient`], [`Aimd`], [`FixedLimit`] | [`ConcurrencyLimitLayer`] |
//! | several receivers | | [`Failover`], [`Balance`], [`TraceHash`] |
//! | receivers that come and go | [`Members`], [`ResolveConfig`] | [`Resolved`], [`Discover`], [`Resolve`] |
//! | the SDK's own pipeline | | [`ResilientExporter`] |
//!
//! # What holds
//!
//! - An error that is permanent by OTLP's table is never tried again, nor is a partial success.
//! - When everything fails, retries are at most a fifth of the requests (and one in ten seconds).
//! - One probe is under way at a breaker that is half open, whoever asks; a probe that is given up gives its place back.
//! - Answers to calls from before the breaker's state changed do not count.
//!
//! # Features and MSRV
//!
//! None. Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod breaker;
mod endpoints;
mod limit;
mod otel;
mod parking;
mod random;
mod receipts;
mod retry;
mod sync;
mod window;

#[doc(inline)]
pub use self::{
    breaker::{
        BreakerConfig, BreakerCounts, BreakerService, BreakerState, CallError, CallOutcome, CircuitBreaker,
        CircuitBreakerLayer, Permit,
    },
    endpoints::{
        Balance, Change, Discover, Failover, MemberChange, Members, Resolve, ResolveConfig, ResolveCounts,
        ResolveFuture, Resolved, ResolvedWatch, SystemResolver, TraceHash,
    },
    limit::{
        AdaptiveConcurrency, Aimd, Concurrency, ConcurrencyLimitLayer, FixedLimit, Gradient, Limit, LimitOutcome,
        LimitSample, LimitService, MAX_LIMIT,
    },
    otel::{ResilientExporter, ResilientExporterBuilder, ResilientExporterStats},
    random::ThreadRandom,
    retry::{
        AdaptiveRetryStrategy, AdaptiveRetryStrategyBuilder, Attempts, GiveUp, RetryAdvice, RetryBudget, RetryDecision,
        RetryLayer, RetryLimits, RetryService, RetryStats,
    },
};

// What the signatures above are made of.
#[doc(no_inline)]
pub use spanwright_core::{Backoff, Jitter, Random, SeededRandom};
