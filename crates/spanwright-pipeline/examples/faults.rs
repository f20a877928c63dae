//! Ends spans at a steady pace while the way to the receiver has its faults, and prints what became of them.
//!
//! `faults --endpoint URL --spans N` makes a thousand a second, in requests of fifty. On standard output there is one JSON object: the
//! ledger's `ended`, `exported`, `rejected`, `lost` and `pending`, and the `span_ids` in hexadecimal digits. `cargo xtask interop` compares
//! them with what arrived behind proxies and servers that others have written.

use std::error::Error;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use opentelemetry::trace::{Span as _, Tracer};
use serde_json::json;
use spanwright_core::{Clock, SystemClock};
use spanwright_pipeline::{BatchConfig, Pipeline};

/// Spans of a tick, which come a hundred times a second.
const SPANS_OF_A_TICK: usize = 10;
const TICK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, spans) = arguments()?;
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(endpoint)
        .with_service_name("faults")
        .with_batch_config(BatchConfig::default().with_max_export_batch_size(50))
        .build()?;
    let tracer = pipeline.tracer("faults");
    let mut span_ids = Vec::with_capacity(spans);
    // Nobody ever sends: waiting for it is the pace.
    let (_sender, never): (_, Receiver<()>) = channel();
    let mut next = SystemClock.now();
    while span_ids.len() < spans {
        for _ in 0..SPANS_OF_A_TICK {
            let span = tracer.start("work");
            span_ids.push(span.span_context().span_id().to_string());
        }
        next += TICK;
        _ = never.recv_timeout(next.saturating_duration_since(SystemClock.now()));
    }
    pipeline.shutdown(PATIENCE)?;
    let ledger = pipeline.stats().ledger();
    ledger.check()?;
    let document = json!({
        "ended": ledger.ended,
        "exported": ledger.exported,
        "rejected": ledger.rejected,
        "lost": ledger.lost.total(),
        "pending": ledger.pending,
        "span_ids": span_ids,
    });
    println!("{document}");
    Ok(())
}

fn arguments() -> Result<(String, usize), Box<dyn Error>> {
    let (mut endpoint, mut spans) = (None, 1_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{flag}` has no value"))?;
        match flag.as_str() {
            "--endpoint" => endpoint = Some(value),
            "--spans" => spans = value.parse().map_err(|error| format!("{flag} {value}: {error}"))?,
            _ => return Err(format!("there is no flag `{flag}`").into()),
        }
    }
    Ok((endpoint.ok_or("--endpoint is needed")?, spans))
}
