//! The file that answers are written to, whose extension says in what format.

use std::{collections::BTreeSet, path::Path};

use anyhow::bail;
use nystromformer_tasks::{delimited, parquet};

use crate::output;

/// In what format answers are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnswerFormat {
    /// A line of JSON for each.
    Lines,
    /// A table with a line for each, its fields separated by this.
    Table(char),
    /// The same as Parquet.
    Parquet,
    /// The files of the task whose names end so, e.g. `json` or `conll`.
    OfTask(String),
}

/// What answers there are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answers<'a> {
    /// An object for each, which makes a row of a table.
    Objects,
    /// An array for each.
    Arrays,
    /// The files of a task, by what follows their names: JSON lines of objects among them.
    Files(&'a [&'static str]),
}

impl AnswerFormat {
    /// As [`Self::named`], and makes the folder that `output` is to lie in. To be asked before anything is computed.
    ///
    /// # Errors
    /// If the answers are not written so, or nothing can be written there.
    pub(super) fn of(output: Option<&Path>, answers: Answers<'_>) -> anyhow::Result<Self> {
        let format = Self::named(output, answers)?;
        output.map(|output| output::make_room("--output", output)).transpose()?;
        Ok(format)
    }

    /// What the name of `output` asks for: JSON lines if it has no extension.
    fn named(output: Option<&Path>, answers: Answers<'_>) -> anyhow::Result<Self> {
        let extension = output.and_then(|output| Some((output, output.extension()?)));
        let Some((output, extension)) = extension else { return Ok(Self::Lines) };
        let wanted = extension.to_string_lossy().to_ascii_lowercase();
        let of_task: &[&str] = match answers {
            Answers::Files(extensions) => extensions,
            Answers::Objects | Answers::Arrays => &["jsonl"],
        };
        let mut known: BTreeSet<&str> = of_task.iter().map(|extension| family(extension)).collect();
        match wanted.as_str() {
            "jsonl" | "ndjson" => return Ok(Self::Lines),
            wanted if known.contains(wanted) => return Ok(Self::OfTask(wanted.to_owned())),
            "csv" if !matches!(answers, Answers::Arrays) => return Ok(Self::Table(',')),
            "tsv" if !matches!(answers, Answers::Arrays) => return Ok(Self::Table('\t')),
            "parquet" if !matches!(answers, Answers::Arrays) => return Ok(Self::Parquet),
            _ => {}
        }
        if !matches!(answers, Answers::Arrays) {
            known.extend(["csv", "parquet", "tsv"]);
        }
        let known: Vec<String> = known.into_iter().map(|name| format!("`.{name}`")).collect();
        bail!(
            "`--output {}`: these answers are written as {}; give the file such an extension",
            output.display(),
            known.join(", ")
        )
    }

    /// Lines of JSON in this format.
    ///
    /// # Errors
    /// If they are no objects, and a table is to be made of them.
    pub(super) fn written(&self, lines: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Table(separator) => Ok(delimited(&lines, *separator)?),
            Self::Parquet => Ok(parquet(&lines)?),
            Self::Lines | Self::OfTask(_) => Ok(lines),
        }
    }
}

/// The last part of an extension: `json` of `predictions.json`.
pub(super) fn family(extension: &str) -> &str {
    extension.rsplit('.').next().unwrap_or(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(output: &str, answers: Answers<'_>) -> Result<AnswerFormat, String> {
        AnswerFormat::named(Some(Path::new(output)), answers).map_err(|error| error.to_string())
    }

    #[test]
    fn the_extension_says_the_format_or_is_refused_with_those_there_are() {
        let of_questions = Answers::Files(&["jsonl", "predictions.json", "nbest_predictions.json"]);
        for (output, answers, wanted) in [
            ("a", Answers::Arrays, AnswerFormat::Lines),
            ("a.JSONL", Answers::Arrays, AnswerFormat::Lines),
            ("a.b.csv", Answers::Objects, AnswerFormat::Table(',')),
            ("a.tsv", of_questions, AnswerFormat::Table('\t')),
            ("a.parquet", Answers::Objects, AnswerFormat::Parquet),
            ("a.json", of_questions, AnswerFormat::OfTask("json".to_owned())),
        ] {
            assert_eq!(format(output, answers), Ok(wanted), "{output}");
        }
        let message = format("a.csv", Answers::Arrays).unwrap_err();
        assert!(
            message.contains("`--output a.csv`") && message.contains("as `.jsonl`;"),
            "{message}"
        );
        let message = format("a.json", Answers::Objects).unwrap_err();
        assert!(message.contains("`.csv`, `.jsonl`, `.parquet`, `.tsv`;"), "{message}");
        let message = format("a.txt", of_questions).unwrap_err();
        assert!(message.contains("`.csv`, `.json`, `.jsonl`, `.parquet`, `.tsv`;"), "{message}");
        assert_eq!(AnswerFormat::named(None, Answers::Arrays).unwrap(), AnswerFormat::Lines);
    }

    #[test]
    fn lines_become_a_table_where_one_is_asked_for() {
        let lines = b"{\"label\":\"a,b\",\"score\":0.5}\n".to_vec();
        assert_eq!(AnswerFormat::Lines.written(lines.clone()).unwrap(), lines);
        let table = AnswerFormat::Table(',').written(lines).unwrap();
        assert_eq!(table, b"label,score\n\"a,b\",0.5\n");
    }
}
