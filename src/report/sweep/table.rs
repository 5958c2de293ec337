//! The variants as one table for other programs, written as CSV and as Parquet.
//!
//! Columns: `id`; each axis, as a number in base units (seconds, bytes, jobs per second) where all its values are
//! numbers and otherwise as `--set` takes it; `pass`, `rank` (from 1 on), `front`; `cost_mean`, `cost_half_width`;
//! for each objective `observed{EXPRESSION}` and `pass{EXPRESSION}`; `METRIC_mean` and `METRIC_half_width`; `digest`.
//! A cell is computed when it is written, so that the table takes no memory of its own.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::view::View;
use crate::model::metric::Metric;
use crate::report::kit::csv::{cell, record};
use crate::scenario::Kind;

/// A column; cells are asked for by position in the results.
struct Column<'v> {
    name: String,
    cells: Cells<'v>,
}

enum Cells<'v> {
    Whole(Box<dyn Fn(usize) -> Option<i64> + 'v>),
    Number(Box<dyn Fn(usize) -> Option<f64> + 'v>),
    Flag(Box<dyn Fn(usize) -> bool + 'v>),
    Text(Box<dyn Fn(usize) -> String + 'v>),
}

/// Writes the table as CSV.
pub(super) fn csv(view: &View<'_>, to: &mut impl Write) -> io::Result<()> {
    let columns = columns(view);
    to.write_all(record(columns.iter().map(|column| column.name.clone())).as_bytes())?;
    for row in 0..view.sweep.results.len() {
        let cells = columns.iter().map(|column| match &column.cells {
            Cells::Whole(of) => of(row).map(|whole| whole.to_string()).unwrap_or_default(),
            Cells::Number(of) => cell(of(row)),
            Cells::Flag(of) => of(row).to_string(),
            Cells::Text(of) => of(row),
        });
        to.write_all(record(cells).as_bytes())?;
    }
    Ok(())
}

/// Writes the table as Parquet: one row group, not compressed, which needs no further code.
pub(super) fn parquet(view: &View<'_>, to: impl Write + Send) -> Result<(), ParquetError> {
    let columns = columns(view);
    let fields = columns.iter().map(|column| {
        let (physical, repetition, logical) = match column.cells {
            Cells::Whole(_) => (PhysicalType::INT64, Repetition::OPTIONAL, None),
            Cells::Number(_) => (PhysicalType::DOUBLE, Repetition::OPTIONAL, None),
            Cells::Flag(_) => (PhysicalType::BOOLEAN, Repetition::REQUIRED, None),
            Cells::Text(_) => (PhysicalType::BYTE_ARRAY, Repetition::REQUIRED, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&column.name, physical);
        Ok(Arc::new(field.with_repetition(repetition).with_logical_type(logical).build()?))
    });
    let fields = fields.collect::<Result<Vec<_>, ParquetError>>()?;
    let schema = Type::group_type_builder("variants").with_fields(fields).build()?;
    let about = [("scenario", view.grid().scenario().name.clone()), ("command", view.grid().command())];
    let about = about.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec();
    let properties = WriterProperties::builder()
        .set_created_by(concat!("simulate version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(about))
        .set_max_row_group_row_count(None)
        .build();
    let mut file = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    let rows = 0..view.sweep.results.len();
    for column in &columns {
        let mut writer = group.next_column()?.expect("there are as many columns as fields");
        match &column.cells {
            Cells::Whole(of) => {
                let (values, levels) = present(rows.clone().map(of));
                writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            Cells::Number(of) => {
                let (values, levels) = present(rows.clone().map(of));
                writer.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
            }
            Cells::Flag(of) => {
                let values: Vec<bool> = rows.clone().map(of).collect();
                writer.typed::<BoolType>().write_batch(&values, None, None)?;
            }
            Cells::Text(of) => {
                let values: Vec<ByteArray> = rows.clone().map(|row| of(row).into_bytes().into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
        }
        writer.close()?;
    }
    group.close()?;
    file.close()?;
    Ok(())
}

/// The values that are there, and for each cell whether one is.
fn present<T>(cells: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::new();
    let mut levels = Vec::new();
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    (values, levels)
}

fn columns<'v>(view: &'v View<'_>) -> Vec<Column<'v>> {
    let sweep = view.sweep;
    let mut columns: Vec<Column<'v>> = Vec::new();
    let mut add = |name: String, cells: Cells<'v>| {
        // An objective may be there twice; a column must not.
        let twins = columns.iter().filter(|column| column.name == name).count();
        let name = if twins == 0 { name } else { format!("{name} ({})", twins + 1) };
        columns.push(Column { name, cells });
    };
    add("id".to_owned(), Cells::Whole(Box::new(|row| Some(i64::from(sweep.results[row].id)))));
    for (index, axis) in view.grid().axes.iter().enumerate() {
        let grid = view.grid();
        let number =
            move |row: usize| grid.numbers(sweep.results[row].id)[index].filter(|number| number.is_finite());
        let is_numeric = axis.points.iter().all(|point| point.number.is_some());
        let cells = match axis.kind {
            Kind::Whole { .. } if is_numeric => {
                Cells::Whole(Box::new(move |row| number(row).map(|number| number as i64)))
            }
            _ if is_numeric => Cells::Number(Box::new(number)),
            _ => Cells::Text(Box::new(move |row| grid.values(sweep.results[row].id).swap_remove(index))),
        };
        add(axis.path.clone(), cells);
    }
    add("pass".to_owned(), Cells::Flag(Box::new(|row| sweep.results[row].passes())));
    add("rank".to_owned(), Cells::Whole(Box::new(|row| Some(view.sweep.ranks[row] as i64))));
    add("front".to_owned(), Cells::Flag(Box::new(|row| view.is_in_front(row))));
    add("cost_mean".to_owned(), Cells::Number(Box::new(|row| finite(sweep.results[row].cost.mean))));
    add(
        "cost_half_width".to_owned(),
        Cells::Number(Box::new(|row| finite(sweep.results[row].cost.half_width))),
    );
    for (index, slo) in view.grid().scenario().slo.iter().enumerate() {
        let of = move |row: usize| sweep.results[row].slo[index];
        add(format!("observed{{{}}}", slo.expression), Cells::Number(Box::new(move |row| finite(of(row).0))));
        add(format!("pass{{{}}}", slo.expression), Cells::Flag(Box::new(move |row| of(row).1)));
    }
    for &metric in Metric::ALL {
        let of = move |row: usize| sweep.results[row].metric(metric);
        add(format!("{}_mean", metric.name()), Cells::Number(Box::new(move |row| finite(of(row).mean))));
        let half_width = move |row: usize| finite(of(row).half_width);
        add(format!("{}_half_width", metric.name()), Cells::Number(Box::new(half_width)));
    }
    add("digest".to_owned(), Cells::Text(Box::new(|row| sweep.results[row].digest.clone())));
    columns
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
