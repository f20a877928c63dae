//! Datadog's sampler, measured as `spanwright-bench sample` measures ours: one sample a process, as a line of JSON.
//!
//! ```text
//! spanwright-bench-libdd sample --side libdd --case probability|adaptive|rules [--threads N] [--batches N]
//! ```
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use libdd_sampling::{AttributeLike, DatadogSampler, SamplingData, SamplingRule, SpanProperties, TraceIdLike, ValueLike};

/// As in `benches/src/sampling.rs`.
const BATCH: usize = 512;
const WARM_UP: usize = 100;
const NAME: &str = "GET /api/v9/orders/{id}";
const RARE: f64 = 1e-6;

struct Settings {
    case: String,
    threads: usize,
    batches: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match settings(&arguments).and_then(|settings| Ok((sampler(&settings.case)?, settings))) {
        Ok((sampler, settings)) => {
            println!("{}", measure(&sampler, &settings));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("spanwright-bench-libdd: {failure}");
            ExitCode::from(2)
        }
    }
}

fn settings(arguments: &[String]) -> Result<Settings, String> {
    let [scenario, pairs @ ..] = arguments else {
        return Err("a scenario is needed: sample".into());
    };
    if scenario != "sample" {
        return Err(format!("there is no scenario `{scenario}`; accepted: sample"));
    }
    let mut settings = Settings {
        case: String::new(),
        threads: 1,
        batches: 1000,
    };
    for pair in pairs.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} needs a value", pair[0]));
        };
        let number = || value.parse::<usize>().map_err(|error| format!("{name} {value}: {error}"));
        match name.as_str() {
            "--case" => settings.case.clone_from(value),
            "--side" => {}
            "--threads" => settings.threads = number()?.max(1),
            "--batches" => settings.batches = number()?,
            _ => return Err(format!("there is no setting {name}")),
        }
    }
    Ok(settings)
}

fn sampler(case: &str) -> Result<DatadogSampler, String> {
    const NO_LIMIT: i32 = -1;
    let catch_all = |rate| SamplingRule::new(rate, None, None, None, None, None);
    match case {
        "probability" => Ok(DatadogSampler::new(vec![catch_all(RARE)], NO_LIMIT)),
        "adaptive" => Ok(DatadogSampler::new(vec![catch_all(1.0)], 1)),
        "rules" => {
            let rule = |number| {
                let resource = format!("GET /api/v{number}/*");
                SamplingRule::new(RARE, None, None, Some(resource), None, None)
            };
            Ok(DatadogSampler::new((0..10).map(rule).collect(), NO_LIMIT))
        }
        _ => Err(format!("there is no case `{case}`; accepted: probability, adaptive, rules")),
    }
}

fn measure(sampler: &DatadogSampler, settings: &Settings) -> String {
    let start = Barrier::new(settings.threads);
    let (mut wall_ns, mut kept) = (0, 0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    let mut ids = Ids(thread as u64 + 1);
                    let spans: Vec<_> = (0..BATCH).map(|_| Span { trace_id: Id(ids.next()) }).collect();
                    (0..WARM_UP).for_each(|_| _ = batch(sampler, &spans));
                    start.wait();
                    let begun = Instant::now();
                    let kept: usize = (0..settings.batches).map(|_| batch(sampler, &spans)).sum();
                    (begun.elapsed().as_nanos(), kept)
                })
            })
            .collect();
        for thread in threads {
            if let Ok((ns, count)) = thread.join() {
                wall_ns += ns;
                kept += count;
            }
        }
    });
    let measured = settings.threads * settings.batches * BATCH;
    format!(r#"{{"scenario":"sample","side":"libdd","measured":{measured},"wall_ns":{wall_ns},"kept":{kept}}}"#)
}

#[inline(never)]
fn batch(sampler: &DatadogSampler, spans: &[Span]) -> usize {
    let kept = spans.iter().filter(|span| {
        let result = black_box(sampler.sample(black_box(*span)));
        result.get_priority().is_keep()
    });
    kept.count()
}

/// Splitmix64, as in `benches/src/sampling.rs`.
struct Ids(u64);

impl Ids {
    fn next(&mut self) -> u128 {
        let mut half = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        u128::from(half()) << 64 | u128::from(half())
    }
}

#[derive(Clone, Eq, PartialEq)]
struct Id(u128);

impl TraceIdLike for Id {
    fn to_u128(&self) -> u128 {
        self.0
    }
}

/// A server's span, with what rules may ask for.
struct Span {
    trace_id: Id,
}

struct Properties;

struct NoAttribute;

impl SamplingData for Span {
    type TraceId = Id;
    type Properties<'a> = Properties;

    fn is_parent_sampled(&self) -> Option<bool> {
        None
    }

    fn trace_id(&self) -> &Id {
        &self.trace_id
    }

    fn with_span_properties<S, T, F: Fn(&S, &Properties) -> T>(&self, s: &S, f: F) -> T {
        f(s, &Properties)
    }
}

impl SpanProperties for Properties {
    type Attribute<'a> = NoAttribute;

    fn operation_name(&self) -> Cow<'_, str> {
        Cow::Borrowed("http.server.request")
    }

    fn service(&self) -> Cow<'_, str> {
        Cow::Borrowed("shop")
    }

    fn env(&self) -> Cow<'_, str> {
        Cow::Borrowed("production")
    }

    fn resource(&self) -> Cow<'_, str> {
        Cow::Borrowed(NAME)
    }

    fn status_code(&self) -> Option<u32> {
        None
    }

    fn attributes(&self) -> impl Iterator<Item = NoAttribute> + '_ {
        std::iter::empty()
    }

    fn get_alternate_key<'b>(&self, _: &'b str) -> Option<Cow<'b, str>> {
        None
    }
}

impl AttributeLike for NoAttribute {
    type Value = Self;

    fn key(&self) -> &str {
        ""
    }

    fn value(&self) -> &Self {
        self
    }
}

impl ValueLike for NoAttribute {
    fn as_float(&self) -> Option<f64> {
        None
    }

    fn as_str(&self) -> Option<Cow<'_, str>> {
        None
    }
}
