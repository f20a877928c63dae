//! What a configuration says, whichever way it was written.

use std::time::Duration;

#[cfg(feature = "config")]
use opentelemetry::KeyValue;

#[cfg(feature = "config")]
use super::keys::PerKeyNode;
#[cfg(feature = "config")]
use super::rates::{AdaptiveNode, RateLimitingNode};
#[cfg(feature = "config")]
use super::rule::RuleNode;

/// Which sampler, and with what settings.
///
/// Comes from the [environment](Self::from_env) or from a document (`parse`, with feature `config`), and is checked. Two are equal if
/// they describe the same sampler. Default: `parentbased_always_on`.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerConfig {
    pub(super) root: Node,
    /// What a remote sampler asks for, unless somebody knows better.
    pub(super) service_name: Option<String>,
    /// Whether what is not sampled is recorded all the same (`always_record`).
    pub(super) always_records: bool,
}

/// A sampler.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Wants no span.
    AlwaysOff,
    /// Wants every span, and says so in the trace state.
    AlwaysOn,
    /// Wants every span, and leaves trace states as they are: the one that the specification had before there were thresholds.
    PlainAlwaysOn,
    /// Wants a share of all traces.
    Probability { ratio: f64 },
    /// Wants what was decided for the parent.
    ParentThreshold { root: Box<Self> },
    /// Asks a Jaeger collector.
    JaegerRemote(JaegerRemote),
    /// Asks an X-Ray daemon. There is no document that says so.
    XRay(XRay),
    #[cfg(feature = "config")]
    Annotating {
        attributes: Vec<KeyValue>,
        sampler: Box<Self>,
    },
    #[cfg(feature = "config")]
    AnyOf { samplers: Vec<Self> },
    /// Wants what another one wants, by where the parent is and whether it was sampled.
    #[cfg(feature = "config")]
    ParentBased(Box<ParentBasedNode>),
    #[cfg(feature = "config")]
    Adaptive(Box<AdaptiveNode>),
    #[cfg(feature = "config")]
    PerKey(Box<PerKeyNode>),
    #[cfg(feature = "config")]
    RateLimiting(Box<RateLimitingNode>),
    #[cfg(feature = "config")]
    RuleBased { rules: Vec<RuleNode> },
}

/// What `jaeger_remote` takes. What is `None` has the client's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JaegerRemote {
    pub(super) endpoint: Option<String>,
    pub(super) polling_interval: Option<Duration>,
    pub(super) initial: Option<Box<Node>>,
}

/// What `xray` takes. What is `None` has the client's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct XRay {
    pub(super) endpoint: Option<String>,
    pub(super) polling_interval: Option<Duration>,
}

/// A sampler for each kind of parent. `None` is what the specification does by default: as the parent.
#[cfg(feature = "config")]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParentBasedNode {
    pub(super) root: Node,
    pub(super) remote_parent_sampled: Option<Node>,
    pub(super) remote_parent_not_sampled: Option<Node>,
    pub(super) local_parent_sampled: Option<Node>,
    pub(super) local_parent_not_sampled: Option<Node>,
}

#[cfg(feature = "config")]
impl ParentBasedNode {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        let branches = [
            &self.remote_parent_sampled,
            &self.remote_parent_not_sampled,
            &self.local_parent_sampled,
            &self.local_parent_not_sampled,
        ];
        std::iter::once(&self.root).chain(branches.into_iter().flatten())
    }
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Node::PlainAlwaysOn.by_parent().into()
    }
}

impl Node {
    /// Asked for roots only; others follow their parent.
    pub(super) fn by_parent(self) -> Self {
        Self::ParentThreshold { root: Box::new(self) }
    }

    /// Whether a server decides, of roots at least.
    #[cfg(feature = "config")]
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Self::JaegerRemote(_) | Self::XRay(_) => true,
            Self::ParentThreshold { root } => root.is_remote(),
            Self::ParentBased(branches) => branches.root.is_remote(),
            _ => false,
        }
    }
}

impl From<Node> for SamplerConfig {
    fn from(root: Node) -> Self {
        Self {
            root,
            service_name: None,
            always_records: false,
        }
    }
}
