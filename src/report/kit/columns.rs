//! A table in a terminal: columns of cells under a header, each as wide as its widest cell.

use super::terminal::{columns_of, cut, padded_left, padded_right};
use super::text::printable;

/// A column; its first cell is the header.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    cells: Vec<String>,
    is_text: bool,
}

impl Column {
    /// A right-aligned column, for numbers.
    pub(crate) fn new(header: &str, cells: impl IntoIterator<Item = String>) -> Self {
        let cells = std::iter::once(header.to_owned()).chain(cells);
        Self { cells: cells.map(|cell| printable(&cell)).collect(), is_text: false }
    }

    /// A left-aligned column, for words.
    pub(crate) fn text(header: &str, cells: impl IntoIterator<Item = String>) -> Self {
        Self { is_text: true, ..Self::new(header, cells) }
    }

    pub(crate) fn header(&self) -> &str {
        &self.cells[0]
    }

    /// Width of the widest cell.
    pub(crate) fn width(&self) -> usize {
        self.cells.iter().map(|cell| columns_of(cell)).max().unwrap_or(0)
    }

    /// A cell padded or cut to exactly that width; row 0 is the header.
    pub(crate) fn cell(&self, row: usize, width: usize) -> String {
        let cell = cut(&self.cells[row], width);
        if self.is_text { padded_right(&cell, width) } else { padded_left(&cell, width) }
    }
}

/// Total width of the columns, each with a gap on its left.
pub(crate) fn width(columns: &[Column]) -> usize {
    columns.iter().map(|column| GAP + column.width()).sum()
}

/// One row across all columns; row 0 is the header.
pub(crate) fn row(columns: &[Column], row: usize) -> String {
    columns.iter().map(|column| " ".repeat(GAP) + &column.cell(row, column.width())).collect()
}

/// Room between columns.
pub(crate) const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_one_another_at_their_edge() {
        let cells = || ["1", "1000"].map(str::to_owned);
        let columns = [Column::new("jobs", cells()), Column::text("what", cells())];
        let rows = [0, 1, 2].map(|index| row(&columns, index));
        assert_eq!(rows, ["  jobs  what", "     1  1   ", "  1000  1000"]);
        assert_eq!(width(&columns), 12);
        assert_eq!(columns[1].cell(2, 3), "1…0");
    }
}
