//! The file of flights, read row by row.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use marlowe::broker::Timestamp;

use super::flight::Flight;

/// A reader of the file of flights.
pub(crate) struct Timetable {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    columns: csv::StringRecord,
    /// The index of the column with the scheduled time, which is the record's timestamp and not a
    /// field of the flight.
    scheduled: usize,
    record: csv::StringRecord,
}

/// A flight, and the time at which it was to leave.
pub(crate) struct Row {
    pub(crate) scheduled: Timestamp,
    pub(crate) flight: Flight,
}

/// An error that ends the reading of the file of flights.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TimetableError {
    #[error("{}: {source}; --input names the file of flights, as .csv or .csv.gz", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}, line 1: there is no column `{column}`; --input must name a file with the columns of flights-2013.csv.gz", path.display())]
    NoColumn { path: PathBuf, column: &'static str },
    #[error(
        "{}, line {line}, column `{column}`: {text:?} cannot be read: {reason}; fix this row or remove it, and start again with \
         the same data folder: the rows before it are in, and it goes on with this one", path.display()
    )]
    Field { path: PathBuf, line: u64, column: String, text: String, reason: String },
    #[error(
        "{}, line {line}: {reason}; fix this row or remove it, and start again with the same data folder: the rows before it \
         are in, and it goes on with this one", path.display()
    )]
    Row { path: PathBuf, line: u64, reason: String },
}

impl Timetable {
    pub(crate) fn open(path: &Path) -> Result<Self, TimetableError> {
        let path = path.to_owned();
        let file = match File::open(&path) {
            Ok(file) => BufReader::new(file),
            Err(source) => return Err(TimetableError::Open { path, source }),
        };
        let zipped = path.extension().is_some_and(|extension| extension == "gz");
        let bytes: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = csv::Reader::from_reader(bytes);
        let columns = match reader.headers() {
            Ok(columns) => columns.clone(),
            Err(error) => return Err(TimetableError::Row { path, line: 1, reason: error.to_string() }),
        };
        match columns.iter().position(|column| column == "scheduled") {
            Some(scheduled) => Ok(Self { path, reader, columns, scheduled, record: csv::StringRecord::default() }),
            None => Err(TimetableError::NoColumn { path, column: "scheduled" }),
        }
    }

    /// Skips `rows` rows.
    pub(crate) fn skip(&mut self, rows: u64) -> Result<(), TimetableError> {
        for _ in 0..rows {
            if !self.read()? {
                break;
            }
        }
        Ok(())
    }

    /// Returns the next row, if there is one.
    pub(crate) fn row(&mut self) -> Result<Option<Row>, TimetableError> {
        if !self.read()? {
            return Ok(None);
        }
        let scheduled = self.record.get(self.scheduled).unwrap_or_default();
        let scheduled: jiff::Timestamp =
            scheduled.parse().map_err(|error: jiff::Error| self.field(self.scheduled, error.to_string()))?;
        let flight = self.record.deserialize(Some(&self.columns)).map_err(|error| self.unreadable(&error))?;
        Ok(Some(Row { scheduled: Timestamp::from_millis(scheduled.as_millisecond()), flight }))
    }

    fn read(&mut self) -> Result<bool, TimetableError> {
        let line = self.reader.position().line();
        self.reader.read_record(&mut self.record).map_err(|error| {
            let line = error.position().map_or(line, csv::Position::line);
            let reason = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("it has {len} fields where the first line has {expected_len}")
                }
                _ => error.to_string(),
            };
            TimetableError::Row { path: self.path.clone(), line, reason }
        })
    }

    /// Returns the error that says why the current row is no flight.
    fn unreadable(&self, error: &csv::Error) -> TimetableError {
        match error.kind() {
            csv::ErrorKind::Deserialize { err, .. } => match err.field() {
                Some(column) => self.field(column as usize, err.kind().to_string()),
                None => {
                    TimetableError::Row { path: self.path.clone(), line: self.line(), reason: err.kind().to_string() }
                }
            },
            _ => TimetableError::Row { path: self.path.clone(), line: self.line(), reason: error.to_string() },
        }
    }

    fn field(&self, column: usize, reason: String) -> TimetableError {
        TimetableError::Field {
            path: self.path.clone(),
            line: self.line(),
            column: self.columns.get(column).unwrap_or_default().to_owned(),
            text: self.record.get(column).unwrap_or_default().to_owned(),
            reason,
        }
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }
}
