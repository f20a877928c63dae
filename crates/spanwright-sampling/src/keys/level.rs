//! How a budget is shared.

/// What one who shares the budget could use, and how much of it is meant for it beside others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) rate: f32,
    pub(super) weight: f32,
}

/// The level to which everybody is filled: `sum(min(rate, weight * level)) = budget`. Infinite if there is enough for all.
///
/// That is max-min fair: nobody gets more than it asks for, and who gets less gets as much, by weight, as anybody.
///
/// The left side is concave in the level, so that Newton's method, from anywhere, goes below the solution in one step and then up
/// to it, in as many steps as demands change sides. `start` is a guess, such as the last result.
///
/// # Cost
///
/// O(n) a step; from a good guess two or three of them, and never more than [`MAX_STEPS`], which leaves the level a little too low.
pub(super) fn fill(demands: &[Demand], budget: f64, start: f64) -> f64 {
    let total: f64 = demands.iter().map(|demand| f64::from(demand.rate)).sum();
    if total <= budget {
        return f64::INFINITY;
    }
    let mut level = if start.is_finite() { start } else { 0.0 };
    for _ in 0..MAX_STEPS {
        // Those above the level share what those below it leave.
        let (mut satisfied, mut weight) = (0.0, 0.0);
        for demand in demands {
            let share = f64::from(demand.weight) * level;
            if f64::from(demand.rate) <= share {
                satisfied += f64::from(demand.rate);
            } else {
                weight += f64::from(demand.weight);
            }
        }
        if weight <= 0.0 {
            // Above all demands: begin from below.
            level = 0.0;
            continue;
        }
        let next = (budget - satisfied) / weight;
        let next = next.max(0.0);
        if (next - level).abs() <= next * PRECISION {
            return next;
        }
        level = next;
    }
    level
}

const MAX_STEPS: usize = 64;
const PRECISION: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out the budget in the order of what each needs per weight. Slow, and plainly right.
    fn reference(demands: &[Demand], budget: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..demands.len()).collect();
        let need = |index: &usize| demands[*index].rate / demands[*index].weight;
        order.sort_by(|a, b| need(a).total_cmp(&need(b)));
        let mut shares = vec![0.0; demands.len()];
        let mut left = budget;
        for (place, index) in order.iter().enumerate() {
            let weights: f64 = order[place..]
                .iter()
                .map(|other| f64::from(demands[*other].weight))
                .sum();
            let demand = demands[*index];
            shares[*index] = f64::from(demand.rate).min(left * f64::from(demand.weight) / weights);
            left -= shares[*index];
        }
        shares
    }

    #[test]
    fn shares_are_max_min_fair_whatever_the_demands_and_the_guess() {
        let mut random = fastrand::Rng::with_seed(7);
        for case in 0..300 {
            let count = random.usize(1..200);
            let spread = random.f32() * 12.0;
            let mut demand = || Demand {
                rate: (random.f32() * spread).exp2(),
                weight: if case % 2 == 0 { 1.0 } else { 0.1 + 10.0 * random.f32() },
            };
            let demands: Vec<_> = (0..count).map(|_| demand()).collect();
            let total: f64 = demands.iter().map(|demand| f64::from(demand.rate)).sum();
            let budget = total * random.f64() * 1.2;
            let start = [0.0, f64::INFINITY, 1e9, 3.0][case % 4];
            let level = fill(&demands, budget, start);
            for (demand, expected) in demands.iter().zip(reference(&demands, budget)) {
                let share = f64::from(demand.rate).min(f64::from(demand.weight) * level);
                assert!(
                    (share - expected).abs() <= 1e-4 * (1.0 + expected),
                    "case {case}: {share} for {demand:?}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn there_is_no_level_where_there_is_enough_for_all_or_nobody() {
        assert_eq!(fill(&[], 1.0, 0.0), f64::INFINITY);
        let demands = [Demand { rate: 2.0, weight: 1.0 }; 3];
        assert_eq!(fill(&demands, 6.0, 0.0), f64::INFINITY);
        assert!((fill(&demands, 3.0, 5.0) - 1.0).abs() < 1e-9);
        assert_eq!(fill(&demands, 0.0, 5.0), 0.0);
    }
}
