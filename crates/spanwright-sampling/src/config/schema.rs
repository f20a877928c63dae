//! Samplers as a document has them.
//!
//! # Source
//!
//! [opentelemetry-configuration 1.1](https://github.com/open-telemetry/opentelemetry-configuration/blob/main/schema/tracer_provider.yaml),
//! `Sampler` and `ExperimentalComposableSampler`.

use opentelemetry::trace::SpanKind;
use opentelemetry::{Key, KeyValue, Value};
use spanwright_core::{BuildError, Env};

use super::construction::{HAS_REMOTE, Life, Surroundings};
use super::document::Yaml;
use super::env::SERVICE_NAME;
use super::field::{Field, Scalar};
use super::keys::{self, KeyPart, PerKeyNode};
use super::rates::{AdaptiveNode, RateLimit, RateLimitingNode};
use super::rule::{Patterns, RuleNode};
use super::settings::{JaegerRemote, Node, ParentBasedNode, SamplerConfig};
use crate::span::ParentOrigin;

/// What the specification calls a `Sampler`.
const SAMPLERS: &[&str] = &[
    "always_off",
    "always_on",
    "always_record",
    "composite/development",
    "jaeger_remote/development",
    "parent_based",
    "probability/development",
    "trace_id_ratio_based",
];

/// What it calls a `ComposableSampler`.
const COMPOSABLES: &[&str] = &[
    "always_off",
    "always_on",
    "parent_threshold",
    "probability",
    "rule_based",
];

/// What it has no word for. All of them stand wherever a sampler does.
const OURS: &[&str] = &[
    "spanwright/adaptive",
    "spanwright/annotating",
    "spanwright/any_of",
    "spanwright/per_key",
    "spanwright/rate_limiting",
];

/// The keys of a whole configuration file, of which we read one.
const FILE: &[&str] = &[
    "attribute_limits",
    "disabled",
    "distribution",
    "file_format",
    "instrumentation/development",
    "log_level",
    "logger_provider",
    "meter_provider",
    "propagator",
    "resource",
    "tracer_provider",
];

const TRACER_PROVIDER: &[&str] = &[
    "id_generator",
    "limits",
    "processors",
    "sampler",
    "tracer_configurator/development",
];

impl SamplerConfig {
    /// Reads a document in YAML: a whole OpenTelemetry configuration file, of which `tracer_provider.sampler` counts, or what would
    /// stand there alone. `${NAME}`, `${env:NAME}` and `${NAME:-default}` stand for variables of `env`.
    ///
    /// ```
    /// use spanwright_core::Env;
    /// use spanwright_sampling::SamplerConfig;
    ///
    /// let config = SamplerConfig::parse(
    ///     "
    ///     parent_threshold:
    ///       root:
    ///         rule_based:
    ///           rules:
    ///             - name: health
    ///               span_names: [GET /healthz, GET /livez]
    ///               sampler: {always_off: }
    ///             - name: checkout
    ///               span_name_patterns: {included: ['* /checkout*']}
    ///               span_kinds: [server]
    ///               sampler: {always_on: }
    ///             - name: rest
    ///               sampler:
    ///                 spanwright/adaptive:
    ///                   target_per_second: ${TRACES_PER_SECOND:-100}
    ///     ",
    ///     &Env::empty(),
    /// )?;
    /// let sampler = spanwright_sampling::ConfiguredSampler::builder(config).spawn()?;
    /// # let _ = sampler;
    /// # Ok::<_, spanwright_core::BuildError>(())
    /// ```
    ///
    /// # What the specification has no word for
    ///
    /// Stands wherever a sampler does. In a whole file other SDKs will not know it.
    ///
    /// | key | fields | sampler |
    /// |---|---|---|
    /// | `spanwright/adaptive` | `target_per_second` or `target_ratio`; `max_per_second`, `max_burst`, `sampler` | [`Adaptive`](crate::Adaptive) |
    /// | `spanwright/annotating` | `attributes` (a map), `sampler` | [`Annotating`](crate::Annotating) |
    /// | `spanwright/any_of` | `samplers` | [`AnyOf`](crate::AnyOf) |
    /// | `spanwright/per_key` | `target_per_second`; `keys` (each `attribute: name` or `span_name:`), `min_per_second`, `max_keys`, `overflow_share`, `weights` (each `values`, `weight`) | [`PerKey`](crate::PerKey) |
    /// | `spanwright/rate_limiting` | `traces_per_second` or `spans_per_second`; `max_burst`, `sampler` | [`RateLimiting`](crate::RateLimiting) |
    /// | in a rule | `name`, `span_names` (any of these), `span_name_patterns` (`included`, `excluded`) | [`Rule`](crate::Rule) |
    ///
    /// # What differs from the specification
    ///
    /// - `always_on` writes no threshold, as the specification says of it; `composite/development: {always_on: }` does.
    /// - `trace_id_ratio_based` is `probability/development`: consistent, and with a threshold.
    /// - A branch of `parent_based` keeps weights right: what it keeps of a sampled parent has reached both thresholds, and what it
    ///   keeps of one that was not sampled has no weight.
    /// - `always_record` can only be the outermost sampler, and `jaeger_remote/development` (with feature `remote`) that or the root of
    ///   the outermost `parent_based`.
    ///
    /// # Errors
    ///
    /// What is wrong first: the way to the field (`rule_based.rules[2].sampler.probability.ratio`), its value, and what is accepted;
    /// the error's source says the line. A key that nobody knows is an error, too: nothing of a document is passed over in silence,
    /// except that a whole configuration file may have settings that are not about sampling.
    ///
    /// # Cost
    ///
    /// Bounded, whatever the document: a mebibyte, 64 levels, 100 000 nodes with those that aliases repeat.
    pub fn parse(yaml: &str, env: &Env) -> Result<Self, BuildError> {
        let mut config = read(yaml, env)?;
        config.service_name = env.string(SERVICE_NAME);
        let room = keys::room(&config.root);
        if room > keys::MAX_KEYS as usize {
            let accepted = format!("at most {} keys in all samplers of a document", keys::MAX_KEYS);
            return Err(BuildError::new("spanwright/per_key.max_keys", room, accepted));
        }
        config.construct(Vec::new(), Surroundings::new(Life::None))?;
        Ok(config)
    }
}

fn read(yaml: &str, env: &Env) -> Result<SamplerConfig, BuildError> {
    let yaml = Yaml::parse(yaml, &|name| env.string(name))?;
    let root = Field::root(&yaml);
    let fields = root.any_fields()?;
    if !fields.iter().any(|(key, _)| FILE.contains(&key)) {
        return document(&root);
    }
    let fields = root.fields(FILE)?;
    if let Some(format) = fields.get("file_format") {
        check_format(&format)?;
    }
    let Some(provider) = fields.get("tracer_provider") else {
        return Ok(SamplerConfig::default());
    };
    let sampler = provider.fields(TRACER_PROVIDER)?.get("sampler");
    sampler.map_or_else(|| Ok(SamplerConfig::default()), |sampler| outermost(&sampler, SAMPLERS))
}

/// A minor version may add what we do not know, and then says so by a key that we do not know.
fn check_format(field: &Field<'_>) -> Result<(), BuildError> {
    let is_known = |format: &str| format == "1" || format.starts_with("1.");
    match field.text()? {
        format if is_known(&format) => Ok(()),
        _ => Err(field.error("1.0, 1.1 or a later 1.x")),
    }
}

/// A document that is a sampler: there, nobody can be in doubt which kind is meant.
fn document(root: &Field<'_>) -> Result<SamplerConfig, BuildError> {
    let mut known = SAMPLERS.to_vec();
    known.extend(COMPOSABLES.iter().filter(|key| !SAMPLERS.contains(key)));
    outermost(root, &known)
}

fn outermost(field: &Field<'_>, known: &[&str]) -> Result<SamplerConfig, BuildError> {
    let (key, value) = field.choice(&[known, OURS].concat())?;
    if key == "always_record" {
        let fields = value.fields(&["root"])?;
        return Ok(SamplerConfig {
            always_records: true,
            ..sampler(&fields.require("root")?)?.into()
        });
    }
    node(key, &value).map(SamplerConfig::from)
}

fn sampler(field: &Field<'_>) -> Result<Node, BuildError> {
    let (key, value) = field.choice(&[SAMPLERS, OURS].concat())?;
    node(key, &value)
}

/// One that does not ask a server.
fn local_sampler(field: &Field<'_>) -> Result<Node, BuildError> {
    match sampler(field)? {
        node if node.is_remote() => Err(field.error(NOT_REMOTE)),
        node => Ok(node),
    }
}

const NOT_REMOTE: &str = "another sampler: jaeger_remote/development can only be the outermost one, or the root of the outermost parent_based";

fn composable(field: &Field<'_>) -> Result<Node, BuildError> {
    let (key, value) = field.choice(&[COMPOSABLES, OURS].concat())?;
    match key {
        // The same name, but this one has a weight.
        "always_on" => value.fields(&[]).map(|_| Node::AlwaysOn),
        _ => node(key, &value),
    }
}

/// The sampler of this name, which is a known one.
fn node(key: &str, value: &Field<'_>) -> Result<Node, BuildError> {
    match key {
        "always_off" => value.fields(&[]).map(|_| Node::AlwaysOff),
        "always_on" => value.fields(&[]).map(|_| Node::PlainAlwaysOn),
        "composite/development" => composable(value),
        "jaeger_remote/development" => jaeger_remote(value),
        "parent_based" => parent_based(value),
        "parent_threshold" => Ok(composable(&value.fields(&["root"])?.require("root")?)?.by_parent()),
        "probability" | "probability/development" | "trace_id_ratio_based" => probability(value),
        "rule_based" => rule_based(value),
        "spanwright/adaptive" => adaptive(value),
        "spanwright/annotating" => annotating(value),
        "spanwright/any_of" => any_of(value),
        "spanwright/per_key" => per_key(value),
        "spanwright/rate_limiting" => rate_limiting(value),
        // What is left of the known ones is `always_record`.
        _ => Err(value.error("nothing: it can only be the outermost sampler")),
    }
}

fn probability(field: &Field<'_>) -> Result<Node, BuildError> {
    let ratio = field.fields(&["ratio"])?.get("ratio");
    let ratio = ratio.map_or(Ok(1.0), |ratio| ratio.ratio())?;
    Ok(Node::Probability { ratio })
}

fn parent_based(field: &Field<'_>) -> Result<Node, BuildError> {
    let fields = field.fields(&[
        "local_parent_not_sampled",
        "local_parent_sampled",
        "remote_parent_not_sampled",
        "remote_parent_sampled",
        "root",
    ])?;
    let branch = |key| fields.get(key).map(|branch| local_sampler(&branch)).transpose();
    let root = match fields.get("root") {
        // A server may decide about roots, but nothing can stand between it and them.
        Some(root) => match sampler(&root)? {
            node @ Node::JaegerRemote(_) => node,
            node if node.is_remote() => return Err(root.error(NOT_REMOTE)),
            node => node,
        },
        None => Node::PlainAlwaysOn,
    };
    // What does as the parent did needs no branch.
    let sampled = |key| Ok(branch(key)?.filter(|node| !matches!(node, Node::AlwaysOn | Node::PlainAlwaysOn)));
    let not_sampled = |key| Ok(branch(key)?.filter(|node| *node != Node::AlwaysOff));
    let node = ParentBasedNode {
        root,
        remote_parent_sampled: sampled("remote_parent_sampled")?,
        remote_parent_not_sampled: not_sampled("remote_parent_not_sampled")?,
        local_parent_sampled: sampled("local_parent_sampled")?,
        local_parent_not_sampled: not_sampled("local_parent_not_sampled")?,
    };
    Ok(match node {
        ParentBasedNode {
            root,
            remote_parent_sampled: None,
            remote_parent_not_sampled: None,
            local_parent_sampled: None,
            local_parent_not_sampled: None,
        } => root.by_parent(),
        node => Node::ParentBased(Box::new(node)),
    })
}

fn jaeger_remote(field: &Field<'_>) -> Result<Node, BuildError> {
    if !HAS_REMOTE {
        return Err(field.error("nothing: it needs feature `remote` of spanwright-sampling"));
    }
    let fields = field.fields(&["endpoint", "initial_sampler", "interval"])?;
    let interval = fields
        .get("interval")
        .map(|interval| interval.milliseconds(1..=u32::MAX));
    Ok(Node::JaegerRemote(JaegerRemote {
        endpoint: Some(fields.require("endpoint")?.word()?),
        polling_interval: interval.transpose()?,
        initial: Some(Box::new(local_sampler(&fields.require("initial_sampler")?)?)),
    }))
}

fn rule_based(field: &Field<'_>) -> Result<Node, BuildError> {
    let fields = field.fields(&["rules"])?;
    let mut rules: Vec<RuleNode> = Vec::new();
    if let Some(list) = fields.get("rules") {
        for (index, item) in list.items()?.enumerate() {
            let rule = rule(&item)?;
            let name = rule.name_at(index);
            if rules
                .iter()
                .enumerate()
                .any(|(index, earlier)| earlier.name_at(index) == name)
            {
                return Err(item.error_of("name", name, "a name that no other rule has"));
            }
            rules.push(rule);
        }
    }
    Ok(Node::RuleBased { rules })
}

fn rule(field: &Field<'_>) -> Result<RuleNode, BuildError> {
    const KINDS: &[(&str, SpanKind)] = &[
        ("internal", SpanKind::Internal),
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
    ];
    const PARENTS: &[(&str, ParentOrigin)] = &[
        ("none", ParentOrigin::None),
        ("local", ParentOrigin::Local),
        ("remote", ParentOrigin::Remote),
    ];
    let fields = field.fields(&[
        "attribute_patterns",
        "attribute_values",
        "name",
        "parent",
        "sampler",
        "span_kinds",
        "span_name_patterns",
        "span_names",
    ])?;
    let span_kinds = match fields.get("span_kinds") {
        Some(kinds) => kinds
            .items()?
            .map(|kind| kind.one_of(KINDS))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let parents = match fields.get("parent") {
        Some(parents) => parents
            .items()?
            .map(|parent| parent.one_of(PARENTS))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let rule = RuleNode {
        name: fields.get("name").map(|name| name.word()).transpose()?,
        span_names: fields.get("span_names").map_or(Ok(Vec::new()), |names| names.texts())?,
        span_name_patterns: fields
            .get("span_name_patterns")
            .map(|field| patterns(&field, &["excluded", "included"]))
            .transpose()?,
        span_kinds,
        parents,
        attribute_values: fields
            .get("attribute_values")
            .map(|field| attribute_values(&field))
            .transpose()?,
        attribute_patterns: fields
            .get("attribute_patterns")
            .map(|field| {
                let patterns = patterns(&field, &["excluded", "included", "key"])?;
                Ok((field.any_fields()?.require("key")?.word()?, patterns))
            })
            .transpose()?,
        sampler: composable(&fields.require("sampler")?)?,
    };
    rule.predicates().map_err(|error| field.blame(error))?;
    Ok(rule)
}

fn attribute_values(field: &Field<'_>) -> Result<(String, Vec<String>), BuildError> {
    let fields = field.fields(&["key", "values"])?;
    Ok((fields.require("key")?.word()?, fields.require("values")?.texts()?))
}

fn patterns(field: &Field<'_>, known: &[&str]) -> Result<Patterns, BuildError> {
    let fields = field.fields(known)?;
    let texts = |key| fields.get(key).map_or(Ok(Vec::new()), |texts| texts.texts());
    Ok(Patterns {
        included: texts("included")?,
        excluded: texts("excluded")?,
    })
}

fn annotating(field: &Field<'_>) -> Result<Node, BuildError> {
    let fields = field.fields(&["attributes", "sampler"])?;
    let attributes = fields.require("attributes")?;
    let attributes = attributes.any_fields()?;
    let attributes = attributes.iter().map(|(name, value)| {
        let value = match value.scalar()? {
            Scalar::Bool(value) => Value::from(value),
            Scalar::Number(value) => Value::from(value),
            Scalar::Text(value) => Value::from(value.to_owned()),
            Scalar::Whole(value) => Value::from(value),
        };
        Ok(KeyValue::new(Key::new(name.to_owned()), value))
    });
    Ok(Node::Annotating {
        attributes: attributes.collect::<Result<_, _>>()?,
        sampler: Box::new(composable(&fields.require("sampler")?)?),
    })
}

fn any_of(field: &Field<'_>) -> Result<Node, BuildError> {
    let samplers = field.fields(&["samplers"])?.require("samplers")?;
    let samplers = samplers.items()?.map(|field| composable(&field));
    Ok(Node::AnyOf {
        samplers: samplers.collect::<Result<_, _>>()?,
    })
}

fn adaptive(field: &Field<'_>) -> Result<Node, BuildError> {
    let fields = field.fields(&[
        "max_burst",
        "max_per_second",
        "sampler",
        "target_per_second",
        "target_ratio",
    ])?;
    let number = |key| fields.get(key).map(|number| number.any_number()).transpose();
    let node = AdaptiveNode {
        target_per_second: number("target_per_second")?,
        target_ratio: number("target_ratio")?,
        max_per_second: number("max_per_second")?,
        max_burst: number("max_burst")?,
        sampler: fields.get("sampler").map(|sampler| composable(&sampler)).transpose()?,
    };
    node.builder().build().map_err(|error| field.blame(error))?;
    Ok(Node::Adaptive(Box::new(node)))
}

fn per_key(field: &Field<'_>) -> Result<Node, BuildError> {
    let fields = field.fields(&[
        "keys",
        "max_keys",
        "min_per_second",
        "overflow_share",
        "target_per_second",
        "weights",
    ])?;
    let number = |key| fields.get(key).map(|number| number.any_number()).transpose();
    let keys = fields
        .get("keys")
        .map(|keys| keys.items()?.map(|key| key_part(&key)).collect());
    let weights = fields
        .get("weights")
        .map(|weights| weights.items()?.map(|weight| key_weight(&weight)).collect());
    let node = PerKeyNode {
        keys: keys.transpose()?.unwrap_or_default(),
        target_per_second: number("target_per_second")?,
        min_per_second: number("min_per_second")?,
        max_keys: fields
            .get("max_keys")
            .map(|max| max.whole(1..=keys::MAX_KEYS))
            .transpose()?,
        overflow_share: number("overflow_share")?,
        weights: weights.transpose()?.unwrap_or_default(),
    };
    node.try_out().map_err(|error| field.blame(error))?;
    Ok(Node::PerKey(Box::new(node)))
}

fn key_part(field: &Field<'_>) -> Result<KeyPart, BuildError> {
    let (part, value) = field.choice(&["attribute", "span_name"])?;
    match part {
        "attribute" => value.word().map(KeyPart::Attribute),
        _ => value.fields(&[]).map(|_| KeyPart::SpanName),
    }
}

fn key_weight(field: &Field<'_>) -> Result<(Vec<String>, f64), BuildError> {
    let fields = field.fields(&["values", "weight"])?;
    let (values, weight) = (
        fields.require("values")?.texts()?,
        fields.require("weight")?.any_number()?,
    );
    PerKeyNode::check_weight(weight).map_err(|error| field.blame(error))?;
    Ok((values, weight))
}

fn rate_limiting(field: &Field<'_>) -> Result<Node, BuildError> {
    let fields = field.fields(&["max_burst", "sampler", "spans_per_second", "traces_per_second"])?;
    let number = |key| fields.get(key).map(|number| number.any_number()).transpose();
    let limit = match (number("spans_per_second")?, number("traces_per_second")?) {
        (Some(limit), None) => RateLimit::Spans(limit),
        (None, Some(limit)) => RateLimit::Traces(limit),
        _ => return Err(field.error("either traces_per_second or spans_per_second")),
    };
    let node = RateLimitingNode {
        limit,
        max_burst: number("max_burst")?,
        sampler: fields.get("sampler").map(|sampler| composable(&sampler)).transpose()?,
    };
    node.builder().build().map_err(|error| field.blame(error))?;
    Ok(Node::RateLimiting(Box::new(node)))
}
