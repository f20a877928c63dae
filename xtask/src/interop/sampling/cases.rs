//! The cases: samplers, traces and parents, the same in each run.

use serde_json::{Value, json};

use super::{random::Random, rules, trace_state::KEY};

const RANGE: f64 = (1_u64 << 56) as f64;

/// Probabilities at which one bit more or less matters, beside random ones.
const RATIOS: &[f64] = &[
    1.0,
    0.5,
    0.25,
    0.1,
    0.2,
    0.45,
    1.0 / 3.0,
    2.0 / 3.0,
    0.01,
    1e-3,
    1e-6,
    1e-15,
    0.0,
    // Neither the last that is nor the first that is none: 2^-56 and half as much again below it.
    1.0 / RANGE,
    0.75 / RANGE,
    0.5 / RANGE,
    1e-300,
];

/// One question to both samplers.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: u64,
    pub(super) sampler: Sampler,
    kind: &'static str,
    attributes: Value,
    trace_id: u128,
    parent: Option<Parent>,
}

#[derive(Debug)]
pub(super) enum Sampler {
    AlwaysOff,
    AlwaysOn,
    Annotating(Box<Sampler>, &'static str),
    ParentThreshold(Box<Sampler>),
    Probability {
        ratio: f64,
        precision: u64,
    },
    /// Predicates, all of which must fit, and what is asked if they do.
    RuleBased(Vec<(Vec<Value>, Sampler)>),
}

#[derive(Debug)]
struct Parent {
    span_id: u64,
    flags: u64,
    is_remote: bool,
    trace_state: Vec<(String, String)>,
}

impl Case {
    pub(super) fn generate(id: u64) -> Self {
        let random = &mut Random::seeded(id);
        let sampler = Sampler::generate(random, 2);
        let mut low = random.bits();
        // Half of the traces lie where the decision turns.
        if let Some(ratio) = sampler.ratios().pop().filter(|_| random.one_in(2)) {
            let turn = ((1.0 - ratio) * RANGE) as u64;
            let randomness = (turn + random.below(5)).saturating_sub(2).min((1 << 56) - 1);
            low = low & !((1 << 56) - 1) | randomness;
        }
        let trace_id = u128::from(random.bits() | 1) << 64 | u128::from(low);
        let parent = (!random.one_in(5)).then(|| Parent::generate(random, low & ((1 << 56) - 1)));
        Self {
            id,
            sampler,
            kind: rules::kind(random),
            attributes: rules::attributes(random),
            trace_id,
            parent,
        }
    }

    pub(super) fn document(&self) -> Value {
        let trace_id = format!("{:032x}", self.trace_id);
        let parent = self.parent.as_ref().map(|parent| {
            json!({
                "trace_id": trace_id,
                "span_id": format!("{:016x}", parent.span_id),
                "flags": parent.flags,
                "is_remote": parent.is_remote,
                "trace_state": parent.trace_state,
            })
        });
        json!({
            "id": self.id,
            "sampler": self.sampler.document(),
            "kind": self.kind,
            "attributes": self.attributes,
            "trace_id": trace_id,
            "parent": parent,
        })
    }

    /// The 56 bits of the trace id that decide.
    pub(super) fn randomness(&self) -> u64 {
        self.trace_id as u64 & ((1 << 56) - 1)
    }

    pub(super) fn is_parent_sampled(&self) -> bool {
        self.parent.as_ref().is_some_and(|parent| parent.flags & 1 == 1)
    }

    /// The value of the parent's `ot` member.
    pub(super) fn own(&self) -> Option<&str> {
        let members = self.parent.as_ref()?.trace_state.iter();
        members
            .filter(|(key, _)| key == KEY)
            .map(|(_, value)| value.as_str())
            .next()
    }
}

impl Sampler {
    fn generate(random: &mut Random, depth: u32) -> Self {
        match random.below(if depth == 0 { 5 } else { 13 }) {
            0 => Self::AlwaysOff,
            1 => Self::AlwaysOn,
            2..=4 => Self::Probability {
                ratio: ratio(random),
                precision: if random.one_in(2) { 14 } else { 1 + random.below(13) },
            },
            5..=8 => Self::ParentThreshold(Box::new(Self::generate(random, depth - 1))),
            9..=11 => {
                let mut rule = || (rules::predicates(random), Self::generate(random, depth - 1));
                Self::RuleBased(vec![rule(), rule(), rule()])
            }
            _ => {
                let value = if depth == 2 { "outer" } else { "inner" };
                Self::Annotating(Box::new(Self::generate(random, depth - 1)), value)
            }
        }
    }

    fn document(&self) -> Value {
        match self {
            Self::AlwaysOff => json!({ "kind": "always_off" }),
            Self::AlwaysOn => json!({ "kind": "always_on" }),
            Self::Annotating(sampler, value) => json!({
                "kind": "annotating",
                "sampler": sampler.document(),
                "attributes": { "both": value, *value: "1" },
            }),
            Self::ParentThreshold(root) => json!({ "kind": "parent_threshold", "root": root.document() }),
            Self::Probability { ratio, precision } => json!({
                "kind": "probability",
                // As bits: of digits, a reader may make a neighbour.
                "ratio": format!("{:016x}", ratio.to_bits()),
                "precision": precision,
            }),
            Self::RuleBased(rules) => {
                let rules = rules
                    .iter()
                    .map(|(predicates, sampler)| json!({ "predicates": predicates, "sampler": sampler.document() }));
                json!({ "kind": "rule_based", "rules": rules.collect::<Vec<_>>() })
            }
        }
    }

    /// The probabilities that it may come to.
    pub(super) fn ratios(&self) -> Vec<f64> {
        match self {
            Self::AlwaysOff | Self::AlwaysOn => Vec::new(),
            Self::Annotating(sampler, _) | Self::ParentThreshold(sampler) => sampler.ratios(),
            Self::Probability { ratio, .. } => vec![*ratio],
            Self::RuleBased(rules) => rules.iter().flat_map(|(_, sampler)| sampler.ratios()).collect(),
        }
    }

    /// Whether it asks the parent.
    pub(super) fn follows_parent(&self) -> bool {
        match self {
            Self::Annotating(sampler, _) => sampler.follows_parent(),
            Self::ParentThreshold(_) => true,
            Self::RuleBased(rules) => rules.iter().any(|(_, sampler)| sampler.follows_parent()),
            Self::AlwaysOff | Self::AlwaysOn | Self::Probability { .. } => false,
        }
    }
}

fn ratio(random: &mut Random) -> f64 {
    match random.below(4) {
        0 => RATIOS[random.below(RATIOS.len() as u64) as usize],
        // Of all sizes.
        1 => 2_f64.powf(-20.0 * random.float()),
        // Half way between two thresholds.
        2 => (random.below(1 << 50) as f64 + 0.5) / RANGE,
        _ => random.float(),
    }
}

impl Parent {
    fn generate(random: &mut Random, randomness: u64) -> Self {
        let vendors = match random.below(20) {
            0 => 32,
            1 => 31,
            _ => random.below(4),
        };
        let mut trace_state: Vec<_> = (0..vendors).map(|n| (format!("vendor{n}"), format!("v{n}"))).collect();
        if vendors < 32 && !random.one_in(4) {
            let place = random.below(vendors + 1) as usize;
            trace_state.insert(place, (KEY.to_owned(), own(random, randomness)));
        }
        Self {
            // Without an id it is no parent, but its trace state is there.
            span_id: if random.one_in(20) { 0 } else { random.bits() | 1 },
            flags: random.below(4),
            is_remote: random.one_in(2),
            trace_state,
        }
    }
}

/// The value of an `ot` member: mostly one that is well-formed.
fn own(random: &mut Random, randomness: u64) -> String {
    let mut members = Vec::new();
    let explicit = if random.one_in(2) {
        randomness
    } else {
        random.bits() >> 8
    };
    if random.one_in(2) {
        members.push(format!("rv:{explicit:014x}"));
    }
    if !random.one_in(4) {
        // Half of them low enough for the trace to have been sampled.
        let most = if random.one_in(2) { explicit.max(1) } else { 1 << 56 };
        let digits = 1 + random.below(14) as usize;
        members.push(format!("th:{}", &format!("{:014x}", random.below(most))[..digits]));
    }
    for n in 0..random.below(3) {
        members.push(format!("x{n}:{}", random.below(1000)));
    }
    if random.one_in(12) {
        members.push(format!("long:{}", "y".repeat(230 + random.below(22) as usize)));
    }
    if random.one_in(6) {
        members.push(ODD[random.below(ODD.len() as u64) as usize].to_owned());
    }
    if members.is_empty() {
        members.push("x:".to_owned());
    }
    // In any order.
    for end in (1..members.len()).rev() {
        members.swap(end, random.below(end as u64 + 1) as usize);
    }
    let value = members.join(";");
    // The SDK of Python refuses a member without a value before any sampler sees it.
    if value.is_empty() || value.len() > 256 {
        "x:1".to_owned()
    } else {
        value
    }
}

/// Members that are none, or none that may be there.
const ODD: &[&str] = &[
    "a",
    "#",
    "",
    "X:1",
    ":1",
    "x1:a b",
    "th:",
    "th:x",
    "th:FD7",
    "th:0x8",
    "th:1_0",
    "rv:x",
    "rv:1234567890abcde",
    "rv:ABCDEF01234567",
    "rv:0x000000000001",
    "th:8;th:c",
    "x5:1;x5:2",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_the_same_in_each_run_and_none_is_as_another() {
        let documents = |from| {
            (from..from + 100)
                .map(|id| Case::generate(id).document().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(documents(0), documents(0));
        let mut all = documents(0);
        all.extend(documents(100));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn every_kind_of_parent_and_sampler_comes() {
        let cases: Vec<_> = (0..1000).map(Case::generate).collect();
        assert!(cases.iter().any(|case| case.parent.is_none()));
        assert!(cases.iter().any(|case| {
            case.parent
                .as_ref()
                .is_some_and(|parent| parent.trace_state.len() == 32)
        }));
        for kind in [
            "always_on",
            "always_off",
            "annotating",
            "parent_threshold",
            "probability",
            "rule_based",
        ] {
            assert!(
                cases.iter().any(|case| case.document()["sampler"]["kind"] == kind),
                "{kind}"
            );
        }
    }
}
