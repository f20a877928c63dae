//! What the thread that ticks knows of a key.

use super::estimate::Estimate;

/// Of the key in one cell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Spans since the last pass.
    pub(super) recent: f32,
    /// Seconds without any.
    pub(super) idle: f32,
    pub(super) estimate: Estimate,
    pub(super) rate: f32,
    pub(super) probability: f32,
    pub(super) weight: f32,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Phase {
    /// The cell is free, as far as is known here.
    #[default]
    Vacant,
    /// Claimed in the time before the last pass, at a moment that nobody knows.
    Claimed,
    /// Watched since then.
    Young,
    /// With a budget of its own.
    Settled,
    /// And with a column.
    Hot(u8),
}

/// By what factors keys have changed that do not show a change by themselves: together they may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changes {
    /// Those that were seen a few times at most.
    pub(super) rare: f32,
    /// The others.
    pub(super) known: f32,
}

/// Seconds that a key is watched before it has a budget of its own, unless it is seen [`PLENTY`] of times before. What led to it
/// being noticed does not count: that would make of each key that is seen once a frequent one.
const PROBATION: f32 = 0.9;
const PLENTY: f32 = 64.0;

impl State {
    pub(super) fn claimed(weight: f32) -> Self {
        Self {
            phase: Phase::Claimed,
            weight,
            ..Self::default()
        }
    }

    pub(super) fn has_budget(&self) -> bool {
        matches!(self.phase, Phase::Settled | Phase::Hot(_))
    }

    /// Whether the spans since the last pass contradict what was known of the key.
    pub(super) fn is_contradicted(&self, seconds: f32) -> bool {
        self.estimate.is_contradicted(self.recent, seconds)
    }

    /// Takes in what was counted since the last pass. `true` if the key has just come to a budget of its own.
    pub(super) fn observe(&mut self, seconds: f32, changes: Changes) -> bool {
        self.idle = if self.recent > 0.0 { 0.0 } else { self.idle + seconds };
        let recent = std::mem::take(&mut self.recent);
        match self.phase {
            Phase::Vacant => false,
            Phase::Claimed => {
                self.phase = Phase::Young;
                false
            }
            Phase::Young => {
                self.estimate.observe(recent, seconds);
                let is_known = self.estimate.seconds() >= PROBATION || self.estimate.count() >= PLENTY;
                if is_known {
                    self.phase = Phase::Settled;
                }
                is_known
            }
            Phase::Settled => {
                if !self.estimate.is_contradicted(recent, seconds) {
                    let is_rare = self.estimate.is_rare();
                    self.estimate.scale(if is_rare { changes.rare } else { changes.known });
                }
                self.estimate.observe(recent, seconds);
                false
            }
            // Its column is looked at in every tick.
            Phase::Hot(_) => false,
        }
    }
}
