//! Places labels without overlap.

/// Moves positions apart, as little as possible, until neighbours are at least `gap` apart, within `low..=high`.
///
/// Positions that are too close form a cluster around their common middle; clusters that then touch are joined
/// (pool adjacent violators). Results are in the order of the input.
pub(crate) fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    struct Cluster {
        middle: f64,
        size: usize,
    }
    let reach = |size: usize| gap * (size as f64 - 1.0) / 2.0;
    let fitted = |middle: f64, size: usize| {
        // If there is too little room, the labels at least start inside.
        middle.min(high - reach(size)).max(low + reach(size))
    };
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut clusters: Vec<Cluster> = Vec::new();
    for &index in &order {
        let mut cluster = Cluster { middle: fitted(wanted[index], 1), size: 1 };
        while let Some(last) = clusters.last() {
            if last.middle + reach(last.size) + gap <= cluster.middle - reach(cluster.size) {
                break;
            }
            let size = last.size + cluster.size;
            let weighted = last.middle * last.size as f64 + cluster.middle * cluster.size as f64;
            cluster = Cluster { middle: fitted(weighted / size as f64, size), size };
            clusters.pop();
        }
        clusters.push(cluster);
    }
    let positions = clusters
        .iter()
        .flat_map(|cluster| (0..cluster.size).map(|i| cluster.middle - reach(cluster.size) + gap * i as f64));
    let mut placed = vec![0.0; wanted.len()];
    for (index, position) in order.into_iter().zip(positions) {
        placed[index] = position;
    }
    placed
}

/// Assigns rows to labels with a vertical line at their start; spans come in order of their start.
///
/// A line runs down through all rows below its label. So a label goes below all earlier labels that it
/// touches; otherwise its line would cross them.
pub(crate) fn rows(spans: &[(f64, f64)]) -> Vec<usize> {
    let mut rows: Vec<usize> = Vec::new();
    for (start, _) in spans {
        let touched = spans.iter().zip(&rows).filter(|((_, earlier_end), _)| earlier_end >= start);
        rows.push(touched.map(|(_, row)| row + 1).max().unwrap_or(0));
    }
    rows
}

/// Assigns each span, in order of their start, to the first free row.
pub(crate) fn packed(spans: &[(f64, f64)]) -> Vec<usize> {
    let mut ends: Vec<f64> = Vec::new();
    let mut rows = Vec::new();
    for &(start, end) in spans {
        let row = ends.iter().position(|&taken| taken <= start).unwrap_or(ends.len());
        ends.resize(ends.len().max(row + 1), end);
        ends[row] = end;
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &[f64], expected: &[f64]) {
        assert_eq!(spread(wanted, 10.0, 0.0, 100.0), expected);
    }

    #[test]
    fn labels_far_apart_stay_where_they_are() {
        check(&[20.0, 50.0, 80.0], &[20.0, 50.0, 80.0]);
        check(&[], &[]);
    }

    #[test]
    fn labels_too_close_move_apart_around_their_middle() {
        check(&[50.0, 50.0], &[45.0, 55.0]);
        check(&[52.0, 50.0, 54.0], &[52.0, 42.0, 62.0]);
    }

    #[test]
    fn labels_stay_inside() {
        check(&[99.0, 98.0, 97.0], &[100.0, 90.0, 80.0]);
        check(&[1.0, 2.0, 3.0], &[0.0, 10.0, 20.0]);
        check(&[-40.0, 300.0], &[0.0, 100.0]);
    }

    #[test]
    fn no_line_crosses_a_label() {
        assert_eq!(rows(&[(0.0, 10.0), (5.0, 15.0), (11.0, 20.0), (25.0, 30.0)]), [0, 1, 2, 0]);
    }

    #[test]
    fn spans_take_the_first_free_row() {
        assert_eq!(packed(&[(0.0, 10.0), (5.0, 15.0), (10.0, 20.0), (12.0, 13.0)]), [0, 1, 0, 2]);
        assert_eq!(packed(&[]), [0; 0]);
    }
}
