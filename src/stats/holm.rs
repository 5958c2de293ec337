//! Many tests at once: of a hundred true null hypotheses, five are rejected at 95%.
//!
//! S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
//! (1979): as safe as dividing the level by the number of tests, whatever their dependence, and never weaker.

/// Adjusted p-values: the hypotheses whose value is at or below a level may all be rejected, and the
/// probability that any of these rejections is wrong is at most that level.
#[must_use]
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        least = least.max(((p_values.len() - rank) as f64 * p_values[index]).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(p_values: &[f64], expected: &[f64]) {
        let found = adjusted(p_values);
        let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12);
        assert!(close && found.len() == expected.len(), "{found:?}");
    }

    #[test]
    fn smaller_ones_pay_for_more() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        check(&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]);
        check(&[0.5, 0.9], &[1.0, 1.0]);
        check(&[0.0, 0.04], &[0.0, 0.04]);
        check(&[], &[]);
    }
}
