//! Tables as Parquet, snappy-compressed: one row group for each 65 536 rows.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::table::{Cell, Table};

const ROWS_PER_GROUP: usize = 65_536;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Count,
    Ratio,
}

impl Table {
    /// The bytes of a Parquet file.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn to_parquet(&self) -> Result<Vec<u8>, ParquetError> {
        let kinds: Vec<Kind> = (0..self.columns.len()).map(|column| self.kind(column)).collect();
        let fields: Vec<Arc<Type>> = self
            .columns
            .iter()
            .zip(&kinds)
            .map(|(name, &kind)| field(name, kind))
            .collect::<Result<_, _>>()?;
        let schema = Arc::new(Type::group_type_builder("pagewalk").with_fields(fields).build()?);
        let created = format!("pagewalk {}", env!("CARGO_PKG_VERSION"));
        let properties =
            WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by(created).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
        for rows in self.rows.chunks(ROWS_PER_GROUP) {
            let mut group = writer.next_row_group()?;
            let mut number = 0;
            while let Some(mut column) = group.next_column()? {
                write_column(&mut column, kinds[number], rows.iter().map(|row| &row[number]))?;
                column.close()?;
                number += 1;
            }
            group.close()?;
        }
        writer.into_inner()
    }

    fn kind(&self, column: usize) -> Kind {
        let mut kind = Kind::Count;
        for row in &self.rows {
            match row[column] {
                Cell::Text(_) => return Kind::Text,
                Cell::Ratio(_) => kind = Kind::Ratio,
                Cell::Count(_) | Cell::Empty => {}
            }
        }
        kind
    }
}

fn field(name: &str, kind: Kind) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Count => (Physical::INT64, None),
        Kind::Ratio => (Physical::DOUBLE, None),
    };
    let builder = Type::primitive_type_builder(name, physical);
    builder.with_logical_type(logical).with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
}

fn write_column<'a>(
    column: &mut SerializedColumnWriter<'_>,
    kind: Kind,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<(), ParquetError> {
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
    /// Counts beyond 63 bits do not occur: the largest are cycles.
    fn count(&self) -> Option<i64> {
        match *self {
            Self::Count(count) => Some(i64::try_from(count).unwrap_or(i64::MAX)),
            _ => None,
        }
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
        let rows = vec![
            vec![text("a"), Cell::Count(1), Cell::Ratio(0.5), Cell::Count(7)],
            vec![Cell::Empty, Cell::Empty, Cell::Count(2), text("b")],
        ];
        let columns = ["text", "count [pages]", "ratio", "both"].map(str::to_owned).to_vec();
        let bytes = Table { columns: columns.clone(), rows }.to_parquet().expect("it is written");
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("it is Parquet");
        let read: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .expect("it has rows")
            .map(|row| row.expect("a row").get_column_iter().map(|(_, field)| field.clone()).collect())
            .collect();
        let text = |text: &str| Field::Str(text.to_owned());
        assert_eq!(read[0], [text("a"), Field::Long(1), Field::Double(0.5), text("7")]);
        assert_eq!(read[1], [Field::Null, Field::Null, Field::Double(2.0), text("b")]);
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let names: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names, columns);
    }
}
