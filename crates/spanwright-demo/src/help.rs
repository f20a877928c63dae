//! What `--help` says.

pub(crate) const HELP: &str = "\
A service under load, its spans, and a receiver: all in this process, over real sockets.

The service is a small shop over HTTP with a database, a cache and a payment provider behind it. About 2 % of its requests
fail and about 1 % are slow. A client loads it over loopback; the spans go through a pipeline to an OTLP receiver.

usage: cargo demo [flags]

  --endpoint URL                  export to this receiver instead of the one in this process
  --protocol grpc|http            how to export                                               [grpc]
  --compression none|gzip|zstd    of the exported requests                                    [none]
  --rate N                        requests per second, whether or not earlier ones are done   [2000]
  --duration SECONDS              how long the load lasts; 10 and 10s are the same            [10]
  --sampler NAME                  which traces are kept, see below                            [always_on]
  --pipeline spanwright|stock     stock: the SDK's batch processor and opentelemetry-otlp     [spanwright]
  --compare                       both pipelines, one after the other, side by side
  --outage START..END             the receiver is away, in seconds of the load; up to its end: at the shutdown, too
  --outage-kind refuse|hang|exhausted
                                  refuses connections; takes requests and never answers; answers
                                  RESOURCE_EXHAUSTED, and when to come back                   [refuse]
  --spool DIR                     Spanwright keeps on disk what memory has no room for, or the end of the run no time
  --no-calibrate                  leave out the calibration, and with it the cost
  --json                          figures as JSON on standard output, and nothing else there
  --help, -h                      this text

Ctrl-C ends the load early; what has ended is still delivered and counted. Progress goes to standard error. Variables
OTEL_* (headers, certificates, OTEL_BSP_*) apply to both pipelines; both get queues of the same size.

Where is every span?
  ended = exported + rejected + lost + pending, of which Spanwright counts every column. The stock pipeline has no such
  account. It is counted from outside: what is missing after its shutdown had no room in the queue, and what a receiver
  rejects in a request that it otherwise takes cannot be seen.

What does an outage cost?  (--outage, --spool)
  Spanwright parks the requests in memory (parked), writes to --spool what goes beyond (spooled), leaves a receiver
  that is away alone and sends from memory and from disk when it is back (replayed). The stock pipeline does none of
  it: what it cannot export is lost. A second run with the same --spool first delivers what an earlier one left (recovered).
    cargo demo --outage 2..8 --compare                              both pipelines through the same outage
    cargo demo --outage 6..10 --spool DIR; cargo demo --spool DIR   away to the end; then the next run delivers
  After a request that failed Spanwright waits by itself, longer each time (answers: no); the breaker opens when half of the
  requests of 30 s failed. A receiver that is away at Ctrl-C stays away.
  With either flag standard error has a row each second, and the receiver keeps the ids of all spans (some 40 bytes each), so
  that it can tell those that arrived from those that came again because an answer got lost.

Which traces are kept?  (--sampler)
  always_on      all of them
  ratio          one in ten, the same ones wherever the same share is kept
  rate_limiting  100 a second, by a threshold: what is kept says how many it stands for
  adaptive       100 a second, fewer while the queue is full
  priority       all checkouts, a fifth of the recommendations, a hundredth of the rest, by name
  rules          the like, by rules over name and attributes
  per_key        100 a second, shared fairly among the routes
  tail           decided when a trace has ended: all errors, all slower than 30 ms, a hundredth of the rest

What did it cost?
  cpu_ns_per_span is CPU time per exported span, in two parts. On the service's threads: what the end of a span takes there
  (one of seven is timed), less what it takes when spans are dropped where they end, which is measured before for two seconds
  at the same rate (the calibration). On the pipeline's threads: what the process used, less the threads of the service, of
  its load and of the receiver. It has all encoding, compression and sending, and the kernel's part of them. It has not what
  a pipeline costs elsewhere by filling caches or the allocator. Expect a tenth more or less from run to run, and more on a
  busy machine. For figures to rely on there are the benches.

Exit code
  0  no span was lost: every one arrived, or is on disk for the next run (the words, and \"verdict\" in JSON, say which)
  1  some did not arrive, of either pipeline with --compare, or the demo could not run
  2  a flag cannot be used as it is
";
