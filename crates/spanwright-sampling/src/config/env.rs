//! Which sampler, by the environment.
//!
//! # Source
//!
//! [SDK environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration),
//! `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.

use std::time::Duration;

use spanwright_core::{BuildError, Env};

use super::construction::HAS_REMOTE;
use super::settings::{JaegerRemote, Node, SamplerConfig};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
/// Whom a remote sampler is to ask for.
pub(super) const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// `xray` is a name that the specification knows, and the sampler is the business of a service of AWS alone.
const SAMPLERS: &str = if HAS_REMOTE {
    "always_on, always_off, traceidratio, jaeger_remote, parentbased_always_on, parentbased_always_off, \
     parentbased_traceidratio or parentbased_jaeger_remote"
} else {
    "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio; \
     with feature `remote` of spanwright-sampling also jaeger_remote and parentbased_jaeger_remote"
};

const JAEGER_REMOTE_ARGUMENT: &str =
    "endpoint=http://host:port,pollingIntervalMs=60000,initialSamplingRate=0.001, any of the three";

impl SamplerConfig {
    /// What `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say.
    ///
    /// | `OTEL_TRACES_SAMPLER` | sampler | `OTEL_TRACES_SAMPLER_ARG` |
    /// |---|---|---|
    /// | `always_on`, `always_off` | every span, no span | |
    /// | `traceidratio` | [`Probability`](crate::Probability), whatever was decided for the parent | the ratio, 0 to 1. Default: 1 |
    /// | `jaeger_remote`, with feature `remote` | what a Jaeger collector says | `endpoint=..,pollingIntervalMs=..,initialSamplingRate=..` |
    /// | `parentbased_` and one of these | the same for roots; the others as their parent | as above |
    ///
    /// Names are read in any case. A variable that cannot be used is ignored, which `env` remembers, and in its place is the default:
    /// `parentbased_always_on`, or no argument. So is `xray`, which only AWS's own distributions have.
    ///
    /// `always_on` leaves trace states as they are, as the specification says of it, and `traceidratio` is consistent with the
    /// samplers of other services and languages: it writes `th`.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let known = env.parse(SAMPLER, SAMPLERS, |name| {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix("parentbased_") {
                Some(root) => sampler(root).map(|root| (root, true)),
                None => sampler(&name).map(|root| (root, false)),
            }
        });
        let Some((mut root, is_parent_based)) = known else {
            return Self::default();
        };
        // Only these have an argument; for the others it may be one that another program reads.
        match &mut root {
            Node::Probability { ratio } => {
                let argument = env.parse(ARGUMENT, "a ratio from 0 to 1", parse_ratio);
                *ratio = argument.unwrap_or(*ratio);
            }
            Node::JaegerRemote(settings) => {
                let argument = env.parse(ARGUMENT, JAEGER_REMOTE_ARGUMENT, JaegerRemote::parse_argument);
                *settings = argument.unwrap_or_default();
            }
            _ => {}
        }
        Self {
            service_name: env.string(SERVICE_NAME),
            ..if is_parent_based { root.by_parent() } else { root }.into()
        }
    }

    /// Remembers a variable that turned out to be wrong only when the sampler was made.
    pub(super) fn ignore_argument(env: &Env, error: &BuildError) {
        let accepted = format!("{JAEGER_REMOTE_ARGUMENT}; {}: {}", error.field(), error.accepted());
        env.ignore(ARGUMENT, env.string(ARGUMENT).unwrap_or_default(), &accepted);
    }
}

impl JaegerRemote {
    /// All of it, or nothing: half of an argument would be another one than was meant.
    fn parse_argument(argument: &str) -> Option<Self> {
        let mut settings = Self::default();
        for pair in argument.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let value = value.trim();
            let is_first = match key.trim() {
                "endpoint" if !value.is_empty() => settings.endpoint.replace(value.to_owned()).is_none(),
                "pollingIntervalMs" => {
                    let interval: u32 = value.parse().ok().filter(|interval| *interval > 0)?;
                    let interval = Duration::from_millis(interval.into());
                    settings.polling_interval.replace(interval).is_none()
                }
                "initialSamplingRate" => {
                    let ratio = parse_ratio(value)?;
                    settings
                        .initial
                        .replace(Box::new(Node::Probability { ratio }))
                        .is_none()
                }
                _ => return None,
            };
            if !is_first {
                return None;
            }
        }
        Some(settings)
    }
}

fn sampler(name: &str) -> Option<Node> {
    match name {
        "always_off" => Some(Node::AlwaysOff),
        "always_on" => Some(Node::PlainAlwaysOn),
        "jaeger_remote" if HAS_REMOTE => Some(Node::JaegerRemote(JaegerRemote::default())),
        "traceidratio" => Some(Node::Probability { ratio: 1.0 }),
        _ => None,
    }
}

fn parse_ratio(text: &str) -> Option<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "remote")]
    use crate::sampler::Sampler;

    fn probability(ratio: f64) -> Node {
        Node::Probability { ratio }
    }

    fn read(sampler: &str, argument: &str) -> (SamplerConfig, Vec<String>) {
        let env = Env::from_pairs([(SAMPLER, sampler), (ARGUMENT, argument)]);
        let config = SamplerConfig::from_env(&env);
        let ignored = env.ignored().into_iter().map(|ignored| ignored.name);
        (config, ignored.collect())
    }

    #[test]
    fn every_value_of_the_specification_has_its_sampler_and_any_other_the_default() {
        let default = SamplerConfig::default();
        for (name, argument, expected, ignored) in [
            ("", "", default.clone(), None),
            ("", "nonsense", default.clone(), None),
            ("always_on", "", Node::PlainAlwaysOn.into(), None),
            ("always_off", "nonsense", Node::AlwaysOff.into(), None),
            ("traceidratio", "", probability(1.0).into(), None),
            ("traceidratio", "0.25", probability(0.25).into(), None),
            ("traceidratio", " 1e-3 ", probability(0.001).into(), None),
            ("traceidratio", "1.5", probability(1.0).into(), Some(ARGUMENT)),
            ("traceidratio", "-0.1", probability(1.0).into(), Some(ARGUMENT)),
            ("traceidratio", "NaN", probability(1.0).into(), Some(ARGUMENT)),
            ("traceidratio", "25%", probability(1.0).into(), Some(ARGUMENT)),
            ("parentbased_always_on", "", default.clone(), None),
            ("parentbased_always_off", "", Node::AlwaysOff.by_parent().into(), None),
            (
                "parentbased_traceidratio",
                "0.5",
                probability(0.5).by_parent().into(),
                None,
            ),
            (
                "ParentBased_TraceIdRatio",
                "0",
                probability(0.0).by_parent().into(),
                None,
            ),
            ("xray", "", default.clone(), Some(SAMPLER)),
            ("parentbased_xray", "", default.clone(), Some(SAMPLER)),
            ("parentbased_", "", default.clone(), Some(SAMPLER)),
            ("parentbased_parentbased_always_on", "", default.clone(), Some(SAMPLER)),
            ("sometimes", "0.5", default, Some(SAMPLER)),
        ] {
            let ignored: Vec<_> = ignored.into_iter().map(str::to_owned).collect();
            assert_eq!(read(name, argument), (expected, ignored), "{name} {argument}");
        }
    }

    #[test]
    fn jaegers_argument_is_read_whole_or_not_at_all() {
        let all = "endpoint=http://localhost:14250,pollingIntervalMs=5000,initialSamplingRate=0.25";
        let settings = JaegerRemote {
            endpoint: Some("http://localhost:14250".to_owned()),
            polling_interval: Some(Duration::from_secs(5)),
            initial: Some(Box::new(probability(0.25))),
        };
        assert_eq!(JaegerRemote::parse_argument(all), Some(settings.clone()));
        let spaced = " initialSamplingRate = 0.25 , endpoint = http://localhost:14250 ,pollingIntervalMs=5000,";
        assert_eq!(JaegerRemote::parse_argument(spaced), Some(settings));
        assert_eq!(JaegerRemote::parse_argument("  "), Some(JaegerRemote::default()));
        for wrong in [
            "endpoint=",
            "http://localhost:14250",
            "pollingIntervalMs=0",
            "pollingIntervalMs=5s",
            "pollingIntervalMs=-1",
            "initialSamplingRate=2",
            "endpoint=a,endpoint=b",
            "endpoint=a,interval=5",
        ] {
            assert_eq!(JaegerRemote::parse_argument(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn jaegers_sampler_needs_its_feature() {
        let (config, ignored) = read("parentbased_jaeger_remote", "endpoint=http://localhost:1");
        let (wrong, ignored_argument) = read("jaeger_remote", "nonsense");
        if HAS_REMOTE {
            let settings = JaegerRemote {
                endpoint: Some("http://localhost:1".to_owned()),
                ..JaegerRemote::default()
            };
            assert_eq!(
                (config, ignored),
                (Node::JaegerRemote(settings).by_parent().into(), vec![])
            );
            assert_eq!(wrong, Node::JaegerRemote(JaegerRemote::default()).into());
            assert_eq!(ignored_argument, [ARGUMENT]);
        } else {
            assert_eq!((config, ignored), (SamplerConfig::default(), vec![SAMPLER.to_owned()]));
            assert_eq!(
                (wrong, ignored_argument),
                (SamplerConfig::default(), vec![SAMPLER.to_owned()])
            );
        }
    }

    #[cfg(feature = "remote")]
    #[test]
    fn an_endpoint_that_is_none_is_ignored_when_the_sampler_is_made() {
        let env = Env::from_pairs([(SAMPLER, "jaeger_remote"), (ARGUMENT, "endpoint=ftp://host")]);
        let sampler = crate::ConfiguredSampler::from_env(&env);
        assert_eq!(sampler.description(), crate::ConfiguredSampler::default().description());
        let [ignored] = &env.ignored()[..] else {
            panic!("{:?}", env.ignored())
        };
        assert_eq!((&*ignored.name, &*ignored.value), (ARGUMENT, "endpoint=ftp://host"));
        assert!(ignored.accepted.contains("; endpoint: "), "{ignored}");

        let env = Env::from_pairs([
            (SAMPLER, "parentbased_jaeger_remote"),
            (ARGUMENT, "endpoint=http://127.0.0.1:1,initialSamplingRate=1"),
        ]);
        let sampler = crate::ConfiguredSampler::from_env(&env);
        assert!(
            sampler.description().contains("JaegerRemote"),
            "{}",
            sampler.description()
        );
        assert_eq!(env.ignored(), []);
    }
}
