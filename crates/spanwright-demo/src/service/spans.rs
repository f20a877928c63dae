//! How the service makes its spans: with nothing but the OpenTelemetry API.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::Shop;
use super::failure::Failure;
use crate::measure::EndMeter;

/// Makes spans. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Tracing {
    tracer: SdkTracer,
    ends: Arc<EndMeter>,
}

impl Tracing {
    pub(super) fn new(tracer: SdkTracer, ends: Arc<EndMeter>) -> Self {
        Self { tracer, ends }
    }

    /// Runs `work` in a span; everything in it that makes spans makes children of this one.
    pub(super) async fn in_span<T>(
        &self,
        span: SpanBuilder,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let cx = self.start(span);
        let result = work.with_context(cx.clone()).await;
        if let Err(failure) = &result {
            record(&cx.span(), *failure);
        }
        self.end(&cx.span());
        result
    }

    /// A context with a new span in it, a child of the current one.
    fn start(&self, span: SpanBuilder) -> Context {
        Context::current_with_span(self.tracer.build(span))
    }

    fn end(&self, span: &SpanRef<'_>) {
        self.ends.time(|| span.end());
    }
}

/// Wraps the handling of each request in a span of kind server.
///
/// # Source
///
/// [HTTP spans](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span).
pub(super) async fn server_span(
    State(shop): State<Arc<Shop>>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let route = route.as_str();
    let span = SpanBuilder::from_name(format!("GET {route}"))
        .with_kind(SpanKind::Server)
        .with_attributes(request_attributes(route, &request));
    let cx = shop.tracing.start(span);
    let response = next.run(request).with_context(cx.clone()).await;
    let (span, status) = (cx.span(), response.status());
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
    shop.tracing.end(&span);
    // Relaxed: read after the server has ended.
    shop.served.fetch_add(1, Ordering::Relaxed);
    response
}

fn request_attributes(route: &str, request: &Request) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("http.route", route.to_owned()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("url.path", request.uri().path().to_owned()),
        KeyValue::new("network.protocol.version", "1.1"),
        KeyValue::new("server.address", "shop.example"),
    ];
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(query) = request.uri().query() {
        attributes.push(KeyValue::new("url.query", query.to_owned()));
    }
    if let Some(agent) = text(header::USER_AGENT) {
        attributes.push(KeyValue::new("user_agent.original", agent.to_owned()));
    }
    attributes
}

/// # Source
///
/// [Recording errors](https://opentelemetry.io/docs/specs/semconv/general/recording-errors/),
/// [exceptions](https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/).
fn record(span: &SpanRef<'_>, failure: Failure) {
    let message = failure.to_string();
    let exception = vec![
        KeyValue::new("exception.type", failure.name()),
        KeyValue::new("exception.message", message.clone()),
    ];
    span.add_event("exception", exception);
    span.set_attribute(KeyValue::new("error.type", failure.code()));
    span.set_status(Status::error(message));
}
