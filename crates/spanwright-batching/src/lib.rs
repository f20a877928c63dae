//! From span.end() to a request: per-thread encode buffers, a byte-bounded queue, batch assembly, and the SpanProcessor.
