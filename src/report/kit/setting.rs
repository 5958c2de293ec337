//! Values of settings as people write them.

use super::number;
use crate::model::metric::Unit;
use crate::scenario::Kind;
use crate::units::{self, Quantity};

/// A setting's number as people write it, if that is exact.
pub(crate) fn readable(number: f64, kind: &Kind) -> String {
    let of = |quantity: Quantity| match quantity {
        Quantity::Count => number::short_count(number),
        Quantity::Duration => units::fmt_duration(number),
        Quantity::Rate => units::fmt_rate(number),
        Quantity::Size => number::value(Unit::Bytes, number).replace(".00 ", " "),
        Quantity::Fraction => number::trimmed(number, 6),
    };
    let (quantity, text) = match kind {
        Kind::Quantity(quantity) | Kind::ChoiceOr(_, quantity) | Kind::Distribution(quantity) => {
            (*quantity, of(*quantity))
        }
        Kind::Whole { .. } => (Quantity::Count, of(Quantity::Count)),
        _ => return format!("{number}"),
    };
    let is_exact = quantity
        .parse(&text.replace(' ', ""))
        .is_ok_and(|read| (read - number).abs() <= number.abs() * 1e-12);
    match quantity {
        _ if is_exact => text,
        Quantity::Duration => format!("{number} s"),
        Quantity::Rate => format!("{number}/s"),
        Quantity::Size => format!("{} B", number::grouped(number, 0)),
        _ => number::trimmed(number, 9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_as_people_write_them() {
        let whole = Kind::Whole { least: 1, most: 1_000_000 };
        assert_eq!(readable(12_500.0, &whole), "12.5k");
        assert_eq!(readable(12_345.0, &whole), "12 345");
        assert_eq!(readable(0.0075, &Kind::Quantity(Quantity::Duration)), "7.5 ms");
        assert_eq!(readable(1_073_741_824.0, &Kind::Quantity(Quantity::Size)), "1 GiB");
        assert_eq!(readable(0.1, &Kind::Number { least: 0.0, most: 1.0 }), "0.1");
    }
}
