//! Samplers that are replaced while they run: what is decided, what is counted, and what a bad configuration does, which is nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use parking_lot::Mutex;
use spanwright_core::{Event, Observer};
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, CompositeSampler, Outcome, Probability, ReloadableSampler, Rule, RuleBased, Sampler,
    StartingSpan,
};

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

fn span(kind: &SpanKind) -> StartingSpan<'_> {
    StartingSpan::new(None, TraceId::from(u128::MAX), "span", kind)
}

fn outcome(sampler: &impl Sampler) -> Outcome {
    sampler.sample(&span(&SpanKind::Server)).outcome
}

fn ruled(rules: &[&'static str]) -> RuleBased {
    let rules = rules
        .iter()
        .enumerate()
        .fold(RuleBased::builder(), |builder, (index, name)| {
            let rule = Rule::new(*name);
            // Only the first is for these spans.
            let rule = if index == 0 {
                rule
            } else {
                rule.when(spanwright_sampling::Predicate::name("other"))
            };
            builder.rule(rule.then(AlwaysOn))
        });
    rules.build().expect("rules")
}

#[test]
fn a_handle_replaces_the_sampler_at_once_and_counts_go_on() {
    let heard = Arc::new(Heard::default());
    let sampler = ReloadableSampler::builder()
        .with_initial(AlwaysOff)
        .with_observer(heard.clone())
        .build()
        .unwrap();
    let handle = sampler.handle();
    assert_eq!((handle.status().generation, handle.status().reloads), (1, 0));
    assert_eq!(outcome(&sampler), Outcome::Drop);
    assert_eq!(handle.replace(AlwaysOn), 2);
    assert_eq!(outcome(&sampler), Outcome::RecordAndSample);
    assert_eq!(handle.replace_sampler(CompositeSampler::new(AlwaysOff)), 3);
    assert_eq!(outcome(&sampler.clone()), Outcome::Drop, "clones are the same sampler");

    let stats = sampler.stats();
    assert_eq!((stats.kept(), stats.dropped()), (1, 2));
    let reasons: Vec<_> = stats.decisions.iter().map(|count| count.reason.as_str()).collect();
    assert_eq!(reasons, ["always_off", "always_on", "other"]);
    let status = handle.status();
    assert_eq!((status.generation, status.reloads, status.rejected), (3, 2, 0));
    assert_eq!(*heard.0.lock(), ["replaced by 2", "replaced by 3"]);
    assert_eq!(
        sampler.description(),
        "ReloadableSampler{CompositeSampler{ComposableAlwaysOff}}"
    );
}

#[test]
fn a_question_goes_through_to_the_sampler_inside_and_is_not_counted() {
    let sampler = ReloadableSampler::builder().with_initial(AlwaysOff).build().unwrap();
    sampler.handle().replace(ruled(&["first"]));
    let steps = sampler.explain(&span(&SpanKind::Server));
    assert!(steps.iter().any(|step| step.contains("first")), "{steps:?}");
    let stats = sampler.stats();
    assert_eq!((stats.kept(), stats.dropped(), stats.rules[0].kept), (0, 0, 0));
}

#[test]
fn rules_count_on_by_name_and_those_that_are_gone_keep_their_counts() {
    let sampler = ReloadableSampler::builder()
        .with_initial(ruled(&["a", "b"]))
        .build()
        .unwrap();
    let handle = sampler.handle();
    let rules = || {
        let rules = sampler.stats().rules.into_iter();
        rules
            .map(|rule| format!("{} {}", rule.rule, rule.kept))
            .collect::<Vec<_>>()
    };
    outcome(&sampler);
    assert_eq!(rules(), ["a 1", "b 0"]);
    handle.replace(ruled(&["b", "a"]));
    assert_eq!(rules(), ["b 0", "a 1"]);
    outcome(&sampler);
    assert_eq!(rules(), ["b 1", "a 1"]);
    handle.replace(ruled(&["c"]));
    outcome(&sampler);
    outcome(&sampler);
    assert_eq!(rules(), ["c 2", "a 1", "b 1"]);
    handle.replace(ruled(&["a"]));
    outcome(&sampler);
    assert_eq!(rules(), ["a 2", "b 1", "c 2"]);
}

/// Two samplers that each decide in a way of their own about every attribute of a decision.
#[test]
fn decisions_during_a_reload_are_those_of_the_old_sampler_or_the_new() {
    const ROUNDS: u64 = 300;
    let half = || Probability::new(0.5).unwrap();
    let sampler = ReloadableSampler::builder().with_initial(AlwaysOn).build().unwrap();
    let handle = sampler.handle();
    let is_over = AtomicBool::new(false);
    let decided: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut decided = 0;
                    // Relaxed: nothing is read by it but when to stop.
                    while !is_over.load(Ordering::Relaxed) {
                        let decision = sampler.sample(&span(&SpanKind::Server));
                        let th = decision.trace_state.get("ot").unwrap_or_default().to_owned();
                        match (decision.outcome, &*th) {
                            (Outcome::RecordAndSample, "th:0" | "th:8") | (Outcome::Drop, "") => decided += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                    decided
                })
            })
            .collect();
        for round in 0..ROUNDS {
            match round % 3 {
                0 => handle.replace(half()),
                1 => handle.replace(AlwaysOff),
                _ => handle.replace(AlwaysOn),
            };
            // A decision that begins now is the new one's.
            let is_sampled = outcome(&sampler) == Outcome::RecordAndSample;
            assert_eq!(is_sampled, round % 3 != 1);
        }
        is_over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    let stats = sampler.stats();
    assert_eq!(stats.kept() + stats.dropped(), decided + ROUNDS, "no decision is lost");
    assert_eq!(handle.status().generation, ROUNDS + 1);
}

#[test]
fn what_was_replaced_is_freed_with_its_last_decision() {
    #[derive(Debug)]
    struct Held(#[expect(dead_code, reason = "its owner is counted")] Arc<()>);
    impl spanwright_sampling::ComposableSampler for Held {
        fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> spanwright_sampling::Intent<'a> {
            AlwaysOn.sampling_intent(span).unreliable()
        }
        fn description(&self) -> String {
            "Held".to_owned()
        }
    }
    let life = Arc::new(());
    let sampler = ReloadableSampler::builder()
        .with_initial(Held(Arc::clone(&life)))
        .build()
        .unwrap();
    // Threads that have decided by it and live on must not keep it.
    thread::scope(|scope| {
        let (told, done) = std::sync::mpsc::channel::<()>();
        let (ready, readied) = std::sync::mpsc::channel();
        let sampler = &sampler;
        scope.spawn(move || {
            outcome(sampler);
            ready.send(()).unwrap();
            _ = done.recv();
        });
        readied.recv().unwrap();
        assert_eq!(Arc::strong_count(&life), 2);
        sampler.handle().replace(AlwaysOff);
        assert_eq!(Arc::strong_count(&life), 1);
        drop(told);
    });
}
