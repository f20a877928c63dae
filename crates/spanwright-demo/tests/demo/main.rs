//! The built program, as people and scripts call it.
#![forbid(unsafe_code)]

mod outage;
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use spanwright_testing::{Mode, Receiver, Reply};

use self::support::{assert_law, count, demo, document, lost, run, run_json};

/// INVALID_ARGUMENT: no retry helps.
const PERMANENT: i32 = 3;

#[track_caller]
fn assert_everything_arrived(arguments: &str) -> Value {
    let (document, code) = run_json(arguments);
    assert_law(&document);
    let ended = count(&document, "ended");
    assert!(ended > 2 * count(&document, "requests"), "too few spans: {document:#}");
    for column in ["exported", "received"] {
        assert_eq!(count(&document, column), ended, "{column}: {document:#}");
    }
    assert_eq!(code, Some(0), "{document:#}");
    document
}

#[test]
fn every_span_arrives_over_grpc() {
    let document = assert_everything_arrived("");
    assert_eq!(document["pipeline"], "spanwright");
    assert_eq!(
        document["cpu_ns_per_span"],
        Value::Null,
        "without calibration there is no cost"
    );
}

#[test]
fn every_span_arrives_over_http() {
    assert_eq!(assert_everything_arrived("--protocol http")["protocol"], "http");
}

#[test]
fn compressed_spans_arrive_and_are_smaller() {
    let bytes_per_span = |arguments: &str| {
        let document = assert_everything_arrived(arguments);
        count(&document, "received_bytes") / count(&document, "ended")
    };
    let plain = bytes_per_span("--compression none");
    for compression in ["gzip", "zstd"] {
        let compressed = bytes_per_span(&format!("--compression {compression}"));
        assert!(compressed * 2 < plain, "{compression}: {compressed} B of {plain} B");
    }
}

#[test]
fn the_stock_pipeline_exports_the_same_workload() {
    for protocol in ["grpc", "http"] {
        let document = assert_everything_arrived(&format!("--pipeline stock --compression gzip --protocol {protocol}"));
        assert_eq!(document["pipeline"], "stock");
    }
}

#[test]
fn a_comparison_has_a_document_for_each_pipeline() {
    let (document, code) = run_json("--compare");
    for pipeline in ["spanwright", "stock"] {
        assert_law(&document[pipeline]);
        assert_eq!(document[pipeline]["pipeline"], pipeline);
    }
    assert_eq!(code, Some(0), "{document:#}");
}

#[test]
fn every_sampler_keeps_what_it_says_and_every_kept_span_arrives() {
    for (sampler, shares) in [
        ("always_on", 1.0..=1.0),
        ("ratio", 0.02..=0.25),
        // A busy machine may make fewer requests than the rates would keep.
        ("rate_limiting", 0.01..=1.0),
        ("adaptive", 0.01..=1.0),
        ("priority", 0.01..=0.6),
        ("rules", 0.01..=0.6),
        ("per_key", 0.01..=1.0),
        ("tail", 0.005..=0.9),
    ] {
        let (document, code) = run_json(&format!("--rate 400 --duration 2 --sampler {sampler}"));
        assert_law(&document);
        let (kept, dropped) = (count(&document, "traces_kept"), count(&document, "traces_dropped"));
        let share = kept as f64 / (kept + dropped) as f64;
        assert!(shares.contains(&share), "{sampler}: {share} of {document:#}");
        assert_eq!(
            count(&document, "received"),
            count(&document, "ended"),
            "{sampler}: {document:#}"
        );
        assert_eq!(code, Some(0), "{sampler}: {document:#}");
    }
}

#[test]
fn the_load_is_real_requests_that_the_service_answers_at_the_rate_asked_for() {
    let document = assert_everything_arrived("--rate 300");
    let requests = count(&document, "requests");
    assert_eq!(count(&document, "requests_served"), requests, "{document:#}");
    assert_eq!(count(&document, "requests_due"), 300, "{document:#}");
    assert!(requests <= 300, "{document:#}");
    assert!(document["duration_s"].as_f64().unwrap() >= 1.0, "{document:#}");
}

#[test]
fn what_a_receiver_refuses_for_good_is_lost_and_the_exit_code_says_so() {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn().unwrap();
    receiver.set_default(Reply::grpc_status(PERMANENT, "not today"));
    let endpoint = receiver.grpc_endpoint();

    let (document, code) = run_json(&format!("--endpoint {endpoint}"));
    assert_law(&document);
    assert_eq!(document["lost"]["permanent"], document["ended"], "{document:#}");
    let failure = document["last_failure"].as_str().unwrap();
    assert!(failure.contains("not today"), "{failure}");
    assert_eq!(document["received"], Value::Null, "that receiver is not ours to ask");
    assert_eq!(code, Some(1));

    let (document, code) = run_json(&format!("--endpoint {endpoint} --pipeline stock"));
    assert_law(&document);
    assert_eq!(document["lost"]["export_failed"], document["ended"], "{document:#}");
    assert_eq!(code, Some(1));
}

#[test]
fn what_a_receiver_rejects_is_neither_exported_nor_lost() {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn().unwrap();
    // One: the first request may have no more.
    receiver.script([Reply::partial_success(1, "too old")]);
    let (document, code) = run_json(&format!("--protocol http --endpoint {}", receiver.http_endpoint()));
    assert_law(&document);
    assert_eq!((count(&document, "rejected"), lost(&document)), (1, 0), "{document:#}");
    assert_eq!(code, Some(1), "it has not arrived");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_load_and_still_delivers_everything() {
    let mut child = demo("--json --rate 200 --duration 600 --no-calibrate")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(progress.next().unwrap().unwrap(), "spanwright");
    let line = progress.next().unwrap().unwrap();
    assert!(line.contains("requests/s") && line.contains("lost 0"), "{line}");

    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    progress.for_each(drop);
    let output = child.wait_with_output().unwrap();
    let document = document(&output.stdout);
    assert_law(&document);
    assert!(count(&document, "exported") > 0, "{document:#}");
    assert_eq!(output.status.code(), Some(0), "{document:#}");
}

#[cfg(unix)]
#[test]
fn a_calibrated_run_knows_what_a_span_costs_and_where() {
    let output = run("--json --rate 200 --duration 1.5s");
    let document = document(&output.stdout);
    let cost = |place: &str| document[format!("cpu_ns_per_span{place}")].as_f64().unwrap();
    assert!(cost("_on_pipeline_threads") > 0.0, "{document:#}");
    let sum = cost("_on_service_threads") + cost("_on_pipeline_threads");
    assert!((cost("") - sum).abs() <= 2.0, "{document:#}");
}

#[test]
fn people_get_a_table() {
    let output = run("--rate 200 --duration 1 --no-calibrate");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("Where is every span?"), "{table}");
    let law = table
        .lines()
        .find(|line| line.trim_start().starts_with("adds up"))
        .unwrap();
    assert!(law.contains("yes"), "{law}");
    assert!(table.contains("spans arrived"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn a_rate_that_no_machine_can_do_is_said_to_be_too_much() {
    let output = run("--rate 1_000_000 --duration 0.5 --no-calibrate");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("1 000 000 requests/s is too much for this machine"),
        "{table}"
    );
}

#[test]
fn a_flag_that_cannot_be_used_is_named_with_what_can() {
    for (arguments, message) in [
        (
            "--rate fast",
            "`--rate` cannot be `fast`; accepted: requests per second",
        ),
        ("--protocol udp", "`--protocol` cannot be `udp`; accepted: grpc, http"),
        ("--fast", "`--fast` is not known"),
        ("--outage 3..2", "`--outage` cannot be `3..2`"),
        (
            concat!("--spool ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "accepted: a directory, or a path where one can be made",
        ),
        (
            "--no-calibrate --endpoint http://[::1",
            "`--endpoint` cannot be `http://[::1`",
        ),
        (
            "--no-calibrate --pipeline stock --endpoint http://[::1",
            "`--endpoint` cannot be `http://[::1`",
        ),
    ] {
        let output = run(arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains(message), "{arguments}: {complaint}");
        assert_eq!(output.status.code(), Some(2), "{arguments}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
}

#[test]
fn help_lists_every_flag() {
    let output = run("--help");
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--compare",
        "--compression",
        "--duration",
        "--endpoint",
        "--json",
        "--no-calibrate",
        "--outage",
        "--outage-kind",
        "--pipeline",
        "--protocol",
        "--rate",
        "--sampler",
        "--spool",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    assert_eq!(output.status.code(), Some(0));
}
