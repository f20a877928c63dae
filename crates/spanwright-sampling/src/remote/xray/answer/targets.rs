//! `SamplingTargets`.

use serde_json::{Map, Value};
use spanwright_core::BuildError;

use super::{checked, missing, number, objects, per_second, share, text};
use crate::remote::json::{document, object};
use crate::remote::xray::target::{Target, Targets, Unprocessed};

const TARGETS: &str = "SamplingTargetDocuments";
const UNPROCESSED: &str = "UnprocessedStatistics";

const MAX_INTERVAL_SECONDS: f64 = 86_400.0;

/// How much of a server's message is told.
const EXCERPT_CHARS: usize = 200;

/// Reads the body of an answer.
///
/// # Errors
///
/// Names the field, the value, and what is accepted.
pub(in crate::remote::xray) fn read(body: &[u8]) -> Result<Targets, BuildError> {
    let answer = document(body)?;
    let answer = object("answer", &answer)?;
    let targets = objects(answer, TARGETS)?.ok_or_else(|| missing(TARGETS))?;
    let targets = targets.iter().map(|(path, target)| read_target(target, path));
    let unprocessed = objects(answer, UNPROCESSED)?.unwrap_or_default();
    let unprocessed = unprocessed.iter().map(|(path, document)| {
        let said = |name| text(document, name, path).map(Option::unwrap_or_default);
        let why = format!("{} {}", said("ErrorCode")?, said("Message")?);
        Ok(Unprocessed {
            rule: said("RuleName")?.to_owned(),
            why: why.trim().chars().take(EXCERPT_CHARS).collect(),
        })
    });
    Ok(Targets {
        targets: targets.collect::<Result<_, BuildError>>()?,
        last_modification: number(answer, "LastRuleModification", "answer")?,
        unprocessed: unprocessed.collect::<Result<_, BuildError>>()?,
    })
}

fn read_target(target: &Map<String, Value>, path: &str) -> Result<Target, BuildError> {
    Ok(Target {
        rule: text(target, "RuleName", path)?
            .ok_or_else(|| missing(format!("{path}.RuleName")))?
            .to_owned(),
        fixed_rate: share(target, "FixedRate", path)?,
        quota: per_second(target, "ReservoirQuota", path)?,
        quota_ends: number(target, "ReservoirQuotaTTL", path)?,
        interval_seconds: checked(
            target,
            "Interval",
            path,
            1.0..=MAX_INTERVAL_SECONDS,
            "1 to 86400 seconds",
        )?,
    })
}
