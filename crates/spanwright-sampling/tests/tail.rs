//! Traces are kept for what became of them, whole, with weights that are right.

mod tail_support;

use std::sync::Mutex;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;
use spanwright_core::semconv::Metric;
use spanwright_core::{Observer, Priority};
use spanwright_sampling::{TailDecision, TailPolicy, TailSampler, TailSamplerBuilder, TailSpan, Trigger};

use self::tail_support::{Queue, Span, end, root, span, start, th, trace};

/// Errors, slow ones, half of what is called `GET /half`, and a tenth of all.
fn usual() -> TailSamplerBuilder {
    TailSampler::builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::slower_than(Duration::from_secs(1)))
        .with_policy(TailPolicy::root_name(["GET /half"]).with_ratio(0.5))
        .with_policy(TailPolicy::probability(0.1))
        .with_entropy(|| 1 << 55)
}

fn only(policy: TailPolicy) -> TailSamplerBuilder {
    TailSampler::builder().with_policy(policy).with_entropy(|| 1 << 55)
}

#[test]
fn a_trace_is_held_until_its_local_root_ends_and_then_decided_about_as_a_whole() {
    let sampler = usual().build().unwrap();
    let mut queue = Queue::new();
    let (unlucky, lucky) = (trace(1, 0.5), trace(2, 0.95));
    for number in 0..3 {
        end(&sampler, &span(unlucky, number), &mut queue);
        end(&sampler, &span(lucky, 10 + number), &mut queue);
    }
    assert_eq!((queue.total(), sampler.held().items), (0, 6));
    assert_eq!(sampler.decision(unlucky), Some(TailDecision::Held { spans: 3 }));
    end(&sampler, &root(unlucky, 3), &mut queue);
    assert_eq!((queue.discarded, sampler.held().items), (4, 3));
    end(&sampler, &root(lucky, 13), &mut queue);
    assert_eq!(queue.take_numbers(), [10, 11, 12, 13]);
    assert_eq!((queue.discarded, sampler.held().items), (4, 0));
    let stats = sampler.stats();
    assert_eq!((stats.kept(), stats.dropped()), (1, 1));
    assert_eq!(stats.by_trigger(Trigger::RootEnded).kept, 1);
}

#[test]
fn each_reason_keeps_at_its_own_threshold_and_the_lowest_counts() {
    let sampler = usual().build().unwrap();
    let mut queue = Queue::new();
    let half = |span: Span| Span {
        name: "GET /half",
        ..span
    };
    let slow = Duration::from_secs(1);
    let rows = [
        ("error", root(trace(1, 0.0), 1).with_error(), th(1.0), "errors"),
        ("slow", root(trace(2, 0.0), 2).with_duration(slow), th(1.0), "slow"),
        ("half", half(root(trace(3, 0.5), 3)), th(0.5), "root_name"),
        (
            "half, and an error",
            half(root(trace(4, 0.5), 4)).with_error(),
            th(1.0),
            "errors",
        ),
        ("a tenth", root(trace(5, 0.9), 5), th(0.1), "probability"),
    ];
    for (what, span, threshold, policy) in rows {
        end(&sampler, &span, &mut queue);
        let released = queue.take();
        assert_eq!(released.len(), 1, "{what}");
        assert_eq!(released[0].threshold(), threshold, "{what}");
        let decision = TailDecision::Kept {
            policy: policy.to_owned(),
            threshold,
        };
        assert_eq!(sampler.decision(span.trace), Some(decision), "{what}");
    }
    for span in [
        half(root(trace(6, 0.49), 6)),
        root(trace(7, 0.89), 7),
        root(trace(8, 0.0), 8).with_duration(slow - Duration::from_micros(1)),
    ] {
        end(&sampler, &span, &mut queue);
    }
    assert_eq!((queue.take().len(), queue.discarded), (0, 3));
}

#[test]
fn a_record_comes_out_as_it_went_in() {
    let sampler = only(TailPolicy::errors()).build().unwrap();
    let mut queue = Queue::new();
    let id = trace(1, 0.1);
    let lens = [7, 8, 1000, 5000, 70_000, 100];
    for (number, len) in lens.into_iter().enumerate() {
        let span = Span {
            len,
            ..span(id, number as u32)
        };
        end(&sampler, &span, &mut queue);
    }
    end(&sampler, &root(id, 6).with_error(), &mut queue);
    let released = queue.take();
    let all: Vec<_> = released.iter().map(|record| (record.number, record.len)).collect();
    assert_eq!(
        all,
        [(0, 7), (1, 8), (2, 1000), (3, 5000), (4, 70_000), (5, 100), (6, 64)]
    );
    let lanes = released
        .iter()
        .map(|record| (record.class.priority, record.class.affinity));
    let affinity = u32::from(id.to_bytes()[15]);
    assert!(lanes.take(6).all(|lane| lane == (Priority::Normal, affinity)));
    let last = released.last().expect("seven").class;
    assert_eq!((last.priority, last.affinity), (Priority::High, affinity));
    assert!(
        released
            .iter()
            .all(|record| record.scope.index() == record.number as usize % 3)
    );
}

#[test]
fn the_threshold_of_the_head_is_only_raised() {
    let sampler = usual().build().unwrap();
    let mut queue = Queue::new();
    let rows = [
        // An error has the weight of its head.
        (root(trace(1, 0.95), 1).with_error().sampled("ot=th:c"), "ot=th:c"),
        // What is kept by luck, that of the rarer one.
        (root(trace(2, 0.95), 2).sampled("ot=th:8"), "ot=th:e6666666666666"),
        (root(trace(3, 0.99), 3).sampled("ot=th:fc"), "ot=th:fc"),
        // What was recorded only was not selected.
        (root(trace(4, 0.95), 4).with_error(), "ot=th:0"),
        // Members of others keep their order, ours comes first if it changed.
        (
            root(trace(5, 0.95), 5).with_error().sampled("a=1,ot=th:c;x:y,b=2"),
            "a=1,ot=th:c;x:y,b=2",
        ),
        (
            root(trace(6, 0.95), 6).sampled("a=1,ot=th:c;x:y,b=2"),
            "ot=th:e6666666666666;x:y,a=1,b=2",
        ),
        // The randomness is the explicit one: of the head and of the tail.
        (
            root(trace(7, 0.0), 7).sampled("ot=th:8;rv:f0000000000000"),
            "ot=th:e6666666666666;rv:f0000000000000",
        ),
    ];
    for (span, expected) in rows {
        end(&sampler, &span, &mut queue);
        let released = queue.take();
        assert_eq!(released.len(), 1, "{span:?}");
        assert_eq!(released[0].trace_state, expected);
    }
}

#[test]
fn where_the_head_does_not_say_what_a_span_stands_for_nobody_does() {
    let mut queue = Queue::new();
    // Sampled without a threshold, with one that the randomness contradicts, and with one that cannot be read.
    for (state, left) in [
        ("", ""),
        ("a=1", "a=1"),
        ("ot=th:8,a=1", "a=1"),
        ("ot=th:8;x:y", "ot=x:y"),
        ("ot=th:Z,a=1", "a=1"),
    ] {
        // The fresh randomness is 0.5 of the range, the trace's own 0.25.
        let keeps_half = only(TailPolicy::probability(0.5)).build().unwrap();
        end(&keeps_half, &root(trace(1, 0.25), 1).sampled(state), &mut queue);
        assert_eq!(queue.take()[0].trace_state, left, "{state}");
        let keeps_less = only(TailPolicy::probability(0.4)).build().unwrap();
        end(
            &keeps_less,
            &root(trace(1, 0.75), 1).sampled(if state.contains("th:8") { "" } else { state }),
            &mut queue,
        );
        assert_eq!(queue.take(), [], "{state}");
        // An error is kept all the same, and of no weight.
        let errors = only(TailPolicy::errors()).build().unwrap();
        end(
            &errors,
            &root(trace(1, 0.25), 1).with_error().sampled(state),
            &mut queue,
        );
        assert_eq!(queue.take()[0].trace_state, left, "{state}");
        assert!(
            errors
                .decision(trace(1, 0.25))
                .unwrap()
                .to_string()
                .contains("unknown meaning")
        );
    }
}

#[test]
fn a_head_that_records_everything_has_selected_nothing() {
    let sampler = usual().with_recording_head(true).build().unwrap();
    let mut queue = Queue::new();
    let rows = [
        (root(trace(1, 0.95), 1).with_error().sampled("ot=th:c"), "ot=th:0"),
        (root(trace(2, 0.95), 2).with_error().sampled("a=1"), "ot=th:0,a=1"),
        (root(trace(3, 0.95), 3).with_error(), "ot=th:0"),
        (root(trace(4, 0.95), 4).sampled("ot=th:ff"), "ot=th:e6666666666666"),
    ];
    for (span, expected) in rows {
        end(&sampler, &span, &mut queue);
        assert_eq!(queue.take()[0].trace_state, expected);
    }
}

#[test]
fn spans_of_one_trace_keep_their_own_trace_states() {
    let sampler = only(TailPolicy::probability(0.5)).build().unwrap();
    let mut queue = Queue::new();
    let id = trace(1, 0.9);
    for (number, state) in ["ot=th:0", "ot=th:c", "ot=th:c", "ot=th:4,a=1", ""]
        .into_iter()
        .enumerate()
    {
        end(&sampler, &span(id, number as u32).sampled(state), &mut queue);
    }
    end(&sampler, &span(id, 5), &mut queue);
    end(&sampler, &root(id, 6).sampled("ot=th:0"), &mut queue);
    let states: Vec<_> = queue.take().into_iter().map(|record| record.trace_state).collect();
    assert_eq!(
        states,
        ["ot=th:8", "ot=th:c", "ot=th:c", "ot=th:8,a=1", "", "ot=th:8", "ot=th:8"]
    );
}

#[test]
fn a_value_that_would_become_too_long_stays_without_a_threshold() {
    let sampler = only(TailPolicy::probability(0.1)).build().unwrap();
    let mut queue = Queue::new();
    let long = format!("ot=th:0;x:{}", "y".repeat(240));
    end(&sampler, &root(trace(1, 0.95), 1).sampled(&long), &mut queue);
    assert_eq!(queue.take()[0].trace_state, long.replace("th:0;", ""));
    assert_eq!(sampler.stats().aborted_writes, 1);
}

#[test]
fn late_spans_follow_the_decision_with_its_threshold() {
    let sampler = usual().build().unwrap();
    let mut queue = Queue::new();
    let (kept, dropped) = (trace(1, 0.95), trace(2, 0.5));
    end(&sampler, &root(kept, 1).sampled("ot=th:8"), &mut queue);
    end(&sampler, &root(dropped, 2), &mut queue);
    queue.take();
    // An error that comes late changes nothing: its trace was decided about. Nor does another local root.
    end(&sampler, &span(kept, 3).with_error().sampled("ot=th:8"), &mut queue);
    end(&sampler, &span(dropped, 4).with_error(), &mut queue);
    end(&sampler, &root(kept, 5).sampled("ot=th:8"), &mut queue);
    end(&sampler, &root(dropped, 6).with_error(), &mut queue);
    let released = queue.take();
    assert_eq!(released.iter().map(|record| record.number).collect::<Vec<_>>(), [3, 5]);
    assert!(released.iter().all(|record| record.threshold() == th(0.1)));
    let stats = sampler.stats();
    assert_eq!((stats.late_kept, stats.late_dropped, queue.discarded), (2, 2, 3));
    assert_eq!(stats.kept() + stats.dropped(), 2);
}

#[test]
fn within_the_cache_every_late_span_agrees() {
    const TRACES: u64 = 4_000;
    let sampler = usual()
        .with_kept_decisions(10_000)
        .with_dropped_decisions(10_000)
        .build()
        .unwrap();
    let mut queue = Queue::new();
    let mut random = fastrand::Rng::with_seed(3);
    let traces: Vec<_> = (0..TRACES).map(|number| trace(number, random.f64())).collect();
    let mut thresholds = Vec::new();
    for (number, id) in traces.iter().enumerate() {
        let is_error = random.u8(0..20) == 0;
        let root = Span {
            is_error,
            ..root(*id, number as u32)
        };
        end(&sampler, &root, &mut queue);
        thresholds.push(queue.take().first().and_then(|record| record.threshold()));
    }
    for (id, threshold) in traces.iter().zip(thresholds) {
        end(&sampler, &span(*id, 0), &mut queue);
        assert_eq!(queue.take().first().and_then(|record| record.threshold()), threshold);
    }
    assert_eq!(sampler.held().items, 0);
}

#[test]
fn a_trace_whose_root_does_not_end_is_decided_about_at_its_age() {
    let sampler = usual().with_max_age(Duration::from_secs(16)).build().unwrap();
    let mut queue = Queue::new();
    let now = start();
    assert_eq!(sampler.poll(now, &mut queue), Some(now + Duration::from_secs(1)));
    end(&sampler, &span(trace(1, 0.5), 1), &mut queue);
    end(&sampler, &span(trace(2, 0.5), 2).with_error(), &mut queue);
    sampler.poll(now + Duration::from_secs(8), &mut queue);
    end(&sampler, &span(trace(3, 0.5), 3).with_error(), &mut queue);
    sampler.poll(now + Duration::from_millis(15_999), &mut queue);
    assert_eq!(queue.total(), 0);
    sampler.poll(now + Duration::from_secs(16), &mut queue);
    assert_eq!((queue.take_numbers(), queue.discarded), (vec![2], 1));
    let aged = sampler.stats().by_trigger(Trigger::Age);
    assert_eq!((aged.kept, aged.dropped, sampler.held().items), (1, 1, 1));
    // A clock that goes back ages nobody and makes nobody younger.
    sampler.poll(now, &mut queue);
    sampler.poll(now + Duration::from_secs(24), &mut queue);
    assert_eq!(queue.take_numbers(), [3]);
}

#[test]
fn a_trace_that_becomes_too_large_is_decided_about_and_the_rest_follows() {
    let by_spans = usual().with_max_spans_per_trace(3).build().unwrap();
    let by_bytes = usual().with_max_bytes_per_trace(1024).build().unwrap();
    for (sampler, len) in [(by_spans, 64), (by_bytes, 300)] {
        let mut queue = Queue::new();
        let (good, bad) = (trace(1, 0.5), trace(2, 0.5));
        for number in 0..10 {
            end(
                &sampler,
                &Span {
                    len,
                    ..span(good, number)
                },
                &mut queue,
            );
        }
        assert_eq!((queue.released.len(), queue.discarded), (0, 10));
        for number in 0..10 {
            // The fourth, which is one too many, brings the reason.
            let span = Span {
                len,
                is_error: number == 3,
                ..span(bad, number)
            };
            end(&sampler, &span, &mut queue);
        }
        assert_eq!(queue.take_numbers(), (0..10).collect::<Vec<_>>());
        let stats = sampler.stats();
        let large = stats.by_trigger(Trigger::TraceSize);
        assert_eq!((large.kept, large.dropped), (1, 1));
        assert_eq!((stats.late_kept, stats.late_dropped), (6, 6));
    }
}

#[test]
fn a_span_that_is_larger_than_a_trace_may_be_is_decided_about_at_once() {
    let sampler = usual().with_max_bytes_per_trace(1024).build().unwrap();
    let mut queue = Queue::new();
    let large = |number, share, is_error| Span {
        len: 4096,
        is_error,
        ..span(trace(number, share), number as u32)
    };
    end(&sampler, &large(1, 0.5, false), &mut queue);
    end(&sampler, &large(2, 0.5, true), &mut queue);
    end(&sampler, &large(3, 0.95, false), &mut queue);
    assert_eq!(
        (queue.take_numbers(), queue.discarded, sampler.held().items),
        (vec![2, 3], 1, 0)
    );
}

#[test]
fn without_room_the_oldest_goes_with_a_decision() {
    let small = |max_bytes| {
        usual()
            .with_max_bytes_per_trace(4096)
            .with_max_traces(1000)
            .with_kept_decisions(4000)
            .with_dropped_decisions(4000)
            .with_max_bytes(max_bytes)
            .build()
    };
    let error = small(0).unwrap_err();
    assert_eq!(error.field(), "max_bytes");
    let least: usize = error
        .to_string()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .max()
        .unwrap();
    let sampler = small(least + 100_000).unwrap();
    let mut queue = Queue::new();
    let mut random = fastrand::Rng::with_seed(9);
    let mut errors = Vec::new();
    for number in 0..1000_u32 {
        let is_error = number % 10 == 0;
        let id = trace(number.into(), random.f64() * 0.89);
        if is_error {
            errors.push(number);
        }
        end(
            &sampler,
            &Span {
                is_error,
                len: 900,
                ..span(id, number)
            },
            &mut queue,
        );
        let stats = sampler.stats();
        assert!(stats.bytes <= stats.max_bytes, "{stats:?}");
    }
    let evicted = sampler.stats().by_trigger(Trigger::Memory);
    assert!(evicted.kept > 50 && evicted.dropped > 500, "{evicted:?}");
    assert!(sampler.drain(&mut queue));
    let mut kept = queue.take_numbers();
    kept.sort_unstable();
    assert_eq!(kept, errors, "no error is lost, nothing else had a reason");
    assert_eq!(queue.discarded + kept.len() as u64, 1000);
}

#[test]
fn a_shutdown_decides_about_everything_as_far_as_there_is_room() {
    let sampler = usual().build().unwrap();
    let mut queue = Queue::new();
    for number in 0..20 {
        let is_error = number % 2 == 0;
        end(
            &sampler,
            &Span {
                is_error,
                ..span(trace(number.into(), 0.1), number)
            },
            &mut queue,
        );
    }
    queue.room = 4;
    assert!(!sampler.drain(&mut queue));
    let mut kept = queue.take_numbers();
    assert_eq!(kept.len(), 4);
    queue.room = usize::MAX;
    assert!(sampler.drain(&mut queue));
    kept.extend(queue.take_numbers());
    kept.sort_unstable();
    assert_eq!(kept, (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!((queue.discarded, sampler.held().items), (10, 0));
    let stats = sampler.stats().by_trigger(Trigger::Shutdown);
    assert_eq!((stats.kept, stats.dropped), (10, 10));
}

#[test]
fn attributes_of_any_span_count_and_slow_is_what_is_slow_for_its_name() {
    let sampler = TailSampler::builder()
        .with_policy(TailPolicy::attribute("tenant", ["gold"]))
        .with_policy(TailPolicy::slower_than_quantile_by_name(0.95))
        .build()
        .unwrap();
    let mut queue = Queue::new();
    let gold = Span {
        attributes: vec![KeyValue::new("tenant", "gold")],
        ..span(trace(0, 0.0), 0)
    };
    end(&sampler, &gold, &mut queue);
    end(&sampler, &root(gold.trace, 1), &mut queue);
    assert_eq!(queue.take_numbers(), [0, 1]);

    let now = start();
    let mut number = 1;
    let mut request = |name, millis| {
        number += 1;
        let root = root(trace(number, 0.0), 0).with_duration(Duration::from_millis(millis));
        end(&sampler, &Span { name, ..root }, &mut queue);
        queue.take().len()
    };
    for _ in 0..200 {
        request("GET /fast", 10);
        request("GET /report", 5000);
    }
    sampler.poll(now, &mut Queue::new());
    sampler.poll(now + Duration::from_secs(2), &mut Queue::new());
    assert_eq!(request("GET /fast", 10), 0);
    assert_eq!(request("GET /fast", 20), 1);
    assert_eq!(request("GET /report", 5000), 0);
    assert_eq!(request("GET /report", 9000), 1);
}

#[test]
fn a_decision_is_explained_in_words() {
    let sampler = usual().build().unwrap();
    let context = SpanContext::new(
        trace(1, 0.5),
        opentelemetry::SpanId::from(1),
        Default::default(),
        false,
        Default::default(),
    );
    let child = TailSpan::new(&context, "query");
    let root = TailSpan::new(&context, "GET /half")
        .with_local_root(true)
        .with_duration(Duration::from_secs(2));
    assert_eq!(
        sampler.explain(&[child.with_error(true), child, root]),
        [
            "policy `errors`: 1 of 3 spans with an error: at th:0",
            "policy `slow`: the local root took 2s, 1s or more: at th:0",
            "policy `root_name`: the local root is called `GET /half`: at th:8",
            "policy `probability`: wants a share of all traces: at th:e6666666666666",
            "kept: randomness 80000000000000 >= threshold 0 of policy `errors`",
        ]
    );
    assert_eq!(
        sampler.explain(&[child]).last().unwrap(),
        "dropped: randomness 80000000000000 < threshold e6666666666666 of policy `probability`"
    );
    let errors = only(TailPolicy::errors()).build().unwrap();
    assert_eq!(errors.explain(&[child]), ["dropped: no policy wants it"]);
    let budget = only(TailPolicy::budget(3)).build().unwrap();
    assert!(budget.explain(&[child])[1].starts_with("up to the budget"));
    assert_eq!(
        (sampler.stats().kept(), sampler.held().items),
        (0, 0),
        "nothing is counted"
    );
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn count(&self, metric: &'static Metric, delta: i64, attributes: &[(&'static str, &str)]) {
        let values: Vec<_> = attributes.iter().map(|(_, value)| *value).collect();
        let name = metric.name.rsplit('.').next().unwrap_or_default();
        self.0
            .lock()
            .expect("no panic")
            .push(format!("{name} {} {delta:+}", values.join(",")));
    }
}

#[test]
fn counts_are_published_as_far_as_they_changed() {
    let sampler = usual().build().unwrap();
    let before = sampler.stats();
    let mut queue = Queue::new();
    end(&sampler, &root(trace(1, 0.5), 1).with_error(), &mut queue);
    end(&sampler, &root(trace(2, 0.5), 2), &mut queue);
    end(&sampler, &span(trace(2, 0.5), 3), &mut queue);
    end(&sampler, &span(trace(3, 0.5), 4), &mut queue);
    sampler.drain(&mut queue);
    let heard = Heard::default();
    let mut now = sampler.stats();
    now.bytes = before.bytes;
    now.publish(&before, &heard);
    now.publish(&now, &heard);
    assert_eq!(
        heard.0.into_inner().unwrap(),
        [
            "traces kept,errors +1",
            "traces dropped,probability +2",
            "evicted dropped,shutdown +1",
            "late_spans dropped +1",
        ]
    );
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_with_its_name() {
    let field = |builder: TailSamplerBuilder| builder.build().unwrap_err().field().to_owned();
    assert_eq!(field(TailSampler::builder()), "policies");
    assert_eq!(field(usual().with_max_traces(1)), "max_traces");
    assert_eq!(field(usual().with_kept_decisions(0)), "kept_decisions");
    assert_eq!(field(usual().with_dropped_decisions(usize::MAX)), "dropped_decisions");
    assert_eq!(field(usual().with_max_spans_per_trace(0)), "max_spans_per_trace");
    assert_eq!(field(usual().with_max_bytes_per_trace(1)), "max_bytes_per_trace");
    assert_eq!(field(usual().with_max_age(Duration::MAX)), "max_age");
    assert_eq!(field(usual().with_max_bytes(1 << 20)), "max_bytes");
}
