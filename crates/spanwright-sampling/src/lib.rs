//! Consistent, rule based, rate limited, adaptive, per-key, remote and tail sampling, with weights that stay right.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod always_record;
mod composable;
mod composite;
mod config;
mod consistent;
mod counter;
mod intent;
mod keys;
mod otel;
mod parent_based;
mod plain;
mod priority;
mod probability;
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
    JaegerProtocol, JaegerRemoteSampler, JaegerRemoteSamplerBuilder, JaegerRemoteStats, RemoteError, RemoteErrorKind,
};
