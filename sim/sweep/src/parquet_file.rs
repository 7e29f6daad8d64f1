//! A table as Parquet, snappy-compressed, a group of rows at a time.

use std::io::Write;
use std::sync::Arc;

use pagewalk_input::{Refusal, WholeFile};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::table::{Cell, Column, Kind};

/// Cells of a row group: a group is in memory as a whole.
const CELLS_PER_GROUP: usize = 1 << 20;

/// A table on its way to a file.
pub(crate) struct Parquet {
    table: Groups<WholeFile>,
    /// Where it goes, for messages.
    file: String,
}

impl Parquet {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(file: WholeFile, columns: &[Column]) -> std::result::Result<Self, Refusal> {
        let name = file.name();
        let table = Groups::begin(file, columns).map_err(|error| refused(&name, &error))?;
        Ok(Self { table, file: name })
    }

    /// Adds a row, with a cell a column.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn row(&mut self, row: Vec<Cell>) -> std::result::Result<(), Refusal> {
        self.table.row(row).map_err(|error| refused(&self.file, &error))
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn finish(self) -> std::result::Result<(), Refusal> {
        self.table.finish().map_err(|error| refused(&self.file, &error))?.finish()
    }
}

fn refused(file: &str, error: &ParquetError) -> Refusal {
    let place = pagewalk_input::Place::File { file: file.to_owned() };
    Refusal::new(place, format!("cannot be written: {error}"))
}

struct Groups<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Cell>>,
}

impl<W: Write + Send> Groups<W> {
    fn begin(file: W, columns: &[Column]) -> Result<Self> {
        let fields: Vec<Arc<Type>> = columns.iter().map(field).collect::<Result<_>>()?;
        let schema = Arc::new(Type::group_type_builder("pagewalk").with_fields(fields).build()?);
        let created = format!("pagewalk {}", env!("CARGO_PKG_VERSION"));
        let properties =
            WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by(created).build();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { writer, kinds: columns.iter().map(|column| column.kind).collect(), rows: Vec::new() })
    }

    fn row(&mut self, row: Vec<Cell>) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() * self.kinds.len() < CELLS_PER_GROUP { Ok(()) } else { self.write_group() }
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        let mut number = 0;
        while let Some(mut column) = group.next_column()? {
            write_column(&mut column, self.kinds[number], self.rows.iter().map(|row| &row[number]))?;
            column.close()?;
            number += 1;
        }
        self.rows.clear();
        group.close().map(drop)
    }

    fn finish(mut self) -> Result<W> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.writer.into_inner()
    }
}

fn field(column: &Column) -> Result<Arc<Type>> {
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Count => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Kind::Ratio => (Physical::DOUBLE, None),
    };
    let builder = Type::primitive_type_builder(&column.name, physical);
    builder.with_logical_type(logical).with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
}

fn write_column<'a>(
    column: &mut SerializedColumnWriter<'_>,
    kind: Kind,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<()> {
    let cells: Vec<&Cell> = cells.collect();
    let there: Vec<i16> = cells.iter().map(|cell| i16::from(**cell != Cell::Empty)).collect();
    match kind {
        Kind::Text => {
            let texts: Vec<ByteArray> = cells
                .iter()
                .filter(|cell| ***cell != Cell::Empty)
                .map(|cell| cell.to_text().as_str().into())
                .collect();
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&there), None)?;
        }
        Kind::Count => {
            let counts: Vec<i64> = cells.iter().filter_map(|cell| cell.count()).collect();
            column.typed::<Int64Type>().write_batch(&counts, Some(&there), None)?;
        }
        Kind::Ratio => {
            let ratios: Vec<f64> = cells.iter().filter_map(|cell| cell.ratio()).collect();
            column.typed::<DoubleType>().write_batch(&ratios, Some(&there), None)?;
        }
    }
    Ok(())
}

impl Cell {
    /// A count as Parquet stores one without a sign: by its bits.
    fn count(&self) -> Option<i64> {
        if let Self::Count(count) = *self { Some(count.cast_signed()) } else { None }
    }

    fn ratio(&self) -> Option<f64> {
        match *self {
            Self::Count(count) => Some(count as f64),
            Self::Ratio(ratio) => Some(ratio),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = |text: &str| Cell::Text(text.into());
        let rows = [
            vec![text("a"), Cell::Count(u64::MAX), Cell::Ratio(0.5), Cell::Count(7)],
            vec![Cell::Empty, Cell::Empty, Cell::Count(2), text("b")],
        ];
        let columns = [
            ("text", Kind::Text),
            ("count [pages]", Kind::Count),
            ("ratio", Kind::Ratio),
            ("both", Kind::Text),
        ]
        .map(|(name, kind)| Column { name: name.into(), kind });
        let mut table = Groups::begin(Vec::new(), &columns).expect("it is begun");
        for row in rows {
            table.row(row).expect("it is written");
            table.write_group().expect("it is written");
        }
        let bytes = table.finish().expect("it is written");
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("it is Parquet");
        assert_eq!(reader.num_row_groups(), 2);
        let read: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .expect("it has rows")
            .map(|row| row.expect("a row").get_column_iter().map(|(_, field)| field.clone()).collect())
            .collect();
        let text = |text: &str| Field::Str(text.to_owned());
        assert_eq!(read[0], [text("a"), Field::ULong(u64::MAX), Field::Double(0.5), text("7")]);
        assert_eq!(read[1], [Field::Null, Field::Null, Field::Double(2.0), text("b")]);
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let names: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names, columns.map(|column| column.name));
    }
}
