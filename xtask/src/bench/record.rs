//! Figures as they are stored.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{machine::Machine, outcome::Outcome, series::Series};
use crate::{Failure, cargo::Workspace};

/// All figures of one run.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) machine: Machine,
    pub(super) rounds: usize,
    pub(super) quick: bool,
    pub(super) outcomes: Vec<Outcome>,
}

/// What is read of a run that was stored: enough to compare with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Earlier {
    pub(super) machine: Machine,
    ours: Vec<(String, Series)>,
}

impl Record {
    /// Writes it where [`load`](Self::load) finds it by its label; the file's path.
    pub(super) fn save(&self, workspace: &Workspace, label: &str) -> Result<PathBuf, Failure> {
        let path = path(workspace, label);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&path, format!("{:#}\n", self.to_json(label)))?;
        Ok(path)
    }

    pub(super) fn load(workspace: &Workspace, label: &str) -> Result<Earlier, Failure> {
        let path = path(workspace, label);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Earlier::from_json(&value).ok_or_else(|| format!("{}: these are no figures", path.display()).into())
    }

    fn to_json(&self, label: &str) -> Value {
        json!({
            "label": label,
            "machine": self.machine.to_json(),
            "settings": { "rounds": self.rounds, "quick": self.quick },
            "figures": self.outcomes.iter().map(Outcome::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Earlier {
    /// What ours was then.
    pub(super) fn ours(&self, id: &str) -> Option<&Series> {
        let mut figures = self.ours.iter();
        figures.find(|(known, _)| known == id).map(|(_, series)| series)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let figures = value["figures"].as_array()?.iter().map(|figure| {
            let id = figure["id"].as_str()?.to_owned();
            Some((id, Series::from_json(&figure["ours"])?))
        });
        Some(Self {
            machine: Machine::from_json(&value["machine"])?,
            ours: figures.collect::<Option<_>>()?,
        })
    }
}

fn path(workspace: &Workspace, label: &str) -> PathBuf {
    workspace.target.join("bench").join(format!("{label}.json"))
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// A record of these figures, on a machine that has nothing to say.
    pub(in crate::bench) fn record(outcomes: Vec<Outcome>) -> Record {
        Record {
            machine: Machine {
                cores: 2,
                cpu: "A CPU".into(),
                rustc: "rustc 1.88.0".into(),
                commit: "abc".into(),
                date: "2026-01-02".into(),
                ..Machine::default()
            },
            rounds: 3,
            quick: false,
            outcomes,
        }
    }

    /// The same, stored and read again.
    pub(in crate::bench) fn earlier(outcomes: Vec<Outcome>) -> Earlier {
        Earlier::from_json(&record(outcomes).to_json("x")).expect("as written")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::outcome::fixture::outcome,
        fixture::{earlier, record},
        *,
    };

    #[test]
    fn what_was_stored_is_found_by_id() {
        let earlier = earlier(vec![
            outcome("a", &[1.0, 3.0], &[9.0, 9.0]),
            outcome("b", &[7.0], &[9.0]),
        ]);
        assert_eq!(earlier.ours("a").map(Series::median), Some(2.0));
        assert_eq!(earlier.ours("c"), None);
        assert_eq!(earlier.machine.commit, "abc");
    }

    #[test]
    fn a_document_of_another_shape_is_refused() {
        let mut value = record(vec![outcome("a", &[1.0], &[2.0])]).to_json("x");
        assert!(Earlier::from_json(&value).is_some());
        value["figures"][0]["ours"] = json!("fast");
        assert_eq!(Earlier::from_json(&value), None);
    }
}
