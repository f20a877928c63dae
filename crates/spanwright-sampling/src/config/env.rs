//! Which sampler, by the environment.
//!
//! # Source
//!
//! [SDK environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration),
//! `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.

use std::time::Duration;

use spanwright_core::{BuildError, Env};

use super::construction::HAS_REMOTE;
use super::settings::{JaegerRemote, Node, SamplerConfig, XRay};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
/// Whom a remote sampler is to ask for.
pub(super) const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

const SAMPLERS: &str = if HAS_REMOTE {
    "always_on, always_off, traceidratio, jaeger_remote, xray, parentbased_always_on, parentbased_always_off, \
     parentbased_traceidratio, parentbased_jaeger_remote or parentbased_xray"
} else {
    "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio; \
     with feature `remote` of spanwright-sampling also jaeger_remote, xray, parentbased_jaeger_remote and parentbased_xray"
};

const JAEGER_REMOTE_ARGUMENT: &str =
    "endpoint=http://host:port,pollingIntervalMs=60000,initialSamplingRate=0.001, any of the three";

const XRAY_ARGUMENT: &str = "endpoint=http://host:port,polling_interval=300, any of the two";

impl SamplerConfig {
    /// What `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say.
    ///
    /// | `OTEL_TRACES_SAMPLER` | sampler | `OTEL_TRACES_SAMPLER_ARG` |
    /// |---|---|---|
    /// | `always_on`, `always_off` | every span, no span | |
    /// | `traceidratio` | [`Probability`](crate::Probability), whatever was decided for the parent | the ratio, 0 to 1. Default: 1 |
    /// | `jaeger_remote`, with feature `remote` | what a Jaeger collector says | `endpoint=..,pollingIntervalMs=..,initialSamplingRate=..` |
    /// | `xray`, with feature `remote` | what the rules of AWS X-Ray say | `endpoint=..,polling_interval=..`, in seconds |
    /// | `parentbased_` and one of these | the same for roots; the others as their parent | as above |
    ///
    /// Names are read in any case. A variable that cannot be used is ignored, which `env` remembers, and in its place is the default:
    /// `parentbased_always_on`, or no argument.
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
            Node::XRay(settings) => {
                let argument = env.parse(ARGUMENT, XRAY_ARGUMENT, XRay::parse_argument);
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
    pub(super) fn ignore_argument(&self, env: &Env, error: &BuildError) {
        let argument = match &self.root {
            Node::ParentThreshold { root } if matches!(**root, Node::XRay(_)) => XRAY_ARGUMENT,
            Node::XRay(_) => XRAY_ARGUMENT,
            _ => JAEGER_REMOTE_ARGUMENT,
        };
        let accepted = format!("{argument}; {}: {}", error.field(), error.accepted());
        env.ignore(ARGUMENT, env.string(ARGUMENT).unwrap_or_default(), &accepted);
    }
}

impl JaegerRemote {
    fn parse_argument(argument: &str) -> Option<Self> {
        let mut settings = Self::default();
        for (key, value) in pairs(argument)? {
            match key {
                "endpoint" if !value.is_empty() => settings.endpoint = Some(value.to_owned()),
                "pollingIntervalMs" => settings.polling_interval = Some(Duration::from_millis(parse_interval(value)?)),
                "initialSamplingRate" => {
                    let ratio = parse_ratio(value)?;
                    settings.initial = Some(Box::new(Node::Probability { ratio }));
                }
                _ => return None,
            }
        }
        Some(settings)
    }
}

impl XRay {
    fn parse_argument(argument: &str) -> Option<Self> {
        let mut settings = Self::default();
        for (key, value) in pairs(argument)? {
            match key {
                "endpoint" if !value.is_empty() => settings.endpoint = Some(value.to_owned()),
                "polling_interval" => settings.polling_interval = Some(Duration::from_secs(parse_interval(value)?)),
                _ => return None,
            }
        }
        Some(settings)
    }
}

/// `key=value,..`, each key once. All of them, or nothing: half of an argument would be another one than was meant.
fn pairs(argument: &str) -> Option<Vec<(&str, &str)>> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for pair in argument.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        if pairs.iter().any(|(earlier, _)| *earlier == key) {
            return None;
        }
        pairs.push((key, value));
    }
    Some(pairs)
}

fn parse_interval(text: &str) -> Option<u64> {
    let interval: u32 = text.parse().ok()?;
    (interval > 0).then(|| interval.into())
}

fn sampler(name: &str) -> Option<Node> {
    match name {
        "always_off" => Some(Node::AlwaysOff),
        "always_on" => Some(Node::PlainAlwaysOn),
        "jaeger_remote" if HAS_REMOTE => Some(Node::JaegerRemote(JaegerRemote::default())),
        "traceidratio" => Some(Node::Probability { ratio: 1.0 }),
        "xray" if HAS_REMOTE => Some(Node::XRay(XRay::default())),
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
    fn xrays_argument_is_read_whole_or_not_at_all() {
        let settings = XRay {
            endpoint: Some("http://localhost:2000".to_owned()),
            polling_interval: Some(Duration::from_secs(360)),
        };
        let all = " polling_interval = 360, endpoint=http://localhost:2000";
        assert_eq!(XRay::parse_argument(all), Some(settings));
        assert_eq!(XRay::parse_argument(""), Some(XRay::default()));
        for wrong in [
            "endpoint=",
            "localhost:2000",
            "polling_interval=0",
            "polling_interval=1.5",
            "polling_interval=NaN",
            "polling_interval=99999999999",
            "pollingIntervalMs=1000",
            "endpoint=a,endpoint=b",
        ] {
            assert_eq!(XRay::parse_argument(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn samplers_with_a_server_need_their_feature() {
        let jaeger = |endpoint: Option<&str>| {
            Node::JaegerRemote(JaegerRemote {
                endpoint: endpoint.map(str::to_owned),
                ..JaegerRemote::default()
            })
        };
        let xray = |endpoint: Option<&str>| {
            Node::XRay(XRay {
                endpoint: endpoint.map(str::to_owned),
                ..XRay::default()
            })
        };
        let address = "http://localhost:1";
        for (name, with_argument, without) in [
            ("jaeger_remote", jaeger(Some(address)), jaeger(None)),
            ("xray", xray(Some(address)), xray(None)),
        ] {
            let by_parent = read(&format!("parentbased_{name}"), &format!("endpoint={address}"));
            let wrong = read(name, "nonsense");
            if HAS_REMOTE {
                assert_eq!(by_parent, (with_argument.by_parent().into(), vec![]));
                assert_eq!(wrong, (without.into(), vec![ARGUMENT.to_owned()]));
            } else {
                let ignored = (SamplerConfig::default(), vec![SAMPLER.to_owned()]);
                assert_eq!((by_parent, wrong), (ignored.clone(), ignored));
            }
        }
    }

    #[cfg(feature = "remote")]
    #[test]
    fn an_endpoint_that_is_none_is_ignored_when_the_sampler_is_made() {
        for (name, accepted, described) in [
            ("jaeger_remote", JAEGER_REMOTE_ARGUMENT, "JaegerRemote"),
            ("xray", XRAY_ARGUMENT, "XRay"),
            ("parentbased_xray", XRAY_ARGUMENT, "XRay"),
        ] {
            let env = Env::from_pairs([(SAMPLER, name), (ARGUMENT, "endpoint=ftp://host")]);
            let sampler = crate::ConfiguredSampler::from_env(&env);
            assert_eq!(sampler.description(), crate::ConfiguredSampler::default().description());
            let [ignored] = &env.ignored()[..] else {
                panic!("{:?}", env.ignored())
            };
            assert_eq!((&*ignored.name, &*ignored.value), (ARGUMENT, "endpoint=ftp://host"));
            assert!(
                ignored.accepted.starts_with(&format!("{accepted}; endpoint: ")),
                "{ignored}"
            );

            let env = Env::from_pairs([(SAMPLER, name), (ARGUMENT, "endpoint=http://127.0.0.1:1")]);
            let sampler = crate::ConfiguredSampler::from_env(&env);
            assert!(sampler.description().contains(described), "{}", sampler.description());
            assert_eq!(env.ignored(), []);
        }
    }
}
