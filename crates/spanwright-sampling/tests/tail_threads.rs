//! Many threads: every span comes out once, traces stay whole, memory stays bounded.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod tail_support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::TraceId;
use spanwright_sampling::{TailPolicy, TailSampler};

use self::tail_support::{Queue, Span, end, root, span, start};

const THREADS: u32 = 4;
const TRACES: u32 = 2_000;
const SPANS: u32 = 6;

/// Threads end spans of the same traces at the same time, while another one polls a clock that runs and looks at the memory.
#[test]
fn nothing_is_lost_or_split_between_threads() {
    let sampler = TailSampler::builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::budget(50))
        .with_policy(TailPolicy::probability(0.2))
        .with_max_age(Duration::from_millis(500))
        .with_max_bytes_per_trace(4096)
        .with_max_traces(300)
        .with_max_bytes(2 << 20)
        .with_kept_decisions(20_000)
        .with_dropped_decisions(20_000)
        .build()
        .unwrap();
    let is_over = AtomicBool::new(false);
    let id =
        |number: u32| TraceId::from(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let number = |trace: u32, span: u32| trace * 100 + span;
    let mut queues: Vec<Queue> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let sampler = &sampler;
                scope.spawn(move || {
                    let mut queue = Queue::new();
                    for trace in 0..TRACES {
                        let id = id(trace);
                        for index in 0..SPANS {
                            // Some traces have no root, some many spans after it, some an error in the last of them.
                            let number = number(trace, thread * SPANS + index);
                            let is_root = trace % 5 > 0 && index == SPANS - 1 && thread == trace % THREADS;
                            let base = if is_root { root(id, number) } else { span(id, number) };
                            let is_error = trace % 7 == 0 && index == 0;
                            end(
                                sampler,
                                &Span {
                                    is_error,
                                    len: 300,
                                    ..base
                                },
                                &mut queue,
                            );
                        }
                    }
                    queue
                })
            })
            .collect();
        let poll = scope.spawn(|| {
            let (mut queue, mut now) = (Queue::new(), start());
            let max_bytes = sampler.stats().max_bytes;
            while !is_over.load(Ordering::Relaxed) {
                now += Duration::from_millis(7);
                sampler.poll(now, &mut queue);
                assert!(sampler.held().bytes <= max_bytes);
                thread::yield_now();
            }
            sampler.drain(&mut queue);
            queue
        });
        let mut queues: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        queues.push(poll.join().unwrap());
        queues
    });

    assert_eq!(sampler.held().items, 0);
    let discarded: u64 = queues.iter().map(|queue| queue.discarded).sum();
    let released: Vec<_> = queues.iter_mut().flat_map(|queue| queue.take()).collect();
    assert_eq!(discarded + released.len() as u64, u64::from(THREADS * TRACES * SPANS));

    let mut by_trace: HashMap<u32, Vec<_>> = HashMap::new();
    for record in released {
        by_trace.entry(record.number / 100).or_default().push(record);
    }
    for (trace, records) in &by_trace {
        assert_eq!(records.len() as u32, THREADS * SPANS, "trace {trace} is not whole");
        let threshold = records[0].threshold();
        assert!(records.iter().all(|record| record.threshold() == threshold));
        let mut numbers: Vec<_> = records.iter().map(|record| record.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), records.len(), "trace {trace} has a span twice");
    }
    let stats = sampler.stats();
    assert_eq!(stats.kept(), by_trace.len() as u64);
    assert_eq!(stats.kept() + stats.dropped(), u64::from(TRACES));
}
