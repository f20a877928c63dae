//! How pressure lowers a target.

/// What pressure leaves of a target. Down at once, and up slowly: or the queue, whose fill the pressure is, would swing.
///
/// ```text
/// allowed = max(1 - pressure, LEAST)
/// ease    = allowed where that is less; else it comes nearer by RECOVERY of the way each second
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ease(f64);

/// What is left at least: some traces must tell what goes on.
const LEAST: f64 = 0.01;

/// The share of the way back that is made in a second.
const RECOVERY: f64 = 0.5;

impl Ease {
    /// Without pressure.
    pub(crate) const FULL: Self = Self(1.0);

    /// The share of the target that is left, above 0 and up to 1.
    pub(crate) fn share(self) -> f64 {
        self.0
    }

    /// So many seconds have passed, and the pressure is this, 0 to 1.
    pub(crate) fn follow(&mut self, seconds: f64, pressure: f32) {
        let allowed = (1.0 - f64::from(pressure)).clamp(LEAST, 1.0);
        let risen = self.0 + (allowed - self.0) * (RECOVERY * seconds).min(1.0);
        self.0 = allowed.min(risen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_at_once_to_what_is_left_and_comes_back_by_halves() {
        let mut ease = Ease::FULL;
        ease.follow(0.1, 0.75);
        assert_eq!(ease.share(), 0.25);
        ease.follow(1.0, 0.0);
        assert_eq!(ease.share(), 0.625);
        ease.follow(1.0, 1.0);
        assert_eq!(ease.share(), 0.01);
        // No longer pause makes it more than what is allowed.
        ease.follow(100.0, 0.5);
        assert_eq!(ease.share(), 0.5);
    }
}
