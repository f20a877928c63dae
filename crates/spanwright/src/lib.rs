//! OpenTelemetry tracing for Rust services in production: nothing lost in silence, a tenth of the cost.
