//! Spans like those that services make.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::SpanData;

/// The span that benches and figures speak of: an HTTP server's, with ten attributes, 372 bytes on the wire.
///
/// Equal seeds make equal spans.
#[must_use]
pub fn http_server_span(seed: u64) -> SpanData {
    SpanFactory::new(seed).http_server_span()
}

/// Makes spans, the same ones for the same seed.
///
/// As an iterator it goes on for ever, with a mix as a service makes it: of eight spans four are [`http_server_span`](Self::http_server_span)
/// on average, two [`database_span`](Self::database_span), one [`bare_span`](Self::bare_span) and one [`error_span`](Self::error_span); of
/// three scopes.
///
/// ```
/// use spanwright_testing::SpanFactory;
///
/// let spans: Vec<_> = SpanFactory::new(7).take(100).collect();
/// assert_eq!(spans, SpanFactory::new(7).take(100).collect::<Vec<_>>());
/// assert_ne!(spans, SpanFactory::new(8).take(100).collect::<Vec<_>>());
/// ```
#[derive(Clone, Debug)]
pub struct SpanFactory {
    random: SplitMix64,
    made: u64,
    /// The server span under which the next inner span is.
    parent: SpanContext,
    server: InstrumentationScope,
    database: InstrumentationScope,
    application: InstrumentationScope,
}

impl SpanFactory {
    /// A factory for this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: SplitMix64(seed),
            made: 0,
            parent: SpanContext::NONE,
            server: InstrumentationScope::builder("http-server")
                .with_version("1.4.2")
                .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
                .build(),
            database: InstrumentationScope::builder("db-client")
                .with_version("0.9.0")
                .with_attributes([KeyValue::new("db.pool", "primary")])
                .build(),
            application: InstrumentationScope::builder("orders").build(),
        }
    }

    /// The root span of a request: ten attributes, of every scalar type.
    pub fn http_server_span(&mut self) -> SpanData {
        let order = self.random.below(9_000) + 1_000;
        let mut span = self.span("GET /api/orders/{id}", SpanKind::Server, self.server.clone());
        span.attributes = vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", "/api/orders/{id}"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("url.scheme", "https"),
            KeyValue::new("url.path", format!("/api/orders/{order}")),
            KeyValue::new("server.address", "10.0.0.7"),
            KeyValue::new("server.port", 8443),
            KeyValue::new("user_agent.original", "Mozilla/5.0"),
            KeyValue::new("app.cache.hit", order.is_multiple_of(2)),
            KeyValue::new("app.queue.wait", order as f64 / 1e6),
        ];
        self.parent = span.span_context.clone();
        span
    }

    /// The same of a request that failed: error status with a description, and an exception as event.
    pub fn error_span(&mut self) -> SpanData {
        let mut span = self.http_server_span();
        let exception = vec![
            KeyValue::new("exception.type", "PoolTimedOut"),
            KeyValue::new("exception.message", "no connection became free within 5 s"),
        ];
        span.attributes[2] = KeyValue::new("http.response.status_code", 500);
        span.events
            .events
            .push(Event::new("exception", span.end_time, exception, 0));
        span.status = Status::error("no connection became free within 5 s");
        span
    }

    /// A query under the last server span, in a trace of its own if there was none yet. It links to the span that opened the
    /// connection.
    pub fn database_span(&mut self) -> SpanData {
        let parent = self.parent.clone();
        let mut span = self.span("SELECT orders", SpanKind::Client, self.database.clone());
        if parent.is_valid() {
            span.span_context = context(parent.trace_id(), span.span_context.span_id());
            span.parent_span_id = parent.span_id();
        }
        span.attributes = vec![
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.query.text", "SELECT * FROM orders WHERE id = $1"),
            KeyValue::new("db.response.returned_rows", 1),
        ];
        let opener = context(self.trace_id(), self.span_id());
        span.links.links.push(Link::new(opener, Vec::new(), 0));
        span
    }

    /// A span of the application itself, with a name and nothing else.
    pub fn bare_span(&mut self) -> SpanData {
        self.span("validate", SpanKind::Internal, self.application.clone())
    }

    fn span(&mut self, name: impl Into<Cow<'static, str>>, kind: SpanKind, scope: InstrumentationScope) -> SpanData {
        let start_of_2026 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let start_time = start_of_2026 + Duration::from_micros(self.made * 137);
        self.made += 1;
        SpanData {
            span_context: context(self.trace_id(), self.span_id()),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: kind,
            name: name.into(),
            start_time,
            end_time: start_time + Duration::from_nanos(100_000 + self.random.below(10_000_000)),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: scope,
        }
    }

    fn trace_id(&mut self) -> TraceId {
        let (high, low) = (self.random.next(), self.random.next());
        // Never zero, which would be invalid.
        TraceId::from(u128::from(high) << 64 | u128::from(low) | 1)
    }

    fn span_id(&mut self) -> SpanId {
        SpanId::from(self.random.next() | 1)
    }
}

impl Iterator for SpanFactory {
    type Item = SpanData;

    fn next(&mut self) -> Option<SpanData> {
        Some(match self.random.below(8) {
            0..=3 => self.http_server_span(),
            4 | 5 => self.database_span(),
            6 => self.bare_span(),
            _ => self.error_span(),
        })
    }
}

fn context(trace_id: TraceId, span_id: SpanId) -> SpanContext {
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// A generator that needs one addition and three multiplications a number, and is the same everywhere.
///
/// # Source
///
/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the slight bias towards small ones does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
    use prost::Message;

    use super::*;

    /// As the only span of a scope: with its tag and length, as it lies in a request.
    fn wire_len(span: SpanData) -> usize {
        let scope = ScopeSpans {
            spans: vec![Span::from(span)],
            ..ScopeSpans::default()
        };
        scope.encoded_len()
    }

    #[test]
    fn the_span_of_the_figures_has_ten_attributes_and_372_bytes() {
        for seed in 0..100 {
            let span = http_server_span(seed);
            assert_eq!(span.attributes.len(), 10);
            assert_eq!(wire_len(span), 372, "seed {seed}");
        }
    }

    #[test]
    fn the_mix_has_every_kind_and_every_scope() {
        let spans: Vec<_> = SpanFactory::new(1).take(1000).collect();
        let count = |wanted: &dyn Fn(&SpanData) -> bool| spans.iter().filter(|span| wanted(span)).count();
        for (expected, found) in [
            (125, count(&|span| matches!(span.status, Status::Error { .. }))),
            (250, count(&|span| span.span_kind == SpanKind::Client)),
            (125, count(&|span| span.attributes.is_empty())),
            (250, count(&|span| span.instrumentation_scope.name() == "db-client")),
            (250, count(&|span| !span.links.links.is_empty())),
        ] {
            assert!(
                (expected / 2..expected * 2).contains(&found),
                "{found} of about {expected}"
            );
        }
        assert!(
            spans
                .iter()
                .all(|span| span.span_context.is_valid() && span.end_time > span.start_time)
        );
    }

    #[test]
    fn an_inner_span_is_of_the_trace_of_the_last_server_span() {
        let mut factory = SpanFactory::new(3);
        let server = factory.http_server_span();
        let query = factory.database_span();
        assert_eq!(query.parent_span_id, server.span_context.span_id());
        assert_eq!(query.span_context.trace_id(), server.span_context.trace_id());
    }
}
