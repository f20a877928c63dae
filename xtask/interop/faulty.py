"""An OTLP trace receiver on grpcio that makes trouble by a script, for `cargo xtask interop`.

The argument names the script. It listens on a free port of the loopback interface, prints the port, and when standard input is
closed one JSON object: the distinct `span_ids` that it has accepted, the `requests` that it has seen, and how many `faults` it made.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

EVERY = 3  # of so many requests one is refused
SLOW_SECONDS = 0.1
RETRY_AFTER_NANOS = 150_000_000
MAX_AGE_MS = 500


class TraceService(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, script):
        self.script = script
        self.lock = threading.Lock()
        self.span_ids = set()
        self.requests = 0
        self.refused = 0
        self.peers = set()

    def Export(self, request, context):
        with self.lock:
            self.requests += 1
            self.peers.add(context.peer())
            is_refused = self.script in ("exhausted", "unavailable") and self.requests % EVERY == 0
            self.refused += is_refused
        if is_refused:
            self.refuse(context)
        if self.script in ("slow", "goaway"):
            # The age of a connection ends while requests are on it.
            time.sleep(SLOW_SECONDS)
        with self.lock:
            for resource_spans in request.resource_spans:
                for scope_spans in resource_spans.scope_spans:
                    self.span_ids.update(span.span_id.hex() for span in scope_spans.spans)
        return trace_service_pb2.ExportTraceServiceResponse()

    def refuse(self, context):
        if self.script == "unavailable":
            context.abort(grpc.StatusCode.UNAVAILABLE, "come back later")
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=RETRY_AFTER_NANOS)))
        status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="too much", details=[detail])
        context.abort_with_status(rpc_status.to_status(status))

    def faults(self):
        if self.script == "slow":
            return self.requests
        if self.script == "goaway":
            return len(self.peers) - 1
        return self.refused


def main():
    script = sys.argv[1]
    options = [("grpc.max_connection_age_ms", MAX_AGE_MS)] if script == "goaway" else []
    service = TraceService(script)
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=options)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(service, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(grace=1).wait()
    print(json.dumps({"span_ids": sorted(service.span_ids), "requests": service.requests, "faults": service.faults()}))


if __name__ == "__main__":
    main()
