//! Small Parquet files to read.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A column and its values; texts may be null.
pub(crate) enum Values<'a> {
    Texts(&'a [Option<&'a [u8]>]),
    Integers(&'a [i64]),
    Unsigned(&'a [u64]),
    Numbers(&'a [f64]),
}

pub(crate) fn write(path: &Path, columns: &[(&str, Values<'_>)]) {
    let fields = columns.iter().map(|(name, values)| match values {
        Values::Texts(_) => format!("optional binary {name} (UTF8);"),
        Values::Integers(_) => format!("required int64 {name};"),
        Values::Unsigned(_) => format!("required int64 {name} (INTEGER(64,false));"),
        Values::Numbers(_) => format!("required double {name};"),
    });
    let message = format!("message rows {{{}}}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, values) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        match values {
            Values::Texts(texts) => {
                let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
                let present: Vec<ByteArray> =
                    texts.iter().flatten().map(|text| ByteArray::from(text.to_vec())).collect();
                column.typed::<ByteArrayType>().write_batch(&present, Some(&levels), None).unwrap();
            }
            Values::Integers(numbers) => {
                column.typed::<Int64Type>().write_batch(numbers, None, None).unwrap();
            }
            Values::Unsigned(numbers) => {
                let bits: Vec<i64> = numbers.iter().map(|number| number.cast_signed()).collect();
                column.typed::<Int64Type>().write_batch(&bits, None, None).unwrap();
            }
            Values::Numbers(numbers) => {
                column.typed::<DoubleType>().write_batch(numbers, None, None).unwrap();
            }
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// A question: id, question, context, and its answers with their places, if that is said.
pub(crate) type Question<'a> = (&'a str, &'a str, &'a str, Option<&'a [(&'a str, i32)]>);

/// Questions as Hugging Face's datasets write them: `answers` is a group of two lists, `text` and `answer_start`.
pub(crate) fn write_questions(path: &Path, questions: &[Question<'_>]) {
    let list = |name: &str, element: &str| {
        format!("optional group {name} (LIST) {{repeated group list {{optional {element};}}}}")
    };
    let message = format!(
        "message rows {{required binary id (UTF8); required binary question (UTF8); required binary context (UTF8); \
         optional group answers {{{} {}}}}}",
        list("text", "binary element (UTF8)"),
        list("answer_start", "int32 element")
    );
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in 0..3 {
        let text = |row: &Question<'_>| [row.0, row.1, row.2][column].to_owned();
        let texts: Vec<ByteArray> =
            questions.iter().map(|row| ByteArray::from(text(row).into_bytes())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
    }
    // How much of group, list, element and value is there, and whether the value goes on with the list of the one before.
    let (mut there, mut goes_on) = (Vec::new(), Vec::new());
    for (_, _, _, answers) in questions {
        match answers {
            None => there.push(0),
            Some([]) => there.push(2),
            Some(answers) => there.extend(vec![4; answers.len()]),
        }
        let values = answers.map_or(1, |answers| answers.len().max(1));
        goes_on.extend((0..values).map(|place| i16::from(place > 0)));
    }
    let answers = || questions.iter().filter_map(|row| row.3).flatten();
    let texts: Vec<ByteArray> =
        answers().map(|(text, _)| ByteArray::from(text.as_bytes().to_vec())).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, Some(&there), Some(&goes_on)).unwrap();
    column.close().unwrap();
    let starts: Vec<i32> = answers().map(|(_, start)| *start).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&starts, Some(&there), Some(&goes_on)).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}
