//! Where the other implementation is known not to do what the specification says, and how that shows.

use std::fmt;

use serde_json::Value;

use super::cases::Case;
use super::trace_state::{KEY, MAX_LEN, MAX_MEMBERS, bits, content, is_well_formed, members, others, own, sorted};

const RANGE: f64 = (1_u64 << 56) as f64;

/// A known defect of the composite samplers of OpenTelemetry for Python 1.45.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Defect {
    KeepsMalformed,
    LeavesFullList,
    LeavesStaleMember,
    MovesUnchanged,
    RoundsHalfToEven,
    ShedsMembers,
    TakesTooSmall,
    TrustsInconsistent,
}

impl Defect {
    pub(super) const ALL: [Self; 8] = [
        Self::KeepsMalformed,
        Self::LeavesFullList,
        Self::LeavesStaleMember,
        Self::MovesUnchanged,
        Self::RoundsHalfToEven,
        Self::ShedsMembers,
        Self::TakesTooSmall,
        Self::TrustsInconsistent,
    ];
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeepsMalformed => "takes what it can of an `ot` member that is none, and sends the rest on",
            Self::LeavesFullList => "writes no `ot` member into a trace state of 32, of which the last should go",
            Self::LeavesStaleMember => "leaves `th` where its removal leaves nothing else in `ot`",
            Self::MovesUnchanged => "rewrites an `ot` member that has not changed, and moves it to the front",
            Self::RoundsHalfToEven => "rounds a probability half way between two thresholds to the even one",
            Self::ShedsMembers => "drops the members of `ot` that `th` leaves no room for",
            Self::TakesTooSmall => "has a threshold for probabilities below 2^-56",
            Self::TrustsInconsistent => "follows a parent's threshold that disagrees with its sampled flag",
        })
    }
}

/// Why the answers differ: `Ok(None)` if they do not, an error if nothing that is known explains it.
pub(super) fn explain(case: &Case, ours: &Value, theirs: &Value) -> Result<Option<Defect>, ()> {
    // It always trusts, so that is what it is held against first.
    let trusting = explain_as(case, &ours["trusting"], theirs)?;
    let is_same = ["is_kept", "trace_state", "attributes"]
        .iter()
        .all(|field| ours[*field] == ours["trusting"][*field]);
    if is_same {
        return Ok(trusting);
    }
    // Only a sampler that follows its parent can trust it.
    let is_trust = case.sampler.follows_parent() && is_inconsistent(case);
    if is_trust {
        Ok(Some(Defect::TrustsInconsistent))
    } else {
        Err(())
    }
}

/// Whether the parent has a threshold that says something else than its flag.
fn is_inconsistent(case: &Case) -> bool {
    let own = case.own().unwrap_or_default();
    let threshold = content(own, "th").and_then(bits);
    let explicit = content(own, "rv").filter(|rv| is_well_formed(&format!("rv:{rv}")));
    let randomness = explicit.and_then(bits).unwrap_or(case.randomness());
    threshold.is_some_and(|threshold| case.is_parent_sampled() != (randomness >= threshold))
}

fn explain_as(case: &Case, ours: &Value, theirs: &Value) -> Result<Option<Defect>, ()> {
    let (our_members, their_members) = (members(ours), members(theirs));
    let is_same_decision = ours["is_kept"] == theirs["is_kept"] && ours["attributes"] == theirs["attributes"];
    if is_same_decision && our_members == their_members {
        return Ok(None);
    }
    let (our_own, their_own) = (own(&our_members), own(&their_members));
    let is_same_beside = others(&our_members) == others(&their_members);
    let came = case.own();

    let is_full = our_members.len() == MAX_MEMBERS && their_members.len() == MAX_MEMBERS && came.is_none();
    if is_same_decision && is_full && our_members[1..] == their_members[..MAX_MEMBERS - 1] {
        return Ok(Some(Defect::LeavesFullList));
    }
    if !is_same_beside {
        return Err(());
    }
    if came.is_some_and(|came| !is_well_formed(came)) {
        return Ok(Some(Defect::KeepsMalformed));
    }
    if is_same_decision && came.is_some() && our_own.is_none() && their_own == came {
        return Ok(Some(Defect::LeavesStaleMember));
    }
    let is_moved = our_own == came && their_members.first().is_some_and(|(key, _)| *key == KEY);
    if is_same_decision && is_moved && our_own.map(sorted) == their_own.map(sorted) {
        return Ok(Some(Defect::MovesUnchanged));
    }
    if is_same_decision && is_shed(came, our_own, their_own) {
        return Ok(Some(Defect::ShedsMembers));
    }
    let mut scaled = case.sampler.ratios().into_iter().map(|ratio| ratio * RANGE);
    if scaled.clone().any(|ratio| ratio > 0.0 && ratio < 1.0) && ours["is_kept"] == false {
        return Ok(Some(Defect::TakesTooSmall));
    }
    if scaled.any(|ratio| ratio.fract() == 0.5) && is_a_step_apart(our_own, their_own) {
        return Ok(Some(Defect::RoundsHalfToEven));
    }
    Err(())
}

/// Ours has what came, but for the threshold; theirs has a threshold, and some of what came.
fn is_shed(came: Option<&str>, ours: Option<&str>, theirs: Option<&str>) -> bool {
    let (Some(came), Some(ours), Some(theirs)) = (came, ours, theirs) else {
        return false;
    };
    let (came, ours, theirs) = (
        without_threshold(came),
        without_threshold(ours),
        (theirs, without_threshold(theirs)),
    );
    let Some(threshold) = content(theirs.0, "th") else {
        return false;
    };
    let has_no_room = came.join(";").len() + ";th:".len() + threshold.len() > MAX_LEN;
    has_no_room && ours == came && theirs.1.len() < came.len() && theirs.1.iter().all(|member| came.contains(member))
}

fn without_threshold(value: &str) -> Vec<&str> {
    sorted(value)
        .into_iter()
        .filter(|member| !member.starts_with("th:"))
        .collect()
}

/// Thresholds that are neighbours, or one that is there because the randomness lies between them.
fn is_a_step_apart(ours: Option<&str>, theirs: Option<&str>) -> bool {
    let threshold = |value: Option<&str>| value.and_then(|value| content(value, "th")).and_then(bits);
    match (threshold(ours), threshold(theirs)) {
        (Some(ours), Some(theirs)) => ours.abs_diff(theirs) <= 1,
        (one, other) => one.is_some() != other.is_some(),
    }
}
