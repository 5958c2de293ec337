//! CSV for other programs: plain decimals in their shortest exact form, an empty cell where there is no value.

/// A number, or nothing.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

/// A line of cells, quoted where RFC 4180 asks for it.
pub(crate) fn record(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}
