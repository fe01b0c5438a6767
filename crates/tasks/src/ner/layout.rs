//! Where in the lines of a CoNLL file words and tags stand.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::table::{Column, TableOptions, listed};
use nystromformer_files::{BoundedLines, FileError, LineReader};

use super::tag::Tag;

/// The line that names the columns in CoNLL-U Plus.
const GLOBAL_COLUMNS: &str = "# global.columns =";

/// Marks the beginning of a document.
pub(super) const DOCUMENT_START: &str = "-DOCSTART-";

/// Which columns of a file are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WantedColumns {
    /// `task.tokens`. Default: the first.
    pub(super) tokens: Option<Column>,
    /// `task.tags`. Default: the last.
    pub(super) tags: Option<Column>,
    /// `task.sentence`, in tables with a word a row.
    pub(super) sentence: Option<Column>,
}

/// Where in the lines of a file words and tags stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnLayout {
    /// Whether the fields of a line stand between tab characters, and not between blanks.
    by_tab: bool,
    /// How many fields the first line with a word has.
    width: usize,
    /// That line.
    first: u64,
    /// The place of the word.
    pub(super) token: usize,
    /// The place of the tag; `None` if there are no tags.
    pub(super) tag: Option<usize>,
    /// Whether the tag is the last field, so that every line must be as wide as the first.
    is_last: bool,
    /// The line that names the columns, which holds no word.
    pub(super) header: Option<u64>,
    /// Whether the first tag is one of an entity.
    of_entities: bool,
}

/// The lines of a file, in the encoding and of the length that the options say.
pub(super) fn lines(path: &Path, options: &TableOptions) -> Result<BoundedLines, DataError> {
    let max_bytes = options.max_line_bytes;
    let too_long = format!(
        "longer than `task.max_line_bytes = {max_bytes}`: is it a file of columns, a word a line? If it is, raise it"
    );
    let reader = LineReader::open_as(path, options.encoding)?
        .with_encoding_key(Some("task.encoding".to_owned()));
    Ok(BoundedLines::of(reader, max_bytes, too_long))
}

/// Without the blanks and tabs at its end.
pub(super) fn trimmed(line: &str) -> &str {
    line.trim_end_matches(|character: char| character.is_ascii_whitespace())
}

impl ColumnLayout {
    /// Looks at the first lines of a file.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] if a column is not there or has no name; a column of tags may be missing if `tags_required` is
    /// false. [`DataError::File`] if no line holds a word; [`DataError::Io`].
    pub(super) fn of(
        path: &Path,
        wanted: &WantedColumns,
        tags_required: bool,
        options: &TableOptions,
    ) -> Result<Self, DataError> {
        let is_named = |column: &Option<Column>| matches!(column, Some(Column::Name(_)));
        let names_wanted = is_named(&wanted.tokens) || is_named(&wanted.tags);
        let mut names: Option<Vec<String>> = None;
        let (mut comment, mut tabbed) = (None, None);
        let mut first = None;
        for line in lines(path, options)? {
            let line = line?;
            let text = trimmed(&line.text);
            if let Some(columns) = text.strip_prefix(GLOBAL_COLUMNS) {
                names = Some(columns.split_ascii_whitespace().map(str::to_owned).collect());
            } else if text.starts_with("# ") {
                comment.get_or_insert((line.number, text.to_owned()));
            } else if text.starts_with("#\t") && (names.is_some() || !names_wanted) {
                // The line that names the columns may begin so.
                tabbed.get_or_insert((line.number, text.to_owned()));
            } else if !text.trim_start().is_empty() && !text.starts_with(DOCUMENT_START) {
                first = Some((line.number, text.to_owned()));
                break;
            }
        }
        // If all lines begin with `#`, it is a word.
        let Some((first, text)) = first.or(tabbed).or(comment) else {
            return Err(FileError::file(path, "no line of it holds a word").into());
        };
        let by_tab = text.contains('\t');
        let fields: Vec<&str> = fields(&text, by_tab).collect();
        let mut header = None;
        if names.is_none() && names_wanted {
            names = Some(fields.iter().map(|field| (*field).to_owned()).collect());
            header = Some(first);
        }
        let place = |column: &Column, key: &str| match (column, &names) {
            (Column::Index(index), _) => Ok((*index < fields.len()).then_some(*index)),
            (Column::Name(name), Some(names)) => {
                let place = names.iter().position(|known| known == name);
                if place.is_none() && header.is_some() {
                    let shown = listed(names.iter().map(String::as_str));
                    return Err(FileError::line(
                        path,
                        first,
                        format!("no column `{name}` (`{key}`) in this line, which is taken to name the columns: {shown}"),
                    )
                    .with_cure(format!("set `{key}` to the column's place, from 0")));
                }
                Ok(place)
            }
            (Column::Name(_), None) => Ok(None),
        };
        let missing = |column: &Column, key: &str| {
            let width = fields.len();
            FileError::line(path, first, format!("no {column} (`{key}`): the line has `{width}`"))
                .with_cure("places count from 0; tabs separate fields if the first line has one, else blanks do")
        };
        let token = match &wanted.tokens {
            None => 0,
            Some(column) => {
                place(column, "task.tokens")?.ok_or_else(|| missing(column, "task.tokens"))?
            }
        };
        let tag = match &wanted.tags {
            None => Some(fields.len() - 1).filter(|last| *last != token),
            Some(column) => place(column, "task.tags")?,
        };
        if tag.is_none() && tags_required {
            return Err(match &wanted.tags {
                Some(column) => missing(column, "task.tags"),
                None => FileError::line(path, first, "a word and no tag beside it")
                    .with_cure("write the tag behind the word, with a tab or a blank between them"),
            }
            .into());
        }
        let of_entities =
            tag.and_then(|tag| fields.get(tag)).is_some_and(|tag| Tag::parse(tag).is_some());
        let is_last = wanted.tags.is_none() && tag.is_some();
        Ok(Self { by_tab, width: fields.len(), first, token, tag, is_last, header, of_entities })
    }

    /// The fields of a line without blanks at its end.
    pub(super) fn fields<'a>(&self, line: &'a str) -> impl Iterator<Item = &'a str> {
        fields(line, self.by_tab)
    }

    /// The word of a line, and its tag.
    ///
    /// # Errors
    ///
    /// What is wrong with the line.
    pub(super) fn read<'a>(&self, line: &'a str) -> Result<(&'a str, Option<&'a str>), String> {
        let (mut token, mut tag, mut width) = (None, None, 0);
        for (place, field) in self.fields(line).enumerate() {
            if place == self.token {
                token = Some(field);
            }
            if Some(place) == self.tag {
                tag = Some(field);
            }
            width += 1;
        }
        if self.is_last && width != self.width {
            return Err(format!(
                "`{width}` columns, and line {} has `{}`: correct it, or set `task.tags` to the place of the tag, from 0, if \
                 lines differ",
                self.first, self.width
            ));
        }
        match (token, tag, self.tag) {
            (Some(token), Some(tag), _) => Ok((token, Some(tag))),
            (Some(token), None, None) => Ok((token, None)),
            _ => Err(format!(
                "`{width}` columns, and the word is read from column {} and the tag from column {}",
                self.token + 1,
                self.tag.map_or(0, |tag| tag + 1)
            )),
        }
    }

    /// Whether a line at the beginning of a sentence is a comment: it begins with `#` and a blank or a tab, as in GermEval-2014,
    /// and is no word with its columns.
    pub(super) fn is_comment(&self, line: &str) -> bool {
        if line.starts_with("#\t") {
            // The same number of fields makes it a word, whose tag may be wrong and is then told.
            return self.fields(line).count() != self.width;
        }
        if !line.starts_with("# ") {
            return false;
        }
        let is_tag = |text: &str| !self.of_entities || Tag::parse(text).is_some();
        let is_word = self.fields(line).count() == self.width
            && self.tag.is_none_or(|tag| self.fields(line).nth(tag).is_some_and(is_tag));
        !is_word
    }
}

/// The fields of a line.
fn fields(line: &str, by_tab: bool) -> impl Iterator<Item = &str> {
    let between = move |character: char| {
        if by_tab { character == '\t' } else { character.is_ascii_whitespace() }
    };
    line.split(between).filter(move |field| by_tab || !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(content: &str, wanted: &WantedColumns) -> Result<ColumnLayout, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conll");
        std::fs::write(&path, content).unwrap();
        let options = TableOptions { max_line_bytes: 1000, ..TableOptions::default() };
        ColumnLayout::of(&path, wanted, true, &options).map_err(|error| error.to_string())
    }

    fn wanted(tokens: Option<Column>, tags: Option<Column>) -> WantedColumns {
        WantedColumns { tokens, tags, sentence: None }
    }

    #[test]
    fn the_word_is_first_and_the_tag_last() {
        let found = layout("-DOCSTART- -X- O O\n\nEU NNP  I-NP I-ORG\n", &WantedColumns::default())
            .unwrap();
        assert_eq!((found.token, found.tag, found.first), (0, Some(3), 3));
        assert_eq!(found.read("German JJ I-NP I-MISC"), Ok(("German", Some("I-MISC"))));
        let problem = found.read("German JJ I-MISC").unwrap_err();
        assert!(problem.contains("`3` columns, and line 3 has `4`"), "{problem}");
    }

    #[test]
    fn tabs_may_have_blanks_and_nothing_between_them() {
        let found = layout("New York\tB-LOC\n", &WantedColumns::default()).unwrap();
        assert_eq!(found.read("San José\tB-LOC"), Ok(("San José", Some("B-LOC"))));
        assert_eq!(found.read("\tO"), Ok(("", Some("O"))));
        // A no-break space separates no fields: it may be a word itself.
        let found = layout("\u{a0} O\n", &WantedColumns::default()).unwrap();
        assert_eq!(found.read("\u{a0} O"), Ok(("\u{a0}", Some("O"))));
    }

    #[test]
    fn columns_are_given_by_place_or_name() {
        let by_place = wanted(Some(1.into()), Some(0.into()));
        let found = layout("O CHAP x\nO . \n", &by_place).unwrap();
        assert_eq!(found.read("B-PER Mary"), Ok(("Mary", Some("B-PER"))));
        let by_name = wanted(Some("FORM".into()), Some("NE".into()));
        let plus =
            layout("# global.columns = ID FORM NE\n# id = 1\n1 EU B-ORG\n", &by_name).unwrap();
        assert_eq!((plus.token, plus.tag, plus.header), (1, Some(2), None));
        let headed = layout("NE,x FORM\n", &by_name).unwrap_err();
        assert!(headed.contains("a.conll:1: no column `NE` (`task.tags`)"), "{headed}");
        let headed = layout("\nNE FORM\nO EU\n", &by_name).unwrap();
        assert_eq!((headed.token, headed.tag, headed.header), (1, Some(0), Some(2)));
        let far = layout("EU O\n", &wanted(None, Some(4.into()))).unwrap_err();
        assert!(far.contains("a.conll:1: no column 5 (`task.tags`): the line has `2`"), "{far}");
        assert!(
            layout("EU\n", &WantedColumns::default()).unwrap_err().contains("no tag beside it")
        );
        assert!(
            layout("\n \t\n", &WantedColumns::default()).unwrap_err().contains("no line of it")
        );
    }

    #[test]
    fn comments_are_told_from_words() {
        let found = layout("# id 7 domain=en\nEU _ _ B-ORG\n", &WantedColumns::default()).unwrap();
        assert_eq!(found.first, 2);
        assert!(found.is_comment("# id 8 domain=en") && found.is_comment("# a comment"));
        assert!(!found.is_comment("# _ _ O") && !found.is_comment("#tag _ _ O"));
        assert_eq!(layout("# O\n# O\n", &WantedColumns::default()).unwrap().first, 1);
    }

    #[test]
    fn a_tab_behind_the_mark_makes_no_word_of_a_comment() {
        let places = wanted(Some(1.into()), Some(2.into()));
        let germ_eval =
            "#\thttp://de.wikipedia.org/wiki/Aachen [2009-10-17]\n1\tAachen\tB-LOC\tO\n";
        let found = layout(germ_eval, &places).unwrap();
        assert_eq!((found.first, found.width), (2, 4));
        assert!(found.is_comment("#\thttp://de.wikipedia.org/wiki/Bonn [2009-10-18]"));
        assert!(!found.is_comment("#\t#\tO\tO"));
        let two = layout("#\tO\nAachen\tB-LOC\n", &WantedColumns::default()).unwrap();
        assert!(!two.is_comment("#\tO") && two.is_comment("#\tsentence\t7"));
        // All lines may be such words, and so may the one that names the columns.
        assert_eq!(layout("# a\n#\tO\n", &WantedColumns::default()).unwrap().first, 2);
        let by_name = wanted(Some("word".into()), Some("tag".into()));
        let headed = layout("#\tword\ttag\n1\tAachen\tB-LOC\n", &by_name).unwrap();
        assert_eq!((headed.token, headed.tag, headed.header), (1, Some(2), Some(1)));
    }
}
