//! Every scenario of the long runs, for a blink, through the real program.

use std::process::Command;

use serde_json::Value;
use spanwright_testing::ScratchDir;

fn soak(arguments: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_spanwright-soak"))
        .args(arguments.split_whitespace())
        .output()
        .expect("starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {error}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines = text.lines().filter(|line| !line.starts_with("# "));
    let sample = serde_json::from_str(lines.next().expect("a sample")).expect("JSON");
    assert_eq!(lines.next(), None);
    sample
}

#[test]
fn an_outage_with_a_spool_loses_nothing_and_says_how_long_it_took() {
    let scratch = ScratchDir::new().expect("a directory");
    let sample = soak(&format!(
        "outage --rate 2000 --before-ms 200 --outage-ms 300 --drain-ms 30000 --directory {}",
        scratch.path().display()
    ));
    assert_eq!(sample["is_drained"], true, "{sample}");
    assert_eq!(
        (&sample["lost"], &sample["pending"]),
        (&0.into(), &0.into()),
        "{sample}"
    );
    assert_eq!(sample["arrived"], sample["made"], "{sample}");
    // So short that no span may have ended in it.
    assert!(sample["p95_drain_ns"].is_u64(), "{sample}");
}

#[test]
fn an_outage_that_memory_holds_is_counted_on_both_sides() {
    for side in ["ours", "stock"] {
        let phases = "--before-ms 100 --outage-ms 200 --drain-ms 100";
        let sample = soak(&format!("memory --side {side} --rate 2000 {phases}"));
        assert_eq!(sample["made"], 800, "{sample}");
        let sum = sample["arrived"]
            .as_u64()
            .zip(sample["lost"].as_u64())
            .map(|(arrived, lost)| arrived + lost);
        assert_eq!(sum, Some(800), "{sample}");
        assert!(side == "stock" || sample["lost"] == 0, "{sample}");
    }
}

#[test]
fn a_slow_receiver_is_looked_at_ten_times_a_second() {
    let phases = "--before-ms 500 --outage-ms 500 --capacity 4 --service-time-ms 20";
    let sample = soak(&format!("receiver --rate 2000 {phases}"));
    for limits in ["limits_whole", "limits_half"] {
        let limits = sample[limits].as_array().expect("limits");
        // Five, where the machine has the time.
        assert!((1..=6).contains(&limits.len()), "{sample}");
    }
    let stock = soak(&format!("receiver --side stock --rate 2000 {phases}"));
    assert!(stock["per_second_whole"].as_f64() > Some(0.0), "{stock}");
}
