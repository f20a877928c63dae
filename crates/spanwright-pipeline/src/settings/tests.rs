use super::*;

fn read<const N: usize>(pairs: [(&str, &str); N]) -> (Settings, Vec<String>) {
    let env = Env::from_pairs(pairs);
    let settings = Settings::from_env(&env);
    (
        settings,
        env.ignored().iter().map(|ignored| ignored.name.clone()).collect(),
    )
}

#[test]
fn without_variables_the_specifications_defaults_hold() {
    let (settings, ignored) = read([]);
    let expected = Settings {
        is_disabled: false,
        exports_otlp: true,
        resource: vec![],
        sampler: SamplerConfig::default(),
        limits: Limits::default(),
        propagators: vec![Propagator::TraceContext, Propagator::Baggage],
    };
    assert_eq!((settings, ignored), (expected, vec![]));
}

/// What each of them is, `spanwright-sampling` tests.
#[test]
fn a_sampler_that_is_none_is_ignored() {
    let (settings, ignored) = read([
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "half"),
    ]);
    assert_ne!(settings.sampler, SamplerConfig::default());
    assert_eq!(ignored, ["OTEL_TRACES_SAMPLER_ARG"]);
    let (settings, ignored) = read([("OTEL_TRACES_SAMPLER", "sometimes")]);
    assert_eq!(settings.sampler, SamplerConfig::default());
    assert_eq!(ignored, ["OTEL_TRACES_SAMPLER"]);
}

#[test]
fn the_limit_of_one_kind_wins_over_that_of_all() {
    let (settings, ignored) = read([
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "0"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "3"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "4"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "50"),
    ]);
    let expected = Limits {
        attributes_per_span: Some(20),
        attributes_per_event: Some(0),
        attributes_per_link: Some(10),
        events_per_span: Some(3),
        links_per_span: Some(4),
        attribute_value_length: Some(50),
    };
    assert_eq!((settings.limits, ignored), (expected, vec![]));
    let (settings, _) = read([("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100")]);
    assert_eq!(settings.limits.attribute_value_length, Some(100));
}

#[test]
fn a_limit_that_is_no_number_falls_back_to_that_of_all() {
    let (settings, ignored) = read([
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many"),
    ]);
    assert_eq!(settings.limits.attributes_per_span, Some(10));
    assert_eq!(settings.limits.events_per_span, None);
    assert_eq!(
        ignored,
        ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"]
    );
}

#[test]
fn propagators_are_taken_once_and_in_order() {
    use Propagator::{Baggage, TraceContext};
    let rows: [(&str, &[Propagator], usize); 7] = [
        ("tracecontext,baggage", &[TraceContext, Baggage], 0),
        ("baggage, TraceContext ,baggage", &[Baggage, TraceContext], 0),
        ("baggage", &[Baggage], 0),
        ("none", &[], 0),
        ("tracecontext,none", &[], 0),
        ("b3,tracecontext", &[TraceContext], 1),
        ("b3,jaeger", &[TraceContext, Baggage], 2),
    ];
    for (list, propagators, unknown) in rows {
        let (settings, ignored) = read([("OTEL_PROPAGATORS", list)]);
        assert_eq!(
            (&*settings.propagators, ignored.len()),
            (propagators, unknown),
            "{list}"
        );
    }
}

#[test]
fn the_exporter_is_otlp_or_none() {
    for (value, exports_otlp, ignored) in [
        ("otlp", true, 0),
        ("None", false, 0),
        ("console", true, 1),
        ("zipkin", true, 1),
    ] {
        let (settings, names) = read([("OTEL_TRACES_EXPORTER", value)]);
        assert_eq!((settings.exports_otlp, names.len()), (exports_otlp, ignored), "{value}");
    }
}

#[test]
fn the_sdk_is_disabled_by_true_alone() {
    for (value, is_disabled, ignored) in [
        ("true", true, 0),
        ("TRUE", true, 0),
        ("false", false, 0),
        ("1", false, 1),
    ] {
        let (settings, names) = read([("OTEL_SDK_DISABLED", value)]);
        assert_eq!((settings.is_disabled, names.len()), (is_disabled, ignored), "{value}");
    }
}
