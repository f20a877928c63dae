//! The SDK's types, handed to the engine. No other file of the crate names `opentelemetry_sdk`.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use spanwright_core::{Encode, EncodedBatch, RewriteTraceState, ScopeId};

use crate::encode::{SpanEncoder, SpanEncoderBuilder, SpanScratch, SpanView, encode_resource, halve};

impl Encode<SpanData> for SpanEncoder {
    type Scratch = SpanScratch;

    fn encode(&self, span: &SpanData, scratch: &mut SpanScratch, out: &mut Vec<u8>) -> ScopeId {
        let view = SpanView {
            context: &span.span_context,
            parent_span_id: span.parent_span_id,
            parent_span_is_remote: span.parent_span_is_remote,
            kind: &span.span_kind,
            name: &span.name,
            start_time: span.start_time,
            end_time: span.end_time,
            attributes: &span.attributes,
            dropped_attributes_count: span.dropped_attributes_count,
            events: &span.events.events,
            dropped_events_count: span.events.dropped_count,
            links: &span.links.links,
            dropped_links_count: span.links.dropped_count,
            status: &span.status,
            scope: &span.instrumentation_scope,
        };
        self.encode_span(&view, scratch, out)
    }

    fn amend(&self, record: &[u8], trace_state: &mut dyn RewriteTraceState, out: &mut Vec<u8>) {
        self.amend_record(record, trace_state, out);
    }

    fn record_len(&self, run: &[u8]) -> usize {
        self.first_record_len(run)
    }

    fn open_scope(&self, scope: ScopeId, records_len: usize, out: &mut Vec<u8>) {
        self.write_scope_header(scope, records_len, out);
    }

    fn open_request(&self, scopes_len: usize, out: &mut Vec<u8>) {
        self.write_request_header(scopes_len, out);
    }

    fn halve(&self, batch: &EncodedBatch) -> Option<[EncodedBatch; 2]> {
        halve(batch)
    }
}

impl SpanEncoder {
    /// An encoder for the spans of `resource`, with the default settings.
    #[must_use]
    pub fn new(resource: &Resource) -> Self {
        Self::builder().with_resource(resource).build()
    }

    /// Changes what the spans are of, from the next request on.
    ///
    /// # Cost
    ///
    /// Encodes the resource, and takes a lock that is read once for each request.
    pub fn set_resource(&self, resource: &Resource) {
        self.replace_resource(encode_resource(resource, resource.schema_url()));
    }
}

impl SpanEncoderBuilder {
    /// What the spans are of: the attributes of the process. Default: none. The SDK hands it to a processor when the provider is
    /// built, see [`SpanEncoder::set_resource`].
    #[must_use]
    pub fn with_resource(self, resource: &Resource) -> Self {
        self.with_encoded_resource(encode_resource(resource, resource.schema_url()))
    }
}
