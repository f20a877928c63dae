//! The receiver goes away, and comes back or not.

use serde_json::Value;
use spanwright_testing::ScratchDir;

use super::support::{assert_law, count, lost, run, run_json};

#[track_caller]
fn assert_arrived(document: &Value, code: Option<i32>) {
    assert_law(document);
    let ended = count(document, "ended");
    for column in ["exported", "received"] {
        assert_eq!(count(document, column), ended, "{column}: {document:#}");
    }
    assert_eq!(
        (document["verdict"].as_str(), code),
        (Some("arrived"), Some(0)),
        "{document:#}"
    );
}

#[test]
fn an_outage_that_ends_costs_no_span_whatever_its_kind() {
    for kind in ["refuse", "hang", "exhausted"] {
        for protocol in ["grpc", "http"] {
            let arguments = format!("--duration 3 --outage 0.5..1.5 --outage-kind {kind} --protocol {protocol}");
            let (document, code) = run_json(&arguments);
            assert_arrived(&document, code);
            assert_eq!(document["outage"]["kind"], kind, "{document:#}");
            assert!(document["last_failure"].is_string(), "it has noticed: {document:#}");
        }
    }
}

#[test]
fn what_cannot_be_delivered_is_safe_on_disk_and_the_next_run_delivers_it() {
    let spool = ScratchDir::new().unwrap();
    let spool = spool.path().display();
    let (first, code) = run_json(&format!("--outage 0.5..1 --spool {spool}"));
    assert_law(&first);
    let spooled = count(&first, "spooled");
    assert!(spooled > 0, "{first:#}");
    assert_eq!((spooled, lost(&first)), (count(&first, "pending"), 0), "{first:#}");
    assert_eq!((first["verdict"].as_str(), code), (Some("safe"), Some(0)), "{first:#}");

    let (second, code) = run_json(&format!("--spool {spool}"));
    assert_arrived(&second, code);
    assert_eq!(count(&second, "recovered"), spooled, "{second:#}");
    assert_eq!(count(&second, "replayed"), spooled, "{second:#}");
}

#[test]
fn without_a_disk_an_outage_to_the_end_loses_and_says_so() {
    let output = run("--rate 200 --duration 1 --no-calibrate --outage 0.5..1");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("spans did not arrive"), "{table}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn people_are_told_that_the_spans_are_safe_and_how_to_deliver_them() {
    let spool = ScratchDir::new().unwrap();
    let spool = spool.path().display();
    let output = run(&format!(
        "--rate 200 --duration 1 --no-calibrate --outage 0.2..1 --spool {spool}"
    ));
    let (table, progress) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(table.contains("no span is lost"), "{table}");
    assert!(table.contains(&format!("`--spool {spool}` delivers them")), "{table}");
    assert!(
        progress.contains("breaker") && progress.contains("refuses"),
        "{progress}"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_stock_pipeline_loses_what_ours_keeps_in_the_same_outage() {
    let spool = ScratchDir::new().unwrap();
    let (document, code) = run_json(&format!("--compare --outage 0.2..1 --spool {}", spool.path().display()));
    let (ours, stock) = (&document["spanwright"], &document["stock"]);
    for pipeline in [ours, stock] {
        assert_law(pipeline);
    }
    assert_eq!(
        (ours["verdict"].as_str(), lost(ours)),
        (Some("safe"), 0),
        "{document:#}"
    );
    assert!(lost(stock) > 0, "{document:#}");
    assert_eq!(stock["spooled"], Value::Null, "it has no such thing");
    assert_eq!(
        (stock["verdict"].as_str(), code),
        (Some("missing"), Some(1)),
        "{document:#}"
    );
}
