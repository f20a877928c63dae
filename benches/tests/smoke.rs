//! Every scenario, for a blink, through the real programs.

use std::process::{Command, Output};

use serde_json::Value;
use spanwright_testing::{Mode, Receiver};

const SIDES: [&str; 3] = ["noop", "ours", "stock"];

fn run(program: &str, arguments: &str) -> Output {
    Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .expect("starts")
}

fn sample(program: &str, arguments: &str) -> Value {
    let output = run(program, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {error}");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

fn measure(arguments: &str) -> Value {
    sample(env!("CARGO_BIN_EXE_spanwright-bench"), arguments)
}

/// Adds up a side's own account: the law for ours, and what can be said of the others.
fn assert_account(sample: &Value) {
    let count = |name: &str| sample[name].as_u64().unwrap_or_else(|| panic!("no {name} in {sample}"));
    assert!(count("offered") > 0, "{sample}");
    match sample["side"].as_str() {
        Some("ours") => {
            let accounted = count("exported") + count("rejected") + count("lost") + count("pending");
            assert_eq!(
                (count("ended"), accounted),
                (count("offered"), count("offered")),
                "{sample}"
            );
        }
        Some("stock") => assert_eq!(count("exported") + count("lost"), count("offered"), "{sample}"),
        Some("noop") => assert_eq!(sample["exported"], Value::Null),
        _ => panic!("no side in {sample}"),
    }
}

#[test]
fn end_to_end_exports_what_it_makes_and_tells_what_it_costs() {
    for compression in ["false", "true"] {
        for side in SIDES {
            let receiver = Receiver::builder()
                .with_mode(Mode::Count)
                .spawn()
                .expect("a port is free");
            let sample = measure(&format!(
                "end_to_end --side {side} --endpoint {} --gzip {compression} --rate 2000 --duration-ms 200",
                receiver.grpc_endpoint()
            ));
            assert_account(&sample);
            assert!(sample["cpu_ns"].as_u64() > Some(0));
            assert_eq!(sample["measured_offered"], 400);
            let counts = receiver.counts();
            let exported = sample["exported"].as_u64().unwrap_or_default();
            assert_eq!(counts.accepted_spans, exported, "{sample}");
            assert_eq!(exported, if side == "noop" { 0 } else { 600 }, "{sample}");
            assert_eq!(
                counts.compressed_bytes < counts.decoded_bytes,
                compression == "true" && side != "noop"
            );
        }
    }
}

#[test]
fn a_feed_tells_what_is_delivered_meanwhile_and_what_is_lost() {
    for side in SIDES {
        let receiver = Receiver::builder()
            .with_mode(Mode::Count)
            .spawn()
            .expect("a port is free");
        let sample = measure(&format!(
            "feed --side {side} --endpoint {} --rate 20000 --duration-ms 200 --max-queue-size 600",
            receiver.grpc_endpoint()
        ));
        assert_account(&sample);
        assert!(sample["elapsed_ns"].as_u64() >= Some(200_000_000));
        let exported = sample["exported"].as_u64().unwrap_or_default();
        assert!(sample["delivered_meanwhile"].as_u64() <= Some(exported));
        assert_eq!(receiver.accepted_spans(), exported, "{sample}");
    }
}

#[test]
fn on_end_measures_every_thread_and_no_more_than_what_it_says() {
    for side in SIDES {
        let sample = measure(&format!("on_end --side {side} --threads 2 --rate 100000 --batches 5"));
        assert_account(&sample);
        assert_eq!(sample["measured"], 2 * 5 * 64);
        assert!(sample["cpu_ns"].as_u64() > Some(0) && sample["wall_ns"].as_u64() > Some(0));
    }
}

#[test]
fn encoding_writes_the_same_bytes_on_both_sides() {
    let bytes = |side: &str| {
        let sample = measure(&format!("encode --side {side} --batches 2"));
        assert_eq!(sample["measured"], 1024);
        sample["bytes"].as_u64()
    };
    assert_eq!(bytes("noop"), Some(0));
    assert!(bytes("ours") > Some(372 * 1024));
    assert_eq!(bytes("ours"), bytes("stock"));
}

#[test]
fn allocations_are_counted_by_a_program_of_their_own() {
    let allocations = |side: &str| {
        let program = env!("CARGO_BIN_EXE_spanwright-bench-allocations");
        sample(program, &format!("encode --side {side} --batches 2"))["allocations"].as_u64()
    };
    assert_eq!(allocations("ours"), Some(0));
    assert!(allocations("stock") > Some(10 * 1024));
}

#[test]
fn an_outage_holds_or_loses_every_span() {
    for side in SIDES {
        let sample = measure(&format!("outage --side {side} --rate 1000 --duration-ms 200"));
        assert_account(&sample);
        assert!(sample["peak_bytes"].as_u64() >= sample["start_bytes"].as_u64());
        assert_eq!(sample["exported"].as_u64().unwrap_or_default(), 0);
        if side == "ours" {
            assert_eq!(
                (&sample["held_spans"], &sample["lost"]),
                (&200.into(), &200.into()),
                "{sample}"
            );
        }
    }
}

#[test]
fn what_cannot_be_used_is_told_on_the_error_stream() {
    let program = env!("CARGO_BIN_EXE_spanwright-bench");
    for (arguments, status, complaint) in [
        ("sleep", 2, "usage: spanwright-bench encode|end_to_end|feed"),
        ("encode --side", 1, "--side needs a value"),
        ("feed --max-queue-size 0", 1, "max_queue_size"),
    ] {
        let output = run(program, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments}");
        assert!(error.contains(complaint) && output.stdout.is_empty(), "{error}");
    }
}
