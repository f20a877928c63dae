"""An OTLP trace receiver that shares no code with Spanwright, for `cargo xtask interop`.

It listens on two free ports of the loopback interface, gRPC on grpcio's C core and HTTP/protobuf on the standard library, and
writes JSON lines to standard output: first the two ports, then one line for each span that arrives, in the shape that README.md
beside this file describes. It ends when standard input is closed.
"""

import gzip
import json
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import zstandard
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

MAX_DECODED_BYTES = 4 << 20  # what the gRPC server refuses beyond as well
WIDE_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT64,
}

output_lock = threading.Lock()


def write_line(document):
    line = json.dumps(document, ensure_ascii=False)
    with output_lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def plain(message):
    """The fields that are set in a message, by their names in the .proto. Driven by the descriptor: it cannot forget a field."""
    fields = {}
    for field, value in message.ListFields():
        if isinstance(value, (str, bytes, bool, int, float)) or hasattr(value, "ListFields"):
            fields[field.name] = plain_value(field, value)
        else:
            fields[field.name] = [plain_value(field, item) for item in value]
    unknown = sorted({field.field_number for field in UnknownFieldSet(message)})
    if unknown:
        fields["unknown_fields"] = unknown
    return fields


def plain_value(field, value):
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return plain(value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return struct.pack(">d", value).hex()
    if field.cpp_type in WIDE_INTEGERS:
        return str(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return value.hex()
    return value


def write_spans(request):
    if unknown := plain(request).get("unknown_fields"):
        write_line({"error": f"unknown fields {unknown} in the request"})
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for message in (resource_spans, scope_spans):
                if len(UnknownFieldSet(message)):
                    write_line({"error": f"unknown fields in {message.DESCRIPTOR.name}"})
            for span in scope_spans.spans:
                write_line(
                    {
                        "resource": plain(resource_spans.resource),
                        "resource_schema_url": resource_spans.schema_url,
                        "scope": plain(scope_spans.scope),
                        "scope_schema_url": scope_spans.schema_url,
                        "span": plain(span),
                    }
                )


class TraceService(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        write_spans(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        try:
            body = self.read_body()
        except (ValueError, OSError, EOFError, zstandard.ZstdError) as error:
            self.answer(400, "text/plain", str(error).encode())
            return
        if self.path != "/v1/traces":
            self.answer(404, "text/plain", f"no such path: {self.path}".encode())
        elif self.headers.get("content-type") != "application/x-protobuf":
            self.answer(415, "text/plain", b"application/x-protobuf is what this receiver reads")
        elif (decoded := self.decode(body)) is None:
            self.answer(415, "text/plain", b"gzip, zstd or no content-encoding is what this receiver reads")
        else:
            write_spans(trace_service_pb2.ExportTraceServiceRequest.FromString(decoded))
            response = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
            self.answer(200, "application/x-protobuf", response)

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def decode(self, body):
        encoding = self.headers.get("content-encoding", "identity")
        if encoding == "identity":
            return body
        if encoding == "gzip":
            return gzip.decompress(body)
        if encoding == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        return None

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # standard output belongs to the spans


def main():
    grpc_server = grpc.server(ThreadPoolExecutor(max_workers=4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(TraceService(), grpc_server)
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), HttpHandler)
    http_server.daemon_threads = True
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    write_line({"grpc": grpc_port, "http": http_server.server_port})
    sys.stdin.read()
    grpc_server.stop(grace=1).wait()
    http_server.shutdown()


if __name__ == "__main__":
    main()
