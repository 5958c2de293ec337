//! What a chart is drawn on. Each chart is drawn twice: on a wide sheet, and on a narrow one for phones.
//!
//! A wide chart that is shrunk to a phone has letters of five pixels. So the narrow sheet is about as wide as a phone,
//! and what stands beside one another on the wide sheet stands below one another on it.

/// Width of the paper, and the edges of plots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sheet {
    pub(crate) width: f64,
    /// Left edge of the plots.
    pub(crate) left: f64,
    /// Right edge of the plots; labels of lines stand beyond it.
    pub(crate) right: f64,
    /// At most so many steps between the numbers below a plot.
    pub(crate) ticks: f64,
}

impl Sheet {
    /// For screens and paper.
    pub(crate) const WIDE: Sheet = Sheet { width: 960.0, left: 84.0, right: 832.0, ticks: 10.0 };
    /// For phones: at 390 pixels a letter is about 10 pixels high.
    pub(crate) const NARROW: Sheet = Sheet { width: 430.0, left: 70.0, right: 312.0, ticks: 5.0 };

    pub(crate) fn is_narrow(&self) -> bool {
        self.width < Self::WIDE.width
    }

    /// One of two values.
    pub(crate) fn pick<T>(&self, wide: T, narrow: T) -> T {
        if self.is_narrow() { narrow } else { wide }
    }

    /// Room for a text from the left margin on.
    pub(crate) fn room(&self) -> f64 {
        self.width - 2.0 * MARGIN
    }
}

/// Between the edge of the paper and what is on it.
pub(crate) const MARGIN: f64 = 12.0;
