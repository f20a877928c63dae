//! Documents and files that are read while a sampler runs.
#![cfg(feature = "config")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use parking_lot::Mutex;
use spanwright_core::{Clock, Env, Event, ManualClock, Observer};
use spanwright_sampling::{AlwaysOff, Outcome, ReloadHandle, ReloadableSampler, Sampler, StartingSpan, Tick, Ticker};

const ON: &str = "always_on:";
const OFF: &str = "always_off:";

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: &Event<'_>) {
        let text = match event {
            Event::SamplerReplaced { generation } => format!("replaced by {generation}"),
            Event::SamplerRejected { error } => format!("rejected: {error}"),
            _ => return,
        };
        self.0.lock().push(text);
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// A directory of one test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("spanwright-reload-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn outcome(sampler: &ReloadableSampler) -> Outcome {
    let span = StartingSpan::new(None, TraceId::from(u128::MAX), "span", &SpanKind::Server);
    sampler.sample(&span).outcome
}

fn is_on(sampler: &ReloadableSampler) -> bool {
    outcome(sampler) == Outcome::RecordAndSample
}

fn following(path: &Path) -> (ReloadableSampler, ReloadHandle, Arc<Heard>, impl Fn() + use<>) {
    let heard = Arc::new(Heard::default());
    let sampler = ReloadableSampler::builder()
        .with_file(path)
        .with_env(Env::from_pairs([("RATIO", "0")]))
        .with_observer(heard.clone())
        .build()
        .expect("a good file");
    let handle = sampler.handle();
    let clock = ManualClock::new();
    let ticked = handle.clone();
    let tick = move || {
        clock.advance(Ticker::INTERVAL);
        ticked.tick(clock.now());
    };
    (sampler, handle, heard, tick)
}

#[test]
fn a_document_is_applied_at_once_and_a_bad_one_changes_nothing() {
    let heard = Arc::new(Heard::default());
    let sampler = ReloadableSampler::builder()
        .with_env(Env::from_pairs([("RATIO", "0")]))
        .with_observer(heard.clone())
        .build()
        .unwrap();
    let handle = sampler.handle();
    assert!(is_on(&sampler), "parentbased_always_on");
    assert_eq!(handle.reload_str("probability:\n  ratio: ${RATIO}").unwrap(), 2);
    assert!(!is_on(&sampler));

    let error = handle.reload_str("probability: {ratio: 2}").unwrap_err();
    assert_eq!((error.field(), error.value()), ("probability.ratio", "2"));
    assert!(!is_on(&sampler));
    let status = handle.status();
    assert_eq!((status.generation, status.reloads, status.rejected), (2, 1, 1));
    assert_eq!(status.last_error.expect("an error").to_string(), error.to_string());

    // What describes the sampler that there is, is no reload, but it is well.
    assert_eq!(handle.reload_str("{probability: {ratio: 0.0}}").unwrap(), 2);
    let status = handle.status();
    assert_eq!((status.generation, status.reloads, status.rejected), (2, 1, 1));
    assert!(status.last_error.is_none());

    assert_eq!(handle.reload_str(ON).unwrap(), 3);
    assert!(is_on(&sampler));
    assert_eq!(
        heard.take(),
        ["replaced by 2", &format!("rejected: {error}"), "replaced by 3"]
    );

    // A sampler from elsewhere in between is none that a document has described.
    handle.replace(AlwaysOff);
    assert_eq!(handle.reload_str(ON).unwrap(), 5);
    assert!(is_on(&sampler));
}

#[test]
fn a_service_does_not_start_with_a_file_that_cannot_be_used() {
    let directory = Directory::new();
    let build = |path: &Path| {
        ReloadableSampler::builder()
            .with_file(path)
            .build()
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(
        build(&directory.file("bad.yaml", "probability: {ratio: 2}")).field(),
        "probability.ratio"
    );
    let error = build(&directory.0.join("nowhere.yaml"));
    assert_eq!((error.field(), error.accepted()), ("file", "a file that can be read"));
    assert!(error.value().ends_with("nowhere.yaml"));
    assert_eq!(build(&directory.0).field(), "file", "a directory");
    let path = directory.0.join("binary.yaml");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(build(&path).accepted(), "a file with text in UTF-8");
    let path = directory.file("long.yaml", &"#".repeat(2 << 20));
    assert_eq!(build(&path).accepted(), "at most 1048576 bytes");
}

#[test]
fn a_file_that_is_written_is_applied_within_one_tick() {
    let directory = Directory::new();
    let path = directory.file("sampling.yaml", ON);
    let (sampler, handle, heard, tick) = following(&path);
    assert_eq!(handle.status().generation, 1, "the first document replaces nothing");
    tick();
    tick();
    assert!(is_on(&sampler));
    fs::write(&path, OFF).unwrap();
    assert!(is_on(&sampler), "nobody has looked yet");
    tick();
    assert!(!is_on(&sampler));
    assert_eq!(heard.take(), ["replaced by 2"]);
    // Long after the last change, too.
    (0..100).for_each(|_| tick());
    fs::write(&path, ON).unwrap();
    tick();
    assert!(is_on(&sampler));
    assert_eq!(heard.take(), ["replaced by 3"]);
}

/// As `kubelet` does it: the file is a link to `..data/file`, `..data` one to a directory, and that link is renamed over.
#[cfg(unix)]
#[test]
fn a_file_that_is_renamed_or_linked_elsewhere_is_applied_within_one_tick() {
    use std::os::unix::fs::symlink;

    let directory = Directory::new();
    let path = directory.file("renamed.yaml", ON);
    let (sampler, _, _, tick) = following(&path);
    fs::rename(directory.file("next", OFF), &path).unwrap();
    tick();
    assert!(!is_on(&sampler));

    for (version, text) in [("..1", ON), ("..2", OFF)] {
        fs::create_dir(directory.0.join(version)).unwrap();
        directory.file(&format!("{version}/file.yaml"), text);
    }
    symlink("..1", directory.0.join("..data")).unwrap();
    symlink("..data/file.yaml", directory.0.join("file.yaml")).unwrap();
    let (sampler, handle, _, tick) = following(&directory.0.join("file.yaml"));
    tick();
    assert!(is_on(&sampler));
    symlink("..2", directory.0.join("..next")).unwrap();
    fs::rename(directory.0.join("..next"), directory.0.join("..data")).unwrap();
    tick();
    assert!(!is_on(&sampler));
    fs::remove_dir_all(directory.0.join("..1")).unwrap();
    tick();
    assert_eq!((handle.status().generation, handle.status().rejected), (2, 0));
}

#[test]
fn a_bad_file_keeps_the_old_sampler_and_is_told_once() {
    let directory = Directory::new();
    let path = directory.file("sampling.yaml", OFF);
    let (sampler, handle, heard, tick) = following(&path);
    // Half of a document.
    fs::write(&path, "rule_based:\n  rules:\n    - name: a\n      sam").unwrap();
    (0..50).for_each(|_| tick());
    assert!(!is_on(&sampler));
    let status = handle.status();
    assert_eq!((status.generation, status.reloads, status.rejected), (1, 0, 1));
    assert!(status.last_error.is_some());
    assert_eq!(heard.take().len(), 1);
    // What was there before is well again, and no reload.
    fs::write(&path, OFF).unwrap();
    tick();
    let status = handle.status();
    assert_eq!((status.generation, status.reloads, status.rejected), (1, 0, 1));
    assert!(status.last_error.is_none());
    assert_eq!(heard.take(), [""; 0]);
}

#[test]
fn a_file_that_vanishes_keeps_the_sampler_until_it_is_there_again() {
    let directory = Directory::new();
    let path = directory.file("sampling.yaml", OFF);
    let (sampler, handle, heard, tick) = following(&path);
    fs::remove_file(&path).unwrap();
    (0..30).for_each(|_| tick());
    assert!(!is_on(&sampler));
    assert_eq!((handle.status().rejected, heard.take().len()), (1, 1));
    assert_eq!(handle.status().last_error.expect("an error").field(), "file");
    fs::write(&path, OFF).unwrap();
    tick();
    assert_eq!(
        (handle.status().generation, handle.status().last_error.is_none()),
        (1, true)
    );
    fs::remove_file(&path).unwrap();
    tick();
    fs::write(&path, ON).unwrap();
    tick();
    assert!(is_on(&sampler));
    assert_eq!((handle.status().generation, handle.status().rejected), (2, 2));
}

#[test]
fn the_processs_ticker_looks_at_the_file_by_itself() {
    struct Told(Mutex<Option<std::sync::mpsc::Sender<()>>>);
    impl Observer for Told {
        fn event(&self, event: &Event<'_>) {
            if let (Event::SamplerReplaced { .. }, Some(sender)) = (event, &*self.0.lock()) {
                _ = sender.send(());
            }
        }
    }
    let directory = Directory::new();
    let path = directory.file("sampling.yaml", ON);
    let (sender, told) = std::sync::mpsc::channel();
    let sampler = ReloadableSampler::builder()
        .with_file(&path)
        .with_observer(Arc::new(Told(Mutex::new(Some(sender)))))
        .spawn()
        .unwrap();
    fs::rename(directory.file("next", OFF), &path).unwrap();
    told.recv_timeout(Duration::from_secs(60)).expect("a replacement");
    assert!(!is_on(&sampler));
}

fn adaptive(ratio_of_others: f64) -> String {
    format!(
        "rule_based:\n  rules:\n    - name: busy\n      span_names: [span]\n      sampler: {{spanwright/adaptive: {{target_per_second: \
         10}}}}\n    - name: others\n      sampler: {{probability: {{ratio: {ratio_of_others}}}}}\n"
    )
}

/// Offers a thousand spans per second, and returns how many were kept in the last of `seconds`.
fn kept_per_second(sampler: &ReloadableSampler, handle: &ReloadHandle, now: &mut Instant, seconds: u32) -> u64 {
    let mut kept = 0;
    for _ in 0..seconds {
        let before = sampler.stats().kept();
        for tick in 0..10_u128 {
            for number in 0..100_u128 {
                // Spread evenly, so that a probability is kept exactly.
                let randomness = (tick * 100 + number) << 56 | 0xff;
                let trace_id = TraceId::from(1 << 64 | (randomness / 1000));
                let span = StartingSpan::new(None, trace_id, "span", &SpanKind::Server);
                sampler.sample(&span);
            }
            *now += Ticker::INTERVAL;
            handle.tick(*now);
        }
        kept = sampler.stats().kept() - before;
    }
    kept
}

#[test]
fn a_sampler_that_did_not_change_keeps_what_it_knows() {
    let heard = Arc::new(Heard::default());
    let sampler = ReloadableSampler::builder()
        .with_observer(heard.clone())
        .build()
        .unwrap();
    let handle = sampler.handle();
    let mut now = ManualClock::new().now();
    handle.reload_str(&adaptive(0.5)).unwrap();
    let settled = kept_per_second(&sampler, &handle, &mut now, 20);
    assert!((8..=12).contains(&settled), "{settled}");

    let share = || {
        let span = StartingSpan::new(None, TraceId::from(u128::MAX), "span", &SpanKind::Server);
        let steps = sampler.explain(&span);
        steps
            .into_iter()
            .find(|step| step.starts_with("adaptive"))
            .expect("its step")
    };
    let known = share();
    handle.reload_str(&adaptive(0.25)).unwrap();
    assert_eq!(share(), known, "it goes on as it was");
    let after = kept_per_second(&sampler, &handle, &mut now, 1);
    assert!((8..=12).contains(&after), "and is still ticked: {after}");
    let rules = sampler.stats().rules;
    assert_eq!(rules[0].kept + rules[0].dropped, 21_000, "{rules:?}");

    // With another target it begins anew.
    let known = share();
    handle.reload_str(&adaptive(0.25).replace("10}", "11}")).unwrap();
    assert_ne!(share(), known);
    assert_eq!(heard.take().len(), 3);
}
