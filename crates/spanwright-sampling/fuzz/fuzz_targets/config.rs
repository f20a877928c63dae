//! Any text is a configuration or an error, and every configuration makes a sampler.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use spanwright_core::Env;
use spanwright_sampling::{ReloadableSampler, Sampler, SamplerConfig, StartingSpan};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let env = Env::from_pairs([("A", "0.5"), ("B", "{c: [d")]);
    let config = match SamplerConfig::parse(text, &env) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.field().is_empty() && !error.accepted().is_empty());
            return;
        }
    };
    // The same text says the same.
    assert_eq!(SamplerConfig::parse(text, &env).ok().as_ref(), Some(&config));
    let sampler = ReloadableSampler::builder().build().expect("no settings");
    let handle = sampler.handle();
    assert_eq!(handle.reload(config.clone()).expect("a checked configuration"), 2);
    assert_eq!(handle.reload(config).expect("the same"), 2);
    let span = StartingSpan::new(None, TraceId::from(1), "span", &SpanKind::Server);
    sampler.sample(&span);
    assert_eq!(sampler.stats().kept() + sampler.stats().dropped(), 1);
});
