//! Spans straight to OTLP protobuf bytes: no intermediate structures, and no allocation once its buffers have grown.
//!
//! The way of a span is [`SpanEncoder::encode_span`]: its scope is looked up (`scope`), its fields are written into a buffer
//! of the thread (`span` and `value`, by means of `wire`), and from there they are appended to the thread's chunk as one
//! record (`draft`). What frames the records into a request was encoded when it was first seen (`scope`, `resource`).

mod amend;
mod draft;
mod resource;
mod rope;
mod scope;
mod span;
mod split;
mod value;
mod walk;
mod wire;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use opentelemetry::InstrumentationScope;
use spanwright_core::{RewriteTraceState, ScopeId};

use self::draft::Draft;
use self::scope::{OVERFLOW, ScopeMemory, ScopeTable};
use self::wire::Cursor;

pub use self::split::{halve, split_by_trace};
pub use self::walk::count_spans;
pub(crate) use self::{resource::encode_resource, span::SpanView};

mod tag {
    use super::wire::delimited;

    /// `ExportTraceServiceRequest.resource_spans`.
    pub(super) const RESOURCE_SPANS: u8 = delimited(1);
    /// `ResourceSpans.scope_spans`.
    pub(super) const SCOPE_SPANS: u8 = delimited(2);
    /// `ScopeSpans.spans`.
    pub(super) const SPANS: u8 = delimited(2);
}

/// Encodes spans as OTLP, version 1, in protobuf.
///
/// It implements [`Encode`](spanwright_core::Encode) for the SDK's `SpanData`: a record is one `spans` field of
/// `ScopeSpans`, and a request is an `ExportTraceServiceRequest`. What a receiver decodes is what the SDK's own exporter would
/// have sent it: every field, every kind of value, the same bytes for each span.
///
/// ```
/// # use std::time::UNIX_EPOCH;
/// # use opentelemetry::{InstrumentationScope, trace::{SpanContext, SpanId, SpanKind, Status}};
/// # use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
/// # let span = SpanData {
/// #     span_context: SpanContext::NONE, parent_span_id: SpanId::INVALID, parent_span_is_remote: false,
/// #     span_kind: SpanKind::Internal, name: "GET /".into(), start_time: UNIX_EPOCH, end_time: UNIX_EPOCH,
/// #     attributes: vec![], dropped_attributes_count: 0, events: SpanEvents::default(), links: SpanLinks::default(),
/// #     status: Status::Unset, instrumentation_scope: InstrumentationScope::default(),
/// # };
/// use opentelemetry_sdk::Resource;
/// use spanwright_core::Encode;
/// use spanwright_otlp::{SpanEncoder, SpanScratch, count_spans};
///
/// let encoder = SpanEncoder::new(&Resource::builder_empty().with_service_name("checkout").build());
/// let mut scratch = SpanScratch::default();
///
/// // On each thread, as spans end:
/// let mut records = Vec::new();
/// let scope = encoder.encode(&span, &mut scratch, &mut records);
///
/// // Once per request:
/// let (mut request, mut header) = (Vec::new(), Vec::new());
/// encoder.open_scope(scope, records.len(), &mut header);
/// encoder.open_request(header.len() + records.len(), &mut request);
/// request.extend([header, records].concat());
/// assert_eq!(count_spans(&request), Some(1));
/// ```
///
/// # Times
///
/// A time before 1970 is written as 0, which the protocol reads as unknown. Nanoseconds since 1970 end in the year 2554.
///
/// # Scopes
///
/// An encoder tells 4096 distinct instrumentation scopes apart. It keeps them as long as it lives, because their ids are never
/// used again. The spans of any further scope are sent under one scope without a name, and carry theirs as the attributes
/// `otel.scope.name`, `otel.scope.version`, `otel.scope.schema_url` and `otel.scope.<key>`: nothing is lost, memory is bounded.
/// Scopes are equal when their names, versions, schema URLs and attributes are, in whatever order the attributes stand; those
/// whose only difference is a version or a URL that is empty instead of absent are told apart here and equal on the wire.
///
/// # Cost
///
/// No allocation and no lock per span, except: the first time that a thread meets a scope (and again when it sees more than
/// eight of them by turns) a lock for reading; the first time that the encoder does, a lock for writing; a thread's first span,
/// and a span longer than any before it, up to 64 KiB, lets the thread's buffer grow; a span longer than that allocates each
/// time. Then it is one pass over the span, two over events, links and arrays. Bench `encode/10attrs`.
///
/// # Source
///
/// [OTLP 1.10](https://opentelemetry.io/docs/specs/otlp/), and
/// [opentelemetry-proto 1.10](https://github.com/open-telemetry/opentelemetry-proto/tree/v1.10.0/opentelemetry/proto).
pub struct SpanEncoder {
    id: u64,
    scopes: ScopeTable,
    resource: RwLock<Vec<u8>>,
    attribute_value_length_limit: usize,
}

/// Settings of a [`SpanEncoder`].
#[derive(Clone, Debug)]
pub struct SpanEncoderBuilder {
    resource: Vec<u8>,
    attribute_value_length_limit: usize,
}

/// What a thread keeps between two spans: the buffer that it writes them in, and the scopes that it saw last.
///
/// It may be used with several encoders, though it remembers the scopes of the last one only.
#[derive(Default)]
pub struct SpanScratch {
    /// Whose ids `scopes` has; 0 for nobody's.
    encoder: u64,
    scopes: ScopeMemory,
    draft: Draft,
}

impl SpanEncoder {
    /// Settings to choose from; without any, spans have an empty resource and values of any length.
    #[must_use]
    pub fn builder() -> SpanEncoderBuilder {
        SpanEncoderBuilder {
            resource: encode_resource([], None),
            attribute_value_length_limit: usize::MAX,
        }
    }

    pub(crate) fn encode_span(&self, span: &SpanView<'_>, scratch: &mut SpanScratch, out: &mut Vec<u8>) -> ScopeId {
        let scope = match scratch.scopes.find(span.scope) {
            Some(scope) if scratch.encoder == self.id => scope,
            _ => self.intern(span.scope, scratch),
        };
        let limit = self.attribute_value_length_limit;
        scratch.draft.append_field(out, tag::SPANS, |cursor| {
            let mut cursor = span::write_span(cursor, span, limit)?;
            if scope == OVERFLOW {
                cursor = scope::write_as_attributes(cursor, span::tag::ATTRIBUTES, span.scope)?;
            }
            span::write_flags(cursor, span)
        });
        scope
    }

    pub(crate) fn amend_record(&self, record: &[u8], trace_state: &mut dyn RewriteTraceState, out: &mut Vec<u8>) {
        amend::amend(record, trace_state, out);
    }

    pub(crate) fn first_record_len(&self, run: &[u8]) -> usize {
        walk::record_len(run)
    }

    pub(crate) fn write_scope_header(&self, scope: ScopeId, records_len: usize, out: &mut Vec<u8>) {
        self.scopes
            .read_header(scope, |header| open(tag::SCOPE_SPANS, header, records_len, out));
    }

    pub(crate) fn write_request_header(&self, scopes_len: usize, out: &mut Vec<u8>) {
        let resource = self.resource.read().unwrap_or_else(PoisonError::into_inner);
        open(tag::RESOURCE_SPANS, &resource, scopes_len, out);
    }

    pub(crate) fn replace_resource(&self, encoded: Vec<u8>) {
        *self.resource.write().unwrap_or_else(PoisonError::into_inner) = encoded;
    }

    #[cold]
    #[inline(never)]
    fn intern(&self, scope: &InstrumentationScope, scratch: &mut SpanScratch) -> ScopeId {
        if scratch.encoder != self.id {
            scratch.encoder = self.id;
            scratch.scopes = ScopeMemory::default();
        }
        match self.scopes.intern(scope) {
            Some(known) => {
                let id = known.id;
                scratch.scopes.remember(known);
                id
            }
            None => OVERFLOW,
        }
    }
}

impl SpanEncoderBuilder {
    /// After how many characters string values are cut, in arrays too. `None`, the default, means never.
    ///
    /// Holds for the attributes of spans, events and links; the specification exempts those of resources. A character is a
    /// Unicode scalar value, and what is left is valid UTF-8. Any number is accepted, 0 leaves empty strings.
    /// Variables: `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, and where that is not set `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`; the
    /// encoder itself does not read them.
    ///
    /// # Source
    ///
    /// [OpenTelemetry, attribute limits](https://opentelemetry.io/docs/specs/otel/common/#attribute-limits)
    #[must_use]
    pub fn with_attribute_value_length_limit(mut self, max_characters: Option<usize>) -> Self {
        self.attribute_value_length_limit = max_characters.unwrap_or(usize::MAX);
        self
    }

    pub(crate) fn with_encoded_resource(mut self, resource: Vec<u8>) -> Self {
        self.resource = resource;
        self
    }

    /// The encoder. No combination of settings is wrong.
    #[must_use]
    pub fn build(self) -> SpanEncoder {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        SpanEncoder {
            // Relaxed: only uniqueness matters, which the atomic addition alone gives.
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            scopes: ScopeTable::default(),
            resource: RwLock::new(self.resource),
            attribute_value_length_limit: self.attribute_value_length_limit,
        }
    }
}

/// Appends the header of a field that holds `fields` and, behind them, `rest_len` bytes more.
fn open(tag: u8, fields: &[u8], rest_len: usize, out: &mut Vec<u8>) {
    put_header(tag, fields.len() + rest_len, out);
    out.extend_from_slice(fields);
}

/// Appends the tag and the length of a field that has `len` bytes behind them.
fn put_header(tag: u8, len: usize, out: &mut Vec<u8>) {
    let mut buffer = [0; 1 + wire::MAX_VARINT_LEN];
    let room = buffer.len();
    let left = Cursor::new(&mut buffer)
        .header(tag, len)
        .map_or(0, |cursor| cursor.room());
    out.extend_from_slice(&buffer[..room - left]);
}

impl fmt::Debug for SpanEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanEncoder")
            .field("scopes", &self.scopes.len())
            .field("attribute_value_length_limit", &self.attribute_value_length_limit)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SpanScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanScratch")
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
