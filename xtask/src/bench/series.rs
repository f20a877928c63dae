//! The values of one figure, one for each round.

use serde_json::{Value, json};

/// Values in the order in which they were taken; at least one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series(Vec<f64>);

/// One figure as a multiple of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    /// Of the medians.
    pub(super) value: f64,
    /// The smallest and the largest of a round: how far it may be trusted.
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Series {
    /// `None` without values, or where one of them is not a number.
    pub(super) fn new(values: Vec<f64>) -> Option<Self> {
        (!values.is_empty() && values.iter().all(|value| value.is_finite())).then_some(Self(values))
    }

    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        }
    }

    /// This one as a multiple of `other`, whose rounds are the same.
    pub(super) fn ratio_to(&self, other: &Self) -> Ratio {
        let rounds = self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs);
        let (least, most) = rounds.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), ratio| {
            (least.min(ratio), most.max(ratio))
        });
        Ratio {
            value: self.median() / other.median(),
            least,
            most,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "median": self.median(), "rounds": self.0 })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let values = value["rounds"].as_array()?;
        Self::new(values.iter().map(Value::as_f64).collect::<Option<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        Series::new(values.to_vec()).expect("numbers")
    }

    #[test]
    fn the_median_is_in_the_middle_or_between_the_two_there() {
        assert_eq!(series(&[9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(series(&[4.0, 1.0, 2.0, 100.0]).median(), 3.0);
        assert_eq!(series(&[7.0]).median(), 7.0);
    }

    #[test]
    fn a_ratio_is_of_the_medians_and_spans_those_of_the_rounds() {
        let ratio = series(&[1.0, 2.0, 9.0]).ratio_to(&series(&[10.0, 10.0, 10.0]));
        assert_eq!((ratio.value, ratio.least, ratio.most), (0.2, 0.1, 0.9));
    }

    #[test]
    fn what_is_no_number_is_no_series() {
        assert_eq!(Series::new(vec![]), None);
        assert_eq!(Series::new(vec![1.0, f64::NAN]), None);
        assert_eq!(Series::from_json(&json!({"rounds": [1.0, null]})), None);
    }

    #[test]
    fn json_brings_back_the_same() {
        let series = series(&[3.5, 1.0]);
        assert_eq!(Series::from_json(&series.to_json()), Some(series));
    }
}
