//! The figures for programs.

use serde_json::{Value, json};

use crate::args::Args;
use crate::choices::Kind;
use crate::endpoint::Endpoint;
use crate::outage::Outage;
use crate::run::Outcome;

/// All figures of a run. What is not known is null.
pub(super) fn of(outcome: &Outcome, args: &Args) -> Value {
    let Outcome {
        account,
        load,
        target,
        cost,
        received,
        ..
    } = outcome;
    let own = |count: u64| (outcome.kind == Kind::Spanwright).then_some(count);
    json!({
        "pipeline": outcome.kind.to_string(),
        "protocol": target.protocol.to_string(),
        "compression": target.compression.to_string(),
        "endpoint": target.endpoint,
        "outage": args.outage.as_ref().map(outage),
        "spool": target.spool.as_ref().map(|directory| directory.display().to_string()),
        "verdict": outcome.verdict().as_str(),
        "ended": account.ended,
        "recovered": own(account.recovered),
        "exported": account.exported,
        "replayed": own(account.replayed),
        "rejected": account.rejected,
        "lost": account.lost,
        "pending": account.pending,
        "parked": own(account.parked),
        "parked_at_most": own(outcome.most.parked),
        "spooled": own(account.spooled),
        "spooled_at_most": own(outcome.most.spooled),
        "received": received.map(|received| received.spans),
        "received_again": received.and_then(|received| received.again),
        "received_bytes": received.map(|received| received.bytes),
        "endpoints": outcome.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "traces_kept": outcome.kept.kept,
        "traces_dropped": outcome.kept.dropped,
        "requests": load.answered,
        "requests_due": load.due,
        "requests_failed": load.failed,
        "requests_served": outcome.served,
        "duration_s": load.duration.as_secs_f64(),
        "cpu_ns_per_span": cost.map(|cost| cost.total().round()),
        "cpu_ns_per_span_on_service_threads": cost.map(|cost| cost.service.round()),
        "cpu_ns_per_span_on_pipeline_threads": cost.map(|cost| cost.pipeline.round()),
        "spool_error": outcome.disk_trouble,
        "last_failure": outcome.trouble,
        "shutdown_error": outcome.complaint,
    })
}

fn outage(outage: &Outage) -> Value {
    json!({
        "kind": outage.kind.to_string(),
        "start_s": outage.start.as_secs_f64(),
        "end_s": outage.end.as_secs_f64(),
    })
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "url": endpoint.url,
        "breaker": endpoint.breaker,
        "breaker_opened": endpoint.opened,
        "concurrency_limit": endpoint.limit,
    })
}
