//! What our composite samplers decide, beside those of OpenTelemetry for Python.
//!
//! Both answer the same generated cases. Where they differ, a known defect of the other one must say how, exactly; anything else
//! fails. `xtask/interop/README.md` describes the documents and the defects.

mod cases;
mod defect;
mod random;
mod rules;
mod trace_state;

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use serde_json::Value;

use self::{cases::Case, defect::Defect};
use super::{environment::Environment, program};
use crate::{Failure, cargo::Workspace, deadline::Deadline, process::Process};

const EXAMPLE: &str = "composites";
const CASES: u64 = 5_000;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const MOST_DIFFERENCES_SHOWN: usize = 8;
const MOST_CHARACTERS_SHOWN: usize = 120;

/// Makes the cases, has them answered twice, and compares; prints what came out.
pub(super) fn run(workspace: &Workspace, environment: &Environment) -> Result<(), Failure> {
    let example = program::build_example(workspace, EXAMPLE)?;
    let cases: Vec<Case> = (0..CASES).map(Case::generate).collect();
    let path = workspace.target.join("interop/composites.jsonl");
    let lines: Vec<String> = cases.iter().map(|case| case.document().to_string()).collect();
    fs::write(&path, lines.join("\n"))?;
    let ours = answers("our samplers", Command::new(example), &path)?;
    let theirs = answers("the Python samplers", environment.script("composites.py"), &path)?;
    if ours.len() != cases.len() || theirs.len() != cases.len() {
        return Err(format!("{} cases, {} and {} answers", cases.len(), ours.len(), theirs.len()).into());
    }
    let mut comparison = Comparison::default();
    for (case, (ours, theirs)) in cases.iter().zip(ours.iter().zip(&theirs)) {
        if [ours, theirs].iter().any(|answer| answer["id"] != case.id) {
            return Err("the answers are not in the order of the cases".into());
        }
        comparison.add(case, ours, theirs);
    }
    comparison.report()
}

fn answers(name: &str, mut command: Command, cases: &Path) -> Result<Vec<Value>, Failure> {
    let lines = Process::start(name, command.arg(cases))?.finish(Deadline::within(ANSWER_TIMEOUT))?;
    lines.iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// How many answers were equal, and why the others were not.
#[derive(Debug, Default)]
struct Comparison {
    equal: usize,
    kept: usize,
    explained: BTreeMap<Defect, usize>,
    unexplained: Vec<String>,
}

impl Comparison {
    fn add(&mut self, case: &Case, ours: &Value, theirs: &Value) {
        self.kept += usize::from(ours["is_kept"] == true);
        match defect::explain(case, ours, theirs) {
            Ok(None) => self.equal += 1,
            Ok(Some(defect)) => *self.explained.entry(defect).or_default() += 1,
            Err(()) => self.unexplained.push(format!(
                "case {}: ours {}, theirs {}; see the line of that id in the file of cases",
                case.id,
                shown(ours),
                shown(theirs)
            )),
        }
    }

    fn report(self) -> Result<(), Failure> {
        let explained: usize = self.explained.values().sum();
        println!(
            "\ncomposite samplers beside those of Python: {} cases ({} kept), {} equal, {explained} differ by a known defect of theirs:",
            self.equal + explained + self.unexplained.len(),
            self.kept,
            self.equal,
        );
        for (defect, count) in &self.explained {
            println!("{count:>8}  {defect}");
        }
        for difference in self.unexplained.iter().take(MOST_DIFFERENCES_SHOWN) {
            println!("    {difference}");
        }
        if !self.unexplained.is_empty() {
            return Err(format!("{} decisions differ for no known reason", self.unexplained.len()).into());
        }
        // One that no case shows is mended, or the cases have become too few.
        let mut never = Defect::ALL.iter().filter(|defect| !self.explained.contains_key(defect));
        match never.next() {
            Some(defect) => Err(format!("no case shows that the Python sampler {defect}").into()),
            None => Ok(()),
        }
    }
}

/// What was decided, and as much of the trace state as tells the answers apart.
fn shown(answer: &Value) -> String {
    let verb = if answer["is_kept"] == true { "kept" } else { "dropped" };
    let members: Vec<_> = trace_state::members(answer)
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let text = format!("{verb} {}", members.join(","));
    match text.char_indices().nth(MOST_CHARACTERS_SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A case whose parent has an `ot` member that is well-formed and says nothing of a threshold, and a sampler that drops.
    fn case() -> Case {
        let mut cases = (0..CASES).map(Case::generate);
        let is_plain = |case: &Case| {
            let own = case.own().unwrap_or_default();
            trace_state::is_well_formed(own) && trace_state::content(own, "th").is_none()
        };
        cases.find(is_plain).expect("there is one")
    }

    fn answer(id: u64, is_kept: bool, own: &str) -> Value {
        let answer = json!({ "is_kept": is_kept, "trace_state": [["ot", own]], "attributes": {} });
        let mut whole = answer.clone();
        whole["trusting"] = answer;
        whole["id"] = id.into();
        whole
    }

    #[test]
    fn what_no_defect_explains_is_a_failure() {
        let case = case();
        let own = case.own().expect("a member").to_owned();
        let mut comparison = Comparison::default();
        comparison.add(&case, &answer(case.id, false, &own), &answer(case.id, false, &own));
        assert_eq!((comparison.equal, comparison.unexplained.len()), (1, 0));
        comparison.add(&case, &answer(case.id, false, &own), &answer(case.id, true, &own));
        comparison.add(&case, &answer(case.id, true, "th:8"), &answer(case.id, true, "th:4"));
        assert_eq!((comparison.equal, comparison.unexplained.len()), (1, 2));
        assert!(comparison.report().is_err());
    }

    #[test]
    fn a_defect_that_no_case_shows_is_a_failure() {
        let failure = Comparison::default().report().expect_err("nothing was shown");
        assert!(failure.to_string().starts_with("no case shows"), "{failure}");
    }
}
