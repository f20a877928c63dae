//! What the end of a span adds on the application's thread.

use std::any::Any;
use std::ops::Add;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use spanwright_core::{Clock, SystemClock};

use crate::command::Failure;
use crate::load::{Rhythm, Spans};
use crate::measure::thread_cpu;
use crate::pipelines::Pipeline;
use crate::sample::Sample;
use crate::settings::Settings;

/// Spans between two looks at the clock, which is a system call: it costs a span a few nanoseconds, the same on every side.
const BATCH: usize = 64;

/// Batches that are not timed: the first span of a thread registers it, and the first batches make the connection.
const WARM_UP: usize = 32;

const PATIENCE: Duration = Duration::from_secs(30);

/// What it took: the thread's own CPU time, and the time that passed.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

/// Every thread prepares 64 spans, and ends them under the clock of its own CPU time; and so on, at a pace that the pipeline
/// behind can keep up with, or without a pause where the rate is 0.
pub(crate) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let (processor, account) = Pipeline::start(settings)?.into_processor();
    let barrier = Barrier::new(settings.threads);
    let cost = thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads)
            .map(|number| {
                let (processor, barrier) = (&*processor, &barrier);
                scope.spawn(move || application_thread(processor, barrier, settings, number))
            })
            .collect();
        let mut costs = threads.into_iter().map(thread::ScopedJoinHandle::join);
        costs.try_fold(Cost::default(), |sum, cost| Ok(sum + cost?))
    });
    let cost = cost.map_err(|_: Box<dyn Any + Send>| "a thread panicked")?;
    // What became of the spans is told by the account.
    let _ = processor.force_flush();
    let _ = processor.shutdown_with_timeout(PATIENCE);
    let measured = settings.threads * settings.batches * BATCH;
    let offered = settings.threads * (settings.batches + WARM_UP) * BATCH;
    let sample = Sample::default()
        .with_ns("cpu_ns", cost.cpu)
        .with_ns("wall_ns", cost.wall)
        .with("measured", measured);
    account.close(sample, offered as u64)
}

fn application_thread(processor: &dyn SpanProcessor, barrier: &Barrier, settings: &Settings, number: usize) -> Cost {
    let mut spans = Spans::new(number as u64);
    let mut batch: Vec<SpanData> = Vec::with_capacity(BATCH);
    barrier.wait();
    let mut rhythm = Rhythm::start(settings.rate, (BATCH * settings.threads) as u64);
    let mut prepare = |batch: &mut Vec<SpanData>| {
        rhythm.wait();
        batch.extend((0..BATCH).map(|_| spans.next()));
    };
    for _ in 0..WARM_UP {
        prepare(&mut batch);
        batch.drain(..).for_each(|span| processor.on_end(span));
    }
    let mut sum = Cost::default();
    for _ in 0..settings.batches {
        prepare(&mut batch);
        sum = sum + end_batch(processor, &mut batch);
    }
    sum
}

/// A function of its own, so that a profiler can be told to count this and nothing else.
#[inline(never)]
fn end_batch(processor: &dyn SpanProcessor, batch: &mut Vec<SpanData>) -> Cost {
    let (wall, cpu) = (SystemClock.now(), thread_cpu());
    for span in batch.drain(..) {
        processor.on_end(span);
    }
    Cost {
        cpu: thread_cpu() - cpu,
        wall: SystemClock.now() - wall,
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            wall: self.wall + other.wall,
        }
    }
}
