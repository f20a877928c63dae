//! OTLP: spans straight to protobuf bytes, and the gRPC and HTTP transports that deliver them.
