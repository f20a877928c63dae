//! Consistent, rule based, rate limited, adaptive, per-key, remote and tail sampling, with weights that stay right.
//!
//! It **is** who decides which traces are kept: by OpenTelemetry's consistent probabilities, so that every service of a trace decides
//! alike, and every span that is kept says in its trace state (`th`) how many it stands for, also where a limit, a controller, a budget
//! or the end of the trace decided. It **is not** a pipeline: each sampler is one of the SDK's (`ShouldSample`), and the tail is a stage
//! for whoever encodes spans when they end.
//!
//! ```
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use spanwright_sampling::{AdaptiveSampler, Sampler, StartingSpan};
//!
//! // A hundred traces a second, whatever is offered; those who have a parent follow it.
//! let sampler = AdaptiveSampler::builder().target_per_second(100.0).spawn()?;
//! let provider = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
//!
//! # use opentelemetry::trace::SpanKind;
//! let span = StartingSpan::new(None, 0x5ca1_ab1e_u128.into(), "GET /orders", &SpanKind::Server);
//! println!("{}", sampler.explain(&span).join("\n")); // why it would be kept or dropped, in words
//! # drop(provider);
//! # Ok::<_, spanwright_core::BuildError>(())
//! ```
//!
//! # The main types
//!
//! | which traces | sampler, for `with_sampler` | composable, to be combined |
//! |---|---|---|
//! | a fixed share | [`ConsistentProbability`] | [`Probability`], [`AlwaysOn`], [`AlwaysOff`] |
//! | by name, kind, attribute, parent | [`PrioritySampler`] | [`RuleBased`]: [`Rule`], [`Predicate`], [`Lint`] |
//! | so many a second | [`RateLimitingSampler`], [`AdaptiveSampler`] | [`RateLimiting`], [`Adaptive`] |
//! | so many a second, shared among routes or tenants | [`PerKeySampler`] | [`PerKey`], [`SpanKey`] |
//! | as the parent | [`ParentBased`], [`AlwaysRecord`] | [`ParentThreshold`], [`AnyOf`], [`Annotating`] |
//! | as an operator says | [`ConfiguredSampler`], [`ReloadableSampler`], `JaegerRemoteSampler`, `XRaySampler` | [`SamplerConfig`] |
//! | when it is known how they went | [`TailSampler`], [`TailPolicy`] | |
//!
//! [`CompositeSampler`] makes a sampler of any composable one: `CompositeSampler::new(ParentThreshold::new(rules))`. [`Shadow`] tries
//! one beside another without effect. [`SamplerStats`] counts by rule and [`Reason`], and a [`StatsPublisher`] tells an observer of it; [`Sampler::explain`] says why.
//!
//! # What holds
//!
//! - A decision takes no lock, reads no clock and, unless it writes to a trace state, allocates nothing.
//! - Whatever sampled a span, the sum of the weights of what is kept is an unbiased estimate of what was there. Where it cannot be (a
//!   hard ceiling of a burst, a parent that says nothing), no weight is written.
//! - Other vendors' members of a trace state are never lost, and a dropped span never carries a threshold.
//! - What cannot be used at build is an error that names field, value and what is accepted; at run time it is ignored and counted.
//!
//! # Features and MSRV
//!
//! None is on by default.
//!
//! | feature | brings |
//! |---|---|
//! | `config` | OpenTelemetry's declarative configuration, in YAML, and samplers that follow a file |
//! | `regex` | rules by regular expressions |
//! | `remote` | `JaegerRemoteSampler`: strategies of a Jaeger collector, over HTTP and gRPC; `XRaySampler`: rules of AWS X-Ray |
//!
//! Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod always_record;
mod composable;
mod composite;
mod config;
mod consistent;
mod counter;
mod ease;
mod intent;
mod keys;
mod otel;
mod parent_based;
mod plain;
mod priority;
mod probability;
mod publisher;
mod rate;
mod reason;
mod reload;
#[cfg(feature = "remote")]
mod remote;
mod rules;
mod sampler;
mod shadow;
mod span;
mod stats;
mod tail;
mod tally;
mod ticker;
mod trace_state;

#[doc(inline)]
pub use self::{
    always_record::AlwaysRecord,
    composable::{AlwaysOff, AlwaysOn, Annotating, AnyOf, ComposableSampler, ParentThreshold, Probability},
    composite::CompositeSampler,
    config::{ConfiguredSampler, ConfiguredSamplerBuilder, SamplerConfig},
    consistent::ConsistentProbability,
    intent::Intent,
    keys::{KeyShare, KeyStats, KeyWriter, PerKey, PerKeyBuilder, PerKeySampler, SpanKey},
    parent_based::{ParentBased, ParentBasedBuilder},
    plain::{AlwaysOffSampler, AlwaysOnSampler},
    priority::{PrioritySampler, PrioritySamplerBuilder},
    probability::{Downstream, DownstreamDecision, DownstreamFault, Precision, Randomness, Threshold},
    publisher::{PublishStats, StatsPublisher},
    rate::{
        Adaptive, AdaptiveBuilder, AdaptiveSampler, RateHandle, RateLimiting, RateLimitingBuilder, RateLimitingSampler,
        RateStats,
    },
    reason::Reason,
    reload::{ReloadHandle, ReloadStatus, ReloadableSampler, ReloadableSamplerBuilder},
    rules::{IntoPredicate, Lint, Predicate, Rule, RuleBased, RuleBasedBuilder},
    sampler::{Decision, Outcome, Sampler},
    shadow::{Comparison, Shadow, ShadowStats},
    span::{ParentOrigin, StartingSpan},
    stats::{DecisionCount, RuleCount, SamplerStats},
    tail::{
        PolicyCount, TailDecision, TailPolicy, TailSampler, TailSamplerBuilder, TailSpan, TailStats, Trigger,
        TriggerCount,
    },
    tally::Tally,
    ticker::{Tick, Ticker, Waker},
    trace_state::{MalformedTraceState, OtelTraceState},
};

#[cfg(feature = "remote")]
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
#[doc(inline)]
pub use self::remote::{
    JaegerProtocol, JaegerRemoteSampler, JaegerRemoteSamplerBuilder, RemoteError, RemoteErrorKind, RemoteStats,
    XRaySampler, XRaySamplerBuilder,
};
