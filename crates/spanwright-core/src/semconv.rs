//! The names of metrics and attributes, each with kind, unit and description.
//!
//! # Source
//!
//! `otel.sdk.*`: [semantic conventions 1.44.0](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/), status
//! Development, which is why the version is pinned. `spanwright.*` are our own.

/// The version of the semantic conventions that the standard names are taken from.
pub const SCHEMA_VERSION: &str = "1.44.0";

/// A metric: what a monitor needs to make the instrument.
#[derive(Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// The instrument.
    pub instrument: Instrument,
    /// The unit, in UCUM.
    pub unit: &'static str,
    /// What it counts.
    pub description: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Instrument {
    /// A sum that only grows.
    Counter,
    /// A value of now.
    Gauge,
    /// A distribution.
    Histogram,
    /// A sum that grows and shrinks.
    UpDownCounter,
}

/// Attribute names.
pub mod attribute {
    /// Why an operation failed, of low cardinality.
    pub const ERROR_TYPE: &str = "error.type";
    /// Unique within the process: `<type>/<n>`.
    pub const OTEL_COMPONENT_NAME: &str = "otel.component.name";
    /// The kind of component.
    pub const OTEL_COMPONENT_TYPE: &str = "otel.component.type";
    /// The name of a span's instrumentation scope, where the scope itself cannot be given.
    pub const OTEL_SCOPE_NAME: &str = "otel.scope.name";
    /// Its schema URL.
    pub const OTEL_SCOPE_SCHEMA_URL: &str = "otel.scope.schema_url";
    /// Its version.
    pub const OTEL_SCOPE_VERSION: &str = "otel.scope.version";
    /// What a sampler decided: `DROP`, `RECORD_ONLY` or `RECORD_AND_SAMPLE`.
    pub const OTEL_SPAN_SAMPLING_RESULT: &str = "otel.span.sampling_result";
    /// The receiver's address.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// The receiver's port.
    pub const SERVER_PORT: &str = "server.port";
    /// What made a batch leave the queue: `size`, `bytes`, `delay`, `flush` or `shutdown`.
    pub const FLUSH_REASON: &str = "spanwright.flush.reason";
    /// Why a sampler decided as it did.
    pub const SAMPLER_REASON: &str = "spanwright.sampler.reason";
    /// The rule by which it did.
    pub const SAMPLER_RULE: &str = "spanwright.sampler.rule";
    /// Whether an evicted trace was `kept` or `dropped`.
    pub const TAIL_DECISION: &str = "spanwright.sampler.tail.decision";
    /// What became of a trace: `kept` or `dropped`.
    pub const TAIL_OUTCOME: &str = "spanwright.sampler.tail.outcome";
    /// The policy by which it was decided.
    pub const TAIL_POLICY: &str = "spanwright.sampler.tail.policy";
    /// What made the decision due: `root_ended`, `age`, `memory`, `trace_size`, `window` or `shutdown`.
    pub const TAIL_TRIGGER: &str = "spanwright.sampler.tail.trigger";
    /// How many spans a sampled one stands for.
    pub const SAMPLING_ADJUSTED_COUNT: &str = "spanwright.sampling.adjusted_count";
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $instrument:ident, $unit:literal, $description:literal;)*) => {
        $(#[doc = $description] pub const $constant: Metric = Metric {
            name: $name,
            instrument: Instrument::$instrument,
            unit: $unit,
            description: $description,
        };)*

        /// Every metric that a Spanwright crate may report.
        pub static METRICS: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    EXPORTER_OPERATION_DURATION = "otel.sdk.exporter.operation.duration", Histogram, "s",
        "The duration of exporting a batch, from the first attempt to the last answer.";
    EXPORTER_SPAN_EXPORTED = "otel.sdk.exporter.span.exported", Counter, "{span}",
        "The spans for which the export has finished, successfully or (with error.type) not.";
    EXPORTER_SPAN_INFLIGHT = "otel.sdk.exporter.span.inflight", UpDownCounter, "{span}",
        "The spans that were passed to the exporter and are not yet exported or failed.";
    PROCESSOR_SPAN_PROCESSED = "otel.sdk.processor.span.processed", Counter, "{span}",
        "The spans for which processing has finished, successfully or (with error.type) not.";
    PROCESSOR_SPAN_QUEUE_CAPACITY = "otel.sdk.processor.span.queue.capacity", UpDownCounter, "{span}",
        "The most spans that the queue can hold.";
    PROCESSOR_SPAN_QUEUE_SIZE = "otel.sdk.processor.span.queue.size", UpDownCounter, "{span}",
        "The spans in the queue.";
    BATCH_BYTES = "spanwright.batch.size.bytes", Histogram, "By",
        "The encoded size of a request, before compression.";
    BATCH_ITEMS = "spanwright.batch.size.items", Histogram, "{item}",
        "The items of a request.";
    BATCH_FLUSHES = "spanwright.batch.flushes", Counter, "{flush}",
        "The requests made, by what made them leave the queue.";
    COMPRESSION_RATIO = "spanwright.compression.ratio", Gauge, "1",
        "Bytes before compression to bytes after it.";
    EXPORTER_CONCURRENCY = "spanwright.exporter.concurrency", UpDownCounter, "{request}",
        "The requests in flight.";
    LOST = "spanwright.lost", Counter, "{item}",
        "The items that will never arrive, by error.type.";
    QUEUE_BYTES = "spanwright.queue.bytes", UpDownCounter, "By",
        "The bytes of items that are still ours.";
    QUEUE_PRESSURE = "spanwright.queue.pressure", Gauge, "1",
        "How close the queue is to dropping, 0 to 1.";
    SAMPLER_CONFIGS = "spanwright.sampler.configs", Counter, "{config}",
        "The configurations that a sampler was given while it ran, applied or (with error.type) not.";
    SAMPLER_DECISIONS = "spanwright.sampler.decisions", Counter, "{span}",
        "The spans that a sampler decided about, by reason and result.";
    SAMPLER_POLLS = "spanwright.sampler.polls", Counter, "{poll}",
        "The times that a sampler asked for its strategy, successfully or (with error.type) not.";
    SAMPLER_RULE_DECISIONS = "spanwright.sampler.rule.decisions", Counter, "{span}",
        "The same by rule, for those that a rule decided.";
    SAMPLER_TRACE_STATES = "spanwright.sampler.trace_states", Counter, "{span}",
        "The parents whose trace state was not as it should be, by error.type.";
    TAIL_BYTES = "spanwright.sampler.tail.bytes", UpDownCounter, "By",
        "The memory that spans take whose trace is not decided about, with its bookkeeping.";
    TAIL_EVICTED = "spanwright.sampler.tail.evicted", Counter, "{trace}",
        "The traces that had to be decided about before their local root ended, by trigger and decision.";
    TAIL_LATE_SPANS = "spanwright.sampler.tail.late_spans", Counter, "{span}",
        "The spans that ended after their trace was decided about, by what that was.";
    TAIL_TRACES = "spanwright.sampler.tail.traces", Counter, "{trace}",
        "The traces that were decided about, by outcome and policy.";
    SPOOL_BYTES = "spanwright.spool.bytes", UpDownCounter, "By",
        "The bytes that the spool takes on disk.";
    SPOOL_CAPACITY = "spanwright.spool.capacity", UpDownCounter, "By",
        "The most bytes that the spool may take on disk.";
    SPOOL_DAMAGED = "spanwright.spool.damaged", Counter, "{record}",
        "The records that were found damaged.";
    SPOOL_ITEMS = "spanwright.spool.items", UpDownCounter, "{item}",
        "The items on disk that are not yet delivered.";
    SPOOL_OLDEST_AGE = "spanwright.spool.oldest.age", Gauge, "s",
        "How long the oldest request on disk has waited.";
    SPOOL_REPLAYED = "spanwright.spool.replayed", Counter, "{item}",
        "The items that were delivered from disk.";
    SPOOL_SEGMENTS = "spanwright.spool.segments", UpDownCounter, "{segment}",
        "The segment files.";
    SPOOL_SYNC_DURATION = "spanwright.spool.sync.duration", Histogram, "s",
        "The duration of making written requests durable.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_well_formed_and_in_a_namespace_that_is_ours_to_use() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for metric in METRICS {
            assert!(
                metric.name.starts_with("otel.sdk.") || metric.name.starts_with("spanwright."),
                "{}",
                metric.name
            );
            assert!(!metric.name.ends_with("_total") && !metric.description.is_empty() && !metric.unit.is_empty());
        }
    }
}
