//! The table as a Parquet file: texts, 64-bit numbers, and times in microseconds of UTC. Any
//! cell may be null.
//!
//! Columns are gathered and written out as row groups, so that memory has a bound.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type as Node, TypePtr};

use super::Record;
use super::columns::{COLUMNS, Cell, Column, Type};

/// LIMIT: rows of a row group. Larger groups compress little better, and are held in memory.
const ROWS_MAX: usize = 50_000;

/// LIMIT: bytes of text held before a row group is written, should entries be unusually large.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// A file under way.
pub(super) struct Table<W: Write + Send> {
    to: SerializedFileWriter<W>,
    columns: Vec<Gathered>,
    rows: usize,
}

/// The cells of a column since the last row group.
#[derive(Default)]
struct Gathered {
    /// Whether there is something in each cell: 1 or 0.
    present: Vec<i16>,
    numbers: Vec<i64>,
    /// All texts in a row, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<W: Write + Send> fmt::Debug for Table<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write + Send> Table<W> {
    pub(super) fn begin(to: W) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("noticegate ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let to = SerializedFileWriter::new(to, schema()?, Arc::new(properties))?;
        let columns = COLUMNS.iter().map(|_| Gathered::default()).collect();
        Ok(Self { to, columns, rows: 0 })
    }

    pub(super) fn record(&mut self, record: &Record<'_>) -> Result<()> {
        for (gathered, column) in self.columns.iter_mut().zip(COLUMNS) {
            gathered.push((column.read)(record));
        }
        self.rows += 1;
        let held: usize = self.columns.iter().map(|column| column.text.len()).sum();
        if self.rows >= ROWS_MAX || held >= TEXT_BYTES_MAX {
            self.write_group()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.to.into_inner()
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.to.next_row_group()?;
        for (gathered, column) in self.columns.iter_mut().zip(COLUMNS) {
            gathered.write(column, &mut group)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Gathered {
    fn push(&mut self, cell: Cell<'_>) {
        self.present.push(i16::from(!matches!(cell, Cell::Empty)));
        match cell {
            Cell::Empty => {}
            Cell::Number(number) => self.numbers.push(number),
            Cell::Time(time) => self.numbers.push(time.as_microsecond()),
            Cell::Text(text) => {
                self.text.extend_from_slice(text.as_bytes());
                self.ends.push(self.text.len());
            }
        }
    }

    /// Writes the cells and forgets them.
    fn write<W: Write + Send>(
        &mut self,
        column: &Column,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let Self { present, numbers, text, ends } = std::mem::take(self);
        let Some(mut writer) = group.next_column()? else { return Ok(()) };
        match column.of {
            Type::Number | Type::Time => {
                writer.typed::<Int64Type>().write_batch(&numbers, Some(&present), None)?;
            }
            Type::Text => {
                let text = Bytes::from(text);
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let texts: Vec<ByteArray> =
                    starts.zip(&ends).map(|(start, end)| text.slice(start..*end).into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&texts, Some(&present), None)?;
            }
        }
        writer.close()
    }
}

fn schema() -> Result<TypePtr> {
    let fields: Result<Vec<TypePtr>> =
        COLUMNS.iter().map(|column| Ok(Arc::new(field(column)?))).collect();
    Ok(Arc::new(Node::group_type_builder("entry").with_fields(fields?).build()?))
}

fn field(column: &Column) -> Result<Node> {
    let (physical, logical) = match column.of {
        Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Type::Number => (Physical::INT64, None),
        Type::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
    };
    Node::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}
