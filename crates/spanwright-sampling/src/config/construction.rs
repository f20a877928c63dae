//! From what a configuration says to samplers.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{BuildError, NoopObserver, Observer, Pressure};

#[cfg(feature = "config")]
use super::by_parent::ByParent;
use super::decider::{By, Decider, Wish};
#[cfg(feature = "config")]
use super::keys::PerKeyNode;
use super::plain::PlainAlwaysOn;
#[cfg(feature = "config")]
use super::rates::{AdaptiveNode, RateLimitingNode};
#[cfg(feature = "config")]
use super::rule::RuleNode;
#[cfg(feature = "config")]
use super::settings::ParentBasedNode;
use super::settings::{JaegerRemote, Node, SamplerConfig, XRay};
use crate::composable::{AlwaysOff, AlwaysOn, ParentThreshold, Probability};
#[cfg(feature = "config")]
use crate::composable::{Annotating, AnyOf, ComposableSampler};
#[cfg(feature = "config")]
use crate::composite::CompositeSampler;
#[cfg(feature = "config")]
use crate::parent_based::ParentBased;
#[cfg(feature = "remote")]
use crate::remote::{JaegerRemoteSampler, XRaySampler};
#[cfg(feature = "config")]
use crate::rules::{Rule, RuleBased};
#[cfg(feature = "config")]
use crate::sampler::Sampler;

/// Whether a sampler that asks a server is in this program.
pub(super) const HAS_REMOTE: bool = cfg!(feature = "remote");

/// A configuration, made real.
pub(crate) struct Constructed {
    pub(crate) decider: Decider,
    /// What has a memory, to go on in the next configuration if it is in there unchanged.
    pub(crate) parts: Vec<Part>,
    /// What is not wrong and yet cannot be meant.
    pub(crate) lints: Vec<String>,
}

/// A sampler with a memory, and what it was made of.
#[derive(Clone)]
pub(crate) struct Part {
    node: Node,
    service_name: Option<String>,
    by: By,
    tick: Option<TickFn>,
    /// Those inside of it, which go where it goes.
    within: Vec<Self>,
}

type TickFn = Arc<dyn Fn(Instant) + Send + Sync>;

/// What samplers are made in.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// Whom a remote sampler asks for. `None`: what the configuration says.
    pub(crate) service_name: Option<String>,
    /// What else the rules of a remote sampler may know a service by. No document describes such a sampler.
    #[cfg(feature = "remote")]
    pub(crate) cloud_platform: Option<String>,
    #[cfg(feature = "remote")]
    pub(crate) resource_arn: Option<String>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) pressure: Pressure,
    pub(crate) life: Life,
}

/// Who makes time pass for samplers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// They live by themselves: the process's ticker and threads of their own.
    Own,
    /// Whoever has made them ticks them.
    Lent,
    /// Nobody. They are only made to see whether they can be.
    None,
}

struct Construction {
    surroundings: Surroundings,
    service_name: Option<String>,
    /// The name of the rule around what is made now.
    around: Option<String>,
    previous: Vec<Part>,
    parts: Vec<Part>,
    lints: Vec<String>,
}

impl Surroundings {
    pub(crate) fn new(life: Life) -> Self {
        Self {
            service_name: None,
            #[cfg(feature = "remote")]
            cloud_platform: None,
            #[cfg(feature = "remote")]
            resource_arn: None,
            observer: Arc::new(NoopObserver),
            pressure: Pressure::new(),
            life,
        }
    }
}

impl Part {
    /// For a life that is lent.
    #[cfg(feature = "config")]
    pub(crate) fn tick(&self, now: Instant) {
        self.within.iter().for_each(|part| part.tick(now));
        if let Some(tick) = &self.tick {
            tick(now);
        }
    }
}

impl SamplerConfig {
    /// Makes the samplers. Those of `previous` that are in here unchanged go on as they are, with what they know.
    pub(crate) fn construct(&self, previous: Vec<Part>, surroundings: Surroundings) -> Result<Constructed, BuildError> {
        let service_name = surroundings.service_name.as_ref().or(self.service_name.as_ref());
        let mut construction = Construction {
            service_name: service_name.cloned(),
            surroundings,
            around: None,
            previous,
            parts: Vec::new(),
            lints: Vec::new(),
        };
        let by = construction.sampler(&self.root)?;
        Ok(Constructed {
            decider: Decider {
                by,
                always_records: self.always_records,
            },
            parts: construction.parts,
            lints: construction.lints,
        })
    }
}

impl Construction {
    /// A sampler that decides: by a composable one wherever one will do, because it keeps weights right.
    fn sampler(&mut self, node: &Node) -> Result<By, BuildError> {
        match node {
            Node::JaegerRemote(settings) => self.jaeger_remote(node, settings, false),
            Node::XRay(settings) => self.xray(node, settings, false),
            Node::ParentThreshold { root } => match &**root {
                Node::JaegerRemote(settings) => self.jaeger_remote(node, settings, true),
                Node::XRay(settings) => self.xray(node, settings, true),
                _ => self.composable(node).map(By::Wish),
            },
            #[cfg(feature = "config")]
            Node::ParentBased(branches) => match &branches.root {
                Node::JaegerRemote(settings) => {
                    let root = self.jaeger_remote(&branches.root, settings, false)?;
                    let others = self.by_parent(branches, Arc::new(AlwaysOff))?;
                    Ok(with_root(root, others))
                }
                _ => self.composable(node).map(By::Wish),
            },
            _ => self.composable(node).map(By::Wish),
        }
    }

    fn composable(&mut self, node: &Node) -> Result<Wish, BuildError> {
        Ok(match node {
            Node::AlwaysOff => Arc::new(AlwaysOff),
            Node::AlwaysOn => Arc::new(AlwaysOn),
            Node::PlainAlwaysOn => Arc::new(PlainAlwaysOn),
            Node::Probability { ratio } => Arc::new(Probability::new(*ratio)?),
            Node::ParentThreshold { root } => Arc::new(ParentThreshold::new(self.composable(root)?)),
            // It decides by itself, and what it decides is nothing that another one could go on with.
            Node::JaegerRemote(_) => {
                let accepted =
                    "nothing: it can only be the outermost sampler, or the root of the outermost parent_based";
                return Err(BuildError::new("jaeger_remote", "inside of another sampler", accepted));
            }
            Node::XRay(_) => {
                let accepted = "nothing: it can only be the outermost sampler, or the root of a parent-based one";
                return Err(BuildError::new("xray", "inside of another sampler", accepted));
            }
            #[cfg(feature = "config")]
            Node::Annotating { attributes, sampler } => {
                Arc::new(Annotating::new(self.composable(sampler)?, attributes.iter().cloned()))
            }
            #[cfg(feature = "config")]
            Node::AnyOf { samplers } => {
                let samplers = samplers
                    .iter()
                    .map(|node| Ok(Box::new(self.composable(node)?) as Box<dyn ComposableSampler>));
                Arc::new(AnyOf::new(samplers.collect::<Result<Vec<_>, BuildError>>()?))
            }
            #[cfg(feature = "config")]
            Node::ParentBased(branches) => {
                let root = self.composable(&branches.root)?;
                Arc::new(self.by_parent(branches, root)?)
            }
            #[cfg(feature = "config")]
            Node::Adaptive(settings) => self.adaptive(node, settings)?,
            #[cfg(feature = "config")]
            Node::PerKey(settings) => self.per_key(node, settings)?,
            #[cfg(feature = "config")]
            Node::RateLimiting(settings) => self.rate_limiting(node, settings)?,
            #[cfg(feature = "config")]
            Node::RuleBased { rules } => Arc::new(self.rule_based(rules)?),
        })
    }
}

impl Construction {
    /// What was made of the same settings before, or what `make` makes of them now.
    #[cfg(any(feature = "config", feature = "remote"))]
    fn remembered(
        &mut self,
        node: &Node,
        make: impl FnOnce(&mut Self) -> Result<(By, Option<TickFn>), BuildError>,
    ) -> Result<By, BuildError> {
        let same = |part: &Part| part.node == *node && part.service_name == self.service_name;
        let part = match self.previous.iter().position(same) {
            Some(index) => self.previous.swap_remove(index),
            None => {
                let before = self.parts.len();
                let (by, tick) = make(self)?;
                Part {
                    node: node.clone(),
                    service_name: self.service_name.clone(),
                    by,
                    tick,
                    within: self.parts.split_off(before),
                }
            }
        };
        let by = part.by.clone();
        self.parts.push(part);
        Ok(by)
    }

    #[cfg(feature = "remote")]
    fn jaeger_remote(&mut self, node: &Node, settings: &JaegerRemote, follows_parents: bool) -> Result<By, BuildError> {
        self.remembered(node, |construction| {
            let mut builder = JaegerRemoteSampler::builder()
                .with_service_name(construction.service_name.as_deref().unwrap_or("unknown_service"))
                .with_parent_based(follows_parents)
                .with_observer(Arc::clone(&construction.surroundings.observer));
            if let Some(endpoint) = &settings.endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(interval) = settings.polling_interval {
                builder = builder.with_polling_interval(interval);
            }
            if let Some(initial) = &settings.initial {
                builder = builder.with_initial_sampler(construction.composable(initial)?);
            }
            if construction.surroundings.life == Life::None {
                return Ok((By::Wish(Arc::new(AlwaysOff)), None));
            }
            Ok((By::Sampler(Arc::new(builder.spawn()?)), None))
        })
    }

    #[cfg(feature = "remote")]
    fn xray(&mut self, node: &Node, settings: &XRay, follows_parents: bool) -> Result<By, BuildError> {
        self.remembered(node, |construction| {
            let mut builder = XRaySampler::builder()
                .with_service_name(construction.service_name.as_deref().unwrap_or("unknown_service"))
                .with_parent_based(follows_parents)
                .with_observer(Arc::clone(&construction.surroundings.observer));
            if let Some(platform) = &construction.surroundings.cloud_platform {
                builder = builder.with_cloud_platform(platform);
            }
            if let Some(arn) = &construction.surroundings.resource_arn {
                builder = builder.with_resource_arn(arn);
            }
            if let Some(endpoint) = &settings.endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(interval) = settings.polling_interval {
                builder = builder.with_polling_interval(interval);
            }
            if construction.surroundings.life == Life::None {
                return Ok((By::Wish(Arc::new(AlwaysOff)), None));
            }
            Ok((By::Sampler(Arc::new(builder.spawn()?)), None))
        })
    }

    #[cfg(not(feature = "remote"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn jaeger_remote(&mut self, _: &Node, _: &JaegerRemote, _: bool) -> Result<By, BuildError> {
        Err(not_in_this_program("jaeger_remote"))
    }

    #[cfg(not(feature = "remote"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn xray(&mut self, _: &Node, _: &XRay, _: bool) -> Result<By, BuildError> {
        Err(not_in_this_program("xray"))
    }
}

/// Nobody can have described one: whoever reads descriptions knows that there is none.
#[cfg(not(feature = "remote"))]
fn not_in_this_program(field: &'static str) -> BuildError {
    BuildError::new(field, "a sampler", "a sampler of this program: feature `remote` is off")
}

/// `root` for roots, and the branches of `others` for the rest.
#[cfg(feature = "config")]
fn with_root(root: By, others: ByParent) -> By {
    let root: Arc<dyn Sampler> = match root {
        By::Sampler(root) => root,
        By::Wish(root) => Arc::new(CompositeSampler::new(root)),
    };
    let others = CompositeSampler::new(others);
    let sampler = ParentBased::builder(root)
        .with_remote_parent_sampled(others.clone())
        .with_remote_parent_not_sampled(others.clone())
        .with_local_parent_sampled(others.clone())
        .with_local_parent_not_sampled(others);
    By::Sampler(Arc::new(sampler.build()))
}

#[cfg(feature = "config")]
impl Construction {
    fn adaptive(&mut self, node: &Node, settings: &AdaptiveNode) -> Result<Wish, BuildError> {
        self.remembered_wish(node, |construction| {
            let mut builder = settings
                .builder()
                .with_pressure(construction.surroundings.pressure.clone());
            if let Some(sampler) = &settings.sampler {
                builder = builder.with_sampler(construction.composable(sampler)?);
            }
            let adaptive = match construction.surroundings.life {
                Life::Own => builder.spawn()?,
                Life::Lent | Life::None => builder.build()?,
            };
            let ticked = adaptive.clone();
            Ok((Arc::new(adaptive), Box::new(move |now| ticked.tick(now))))
        })
    }

    fn per_key(&mut self, node: &Node, settings: &PerKeyNode) -> Result<Wish, BuildError> {
        self.remembered_wish(node, |construction| {
            let life = construction.surroundings.life;
            if life == Life::None {
                settings.try_out()?;
                return Ok((Arc::new(AlwaysOff), Box::new(|_| {})));
            }
            let builder = settings
                .builder()
                .with_pressure(construction.surroundings.pressure.clone());
            let per_key = builder.build_composable()?;
            if life == Life::Own {
                per_key.drive()?;
            }
            let ticked = per_key.clone();
            Ok((Arc::new(per_key), Box::new(move |now| ticked.tick(now))))
        })
    }

    fn rate_limiting(&mut self, node: &Node, settings: &RateLimitingNode) -> Result<Wish, BuildError> {
        self.remembered_wish(node, |construction| {
            let mut builder = settings
                .builder()
                .with_pressure(construction.surroundings.pressure.clone());
            if let Some(sampler) = &settings.sampler {
                builder = builder.with_sampler(construction.composable(sampler)?);
            }
            let limiting = match construction.surroundings.life {
                Life::Own => builder.spawn()?,
                Life::Lent | Life::None => builder.build()?,
            };
            let ticked = limiting.clone();
            Ok((Arc::new(limiting), Box::new(move |now| ticked.tick(now))))
        })
    }

    /// The same for composable samplers, which all must hear of time.
    fn remembered_wish(
        &mut self,
        node: &Node,
        make: impl FnOnce(&mut Self) -> Result<(Wish, Box<dyn Fn(Instant) + Send + Sync>), BuildError>,
    ) -> Result<Wish, BuildError> {
        let remembered = self.remembered(node, |construction| {
            let (wish, tick) = make(construction)?;
            let is_lent = construction.surroundings.life == Life::Lent;
            Ok((By::Wish(wish), is_lent.then(|| tick.into())))
        });
        match remembered? {
            By::Wish(wish) => Ok(wish),
            // No sampler that decides by itself was made of these settings.
            By::Sampler(_) => Err(BuildError::new("sampler", "another", "the same")),
        }
    }

    fn by_parent(&mut self, branches: &ParentBasedNode, root: Wish) -> Result<ByParent, BuildError> {
        let mut branch = |node: &Option<Node>| node.as_ref().map(|node| self.composable(node)).transpose();
        Ok(ByParent {
            remote_parent_sampled: branch(&branches.remote_parent_sampled)?,
            remote_parent_not_sampled: branch(&branches.remote_parent_not_sampled)?,
            local_parent_sampled: branch(&branches.local_parent_sampled)?,
            local_parent_not_sampled: branch(&branches.local_parent_not_sampled)?,
            root,
        })
    }

    fn rule_based(&mut self, rules: &[RuleNode]) -> Result<RuleBased, BuildError> {
        let mut builder = RuleBased::builder();
        for (index, node) in rules.iter().enumerate() {
            let name = node.name_at(index);
            // Rules within a rule are counted by names of their own.
            let name = match &self.around {
                Some(around) => format!("{around}.{name}"),
                None => name,
            };
            let around = self.around.replace(name.clone());
            let sampler = self.composable(&node.sampler)?;
            self.around = around;
            let rule = node.predicates()?.into_iter().fold(Rule::new(name), Rule::when);
            builder = builder.rule(rule.then(sampler));
        }
        let rules = builder.build()?;
        self.lints.extend(rules.lints().iter().map(ToString::to_string));
        Ok(rules)
    }
}
