//! CSV with places: the rows of a file, each with its line.

use super::ImportError;
use super::input::{Record, Records, Source, TOO_LONG};
use super::recording::Recording;

/// The rows of a CSV file, each with its line.
pub(super) struct Table<'s> {
    pub(super) shown: String,
    pub(super) names: Vec<String>,
    reader: csv::Reader<Records<'s>>,
    record: Record,
    pub(super) row: csv::StringRecord,
    line: u64,
}

impl<'s> Table<'s> {
    pub(super) fn of(source: &'s mut Source) -> Result<Self, ImportError> {
        let shown = source.shown.clone();
        let (records, record) = source.records();
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(records);
        let names = reader.headers().map_err(|error| failed(&shown, 1, &error))?;
        let names = names.iter().map(str::to_owned).collect();
        Ok(Self { shown, names, reader, record, row: csv::StringRecord::new(), line: 1 })
    }

    /// Where the column stands.
    pub(super) fn column(&self, name: &str) -> Result<usize, ImportError> {
        let found = self.names.iter().position(|other| other.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names: Vec<&str> = self.names.iter().map(String::as_str).take(8).collect();
            let message = format!("there is no column `{name}`");
            ImportError::new(message, format!("{}:1", self.shown), format!("found: {}", names.join(", ")))
        })
    }

    /// Reads the next row that has as many fields as the header.
    pub(super) fn advance(&mut self, recording: &mut Recording) -> Result<bool, ImportError> {
        loop {
            self.record.ends();
            let begin = self.reader.position().line();
            let read = self.reader.read_record(&mut self.row);
            if !read.map_err(|error| failed(&self.shown, begin, &error))? {
                return Ok(false);
            }
            self.line = self.row.position().map_or(0, csv::Position::line);
            if self.row.len() == self.names.len() {
                return Ok(true);
            }
            let (fields, expected) = (self.row.len(), self.names.len());
            let message = format!("the line has {fields} fields, but the header has {expected}");
            recording.bad(self.error(message, format!("{expected} fields")))?;
        }
    }

    /// Where the row is.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.shown, self.line)
    }

    pub(super) fn error(&self, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        ImportError::new(message, self.place(), help)
    }
}

fn failed(shown: &str, begin: u64, error: &csv::Error) -> ImportError {
    if let csv::ErrorKind::Io(error) = error.kind()
        && error.kind() == TOO_LONG
    {
        return ImportError::new(format!("the {error}"), format!("{shown}:{begin}"), "an end of each quote");
    }
    let line = error.position().map(|at| format!(":{}", at.line())).unwrap_or_default();
    let message = match error.kind() {
        csv::ErrorKind::Io(error) => format!("its gzip data are truncated or damaged: {error}"),
        csv::ErrorKind::Utf8 { .. } => "the line is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    ImportError::new(message, format!("{shown}{line}"), "fetch the file again, or save it as UTF-8")
}
