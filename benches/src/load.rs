//! What makes the spans, and at what pace.

use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, TracerProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData};
use spanwright_core::{Clock, SystemClock};
use spanwright_testing::SpanFactory;

/// How a paced load went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) offered: u64,
    /// From the start to the end of the last tick.
    pub(crate) elapsed: Duration,
    /// Whether the rate was reached: what was late was made up for before the end.
    pub(crate) is_kept: bool,
}

/// Calls `make` at `rate` per second for `duration`, in bursts of one millisecond's worth. A tick that comes late is made up
/// for by the next ones, at once.
pub(crate) fn paced(rate: u64, duration: Duration, mut make: impl FnMut()) -> Pace {
    let clock = SystemClock;
    let ticks = duration.as_millis() as u64;
    let start = clock.now();
    let mut rhythm = Rhythm::start(1000, 1);
    let mut offered = 0;
    for tick in 1..=ticks {
        let due = rate * tick / 1000;
        for _ in offered..due {
            make();
        }
        offered = due;
        rhythm.wait();
    }
    let elapsed = clock.now() - start;
    Pace {
        offered,
        elapsed,
        // Two per cent, but not less than what the system's scheduler may take for itself.
        is_kept: elapsed <= duration + (duration / 50).max(Duration::from_millis(20)),
    }
}

/// Bursts at equal distances.
#[derive(Debug)]
pub(crate) struct Rhythm {
    period: Duration,
    next: Instant,
}

impl Rhythm {
    /// For bursts of `burst` at `rate` per second; the first is due after one period. With a rate of 0 there is no waiting.
    pub(crate) fn start(rate: u64, burst: u64) -> Self {
        let period = Duration::from_secs(burst)
            .checked_div(u32::try_from(rate).unwrap_or(u32::MAX))
            .unwrap_or_default();
        Self {
            period,
            next: SystemClock.now() + period,
        }
    }

    /// Waits until the next burst is due; not at all if it is late, which those after it make up for.
    #[expect(clippy::disallowed_methods, reason = "a load is made in real time")]
    pub(crate) fn wait(&mut self) {
        let early = self.next.saturating_duration_since(SystemClock.now());
        if !early.is_zero() {
            thread::sleep(early);
        }
        self.next += self.period;
    }
}

/// Finished spans, ready to be handed to a processor: clones of a few that were made beforehand.
///
/// Their ids repeat, and no side looks at that; few, so that they stay in a core's own cache.
#[derive(Debug)]
pub(crate) struct Spans {
    made: Vec<SpanData>,
    next: usize,
}

impl Spans {
    const DISTINCT: usize = 64;

    pub(crate) fn new(seed: u64) -> Self {
        let mut factory = SpanFactory::new(seed);
        Self {
            made: (0..Self::DISTINCT).map(|_| factory.http_server_span()).collect(),
            next: 0,
        }
    }

    pub(crate) fn next(&mut self) -> SpanData {
        self.next = (self.next + 1) % Self::DISTINCT;
        self.made[self.next].clone()
    }
}

/// An application that makes the span of the figures by the SDK's tracer, as instrumentation of an HTTP server does: the name,
/// nine of the values and all keys are static, and the path is a string of its own.
#[derive(Debug)]
pub(crate) struct Application {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    paths: Vec<String>,
    made: u64,
}

impl Application {
    pub(crate) fn new(provider: SdkTracerProvider) -> Self {
        let scope = InstrumentationScope::builder("http-server")
            .with_version("1.4.2")
            .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
            .build();
        Self {
            tracer: provider.tracer_with_scope(scope),
            provider,
            paths: (1_000..2_000).map(|order| format!("/api/orders/{order}")).collect(),
            made: 0,
        }
    }

    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Starts and ends one span.
    pub(crate) fn handle_request(&mut self) {
        let order = self.made as usize % self.paths.len();
        self.made += 1;
        let attributes = vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", "/api/orders/{id}"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("url.scheme", "https"),
            KeyValue::new("url.path", self.paths[order].clone()),
            KeyValue::new("server.address", "10.0.0.7"),
            KeyValue::new("server.port", 8443),
            KeyValue::new("user_agent.original", "Mozilla/5.0"),
            KeyValue::new("app.cache.hit", order.is_multiple_of(2)),
            KeyValue::new("app.queue.wait", order as f64 / 1e6),
        ];
        let mut span = SpanBuilder::from_name("GET /api/orders/{id}")
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start(&self.tracer);
        span.end();
    }

    /// Whether everything arrived is told by the account, not by the answer.
    pub(crate) fn flush(&self) {
        let _ = self.provider.force_flush();
    }

    /// The same, and the end.
    pub(crate) fn shutdown(&self, timeout: Duration) {
        let _ = self.provider.shutdown_with_timeout(timeout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_load_makes_exactly_what_is_due() {
        let mut made = 0;
        let pace = paced(2_500, Duration::from_millis(30), || made += 1);
        assert_eq!((made, pace.offered), (75, 75));
        assert!(pace.elapsed >= Duration::from_millis(30));
    }

    #[test]
    fn a_pace_that_cannot_be_kept_is_told() {
        let mut late = false;
        let pace = paced(1_000, Duration::from_millis(5), || {
            if !std::mem::replace(&mut late, true) {
                let start = SystemClock.now();
                while SystemClock.now() - start < Duration::from_millis(200) {}
            }
        });
        assert!(!pace.is_kept);
        assert_eq!(pace.offered, 5);
    }

    #[test]
    fn every_span_is_the_one_of_the_figures() {
        let mut spans = Spans::new(1);
        for _ in 0..Spans::DISTINCT + 1 {
            assert_eq!(spans.next().attributes.len(), 10);
        }
        assert_ne!(spans.next().span_context, spans.next().span_context);
    }
}
