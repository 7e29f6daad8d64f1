//! Tables on their way to disk, row by row, as CSV, NDJSON and Parquet.

use std::io::{self, Write};

use pagewalk_input::{Refusal, WholeFile};
use serde_json::Value;

#[cfg(feature = "parquet")]
use super::parquet_file::Parquet;
use super::store::Store;
use super::table::{Cell, Column};

/// The files of a table; they appear when it is complete.
pub(crate) struct Writer {
    columns: Vec<Column>,
    csv: WholeFile,
    ndjson: WholeFile,
    #[cfg(feature = "parquet")]
    parquet: Parquet,
    rows: u64,
}

impl Writer {
    /// Begins the files of the table `name`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn create(store: &Store, name: &str, columns: Vec<Column>) -> Result<Self, Refusal> {
        let file = |format: &str| WholeFile::create(&store.file(&format!("{name}.{format}")));
        let mut csv = file("csv")?;
        csv.write(|file| csv_line(file, columns.iter().map(|column| column.name.clone())))?;
        Ok(Self {
            csv,
            ndjson: file("ndjson")?,
            #[cfg(feature = "parquet")]
            parquet: Parquet::create(file("parquet")?, &columns)?,
            columns,
            rows: 0,
        })
    }

    /// Adds a row, with a cell a column.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn row(&mut self, row: Vec<Cell>) -> Result<(), Refusal> {
        self.csv.write(|file| csv_line(file, row.iter().map(Cell::to_text)))?;
        self.ndjson.write(|file| ndjson_line(file, &self.columns, &row))?;
        self.rows += 1;
        #[cfg(feature = "parquet")]
        self.parquet.row(row)?;
        Ok(())
    }

    /// Completes the files. Yields how many rows they have.
    ///
    /// # Errors
    /// If they cannot be written; none of them is there then, unless it was complete.
    pub(crate) fn finish(self) -> Result<u64, Refusal> {
        self.csv.finish()?;
        self.ndjson.finish()?;
        #[cfg(feature = "parquet")]
        self.parquet.finish()?;
        Ok(self.rows)
    }
}

/// A line of CSV (RFC 4180).
fn csv_line(file: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            file.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(file, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            file.write_all(cell.as_bytes())?;
        }
    }
    file.write_all(b"\r\n")
}

/// An object in a line, without the cells that hold nothing.
fn ndjson_line(file: &mut dyn Write, columns: &[Column], row: &[Cell]) -> io::Result<()> {
    let cells = columns.iter().zip(row).filter(|(_, cell)| **cell != Cell::Empty);
    let object: serde_json::Map<String, Value> =
        cells.map(|(column, cell)| (column.name.clone(), cell.to_json())).collect();
    writeln!(file, "{}", Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Kind;

    #[test]
    fn lines_are_written_so_that_they_can_be_read() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let columns = ["a", "b, c"].map(|name| Column { name: name.into(), kind: Kind::Text });
        let (mut csv, mut ndjson) = (Vec::new(), Vec::new());
        csv_line(&mut csv, columns.iter().map(|column| column.name.clone())).expect("memory");
        for row in [[text("x \"y\""), Cell::Count(3)], [Cell::Empty, Cell::Ratio(0.5)]] {
            csv_line(&mut csv, row.iter().map(Cell::to_text)).expect("memory");
            ndjson_line(&mut ndjson, &columns, &row).expect("memory");
        }
        assert_eq!(csv, b"a,\"b, c\"\r\n\"x \"\"y\"\"\",3\r\n,0.5\r\n");
        assert_eq!(ndjson, b"{\"a\":\"x \\\"y\\\"\",\"b, c\":3}\n{\"b, c\":0.5}\n");
    }
}
