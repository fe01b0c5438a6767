//! The four formats through one interface, and what each says of data that cannot be used.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod parquet_file;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use nystromformer_files::FileError;
use nystromformer_files::table::{Cell, Column, Quotes, Row, Rows, Table, TableOptions};

use parquet_file::Values;

fn open(path: &Path, wanted: &[&str], options: &TableOptions) -> Result<Rows, FileError> {
    let wanted: Vec<Column> = wanted.iter().map(|name| (*name).into()).collect();
    Table::open(path, options)?.select(&wanted)
}

fn read(path: &Path, wanted: &[&str], options: &TableOptions) -> Result<Vec<Row>, FileError> {
    open(path, wanted, options)?.collect()
}

/// The message of the error that reading `content` from a file of this name gives.
fn refused(name: &str, content: &[u8], wanted: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let options = TableOptions { max_line_bytes: 200, ..TableOptions::default() };
    read(&path, wanted, &options).unwrap_err().to_string()
}

#[test]
fn all_formats_give_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("a.tsv"), "idx\tsentence\tlabel\n0\ta \"quote\ty\n\n1\té\tn\n").unwrap();
    fs::write(place("a.csv"), "idx,sentence,label\n0,\"a \"\"quote\",y\n\n1,é,n\n").unwrap();
    let jsonl = "{\"idx\": 0, \"sentence\": \"a \\\"quote\", \"label\": \"y\"}\n\n\
                 {\"label\": \"n\", \"idx\": 1, \"sentence\": \"é\"}\n";
    fs::write(place("a.jsonl"), jsonl).unwrap();
    let sentences = [Some("a \"quote".as_bytes()), Some("é".as_bytes())];
    let labels: [Option<&[u8]>; 2] = [Some(b"y"), Some(b"n")];
    let columns = [
        ("idx", Values::Integers(&[0, 1])),
        ("sentence", Values::Texts(&sentences)),
        ("label", Values::Texts(&labels)),
    ];
    parquet_file::write(&place("a.parquet"), &columns);

    for (name, lines) in
        [("a.tsv", [2, 4]), ("a.csv", [2, 4]), ("a.jsonl", [1, 3]), ("a.parquet", [1, 2])]
    {
        let rows = read(&place(name), &["label", "sentence"], &TableOptions::default()).unwrap();
        let cells: Vec<[Cell; 2]> =
            rows.iter().map(|row| [row.cell(0).clone(), row.cell(1).clone()]).collect();
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(cells, [[text("y"), text("a \"quote")], [text("n"), text("é")]], "{name}");
        assert_eq!(rows.iter().map(Row::line).collect::<Vec<_>>(), lines, "{name}");
        assert_eq!(rows[0].file(), place(name));
    }
}

#[test]
fn a_line_that_tells_spreadsheets_the_separator_is_named() {
    for content in ["sep=;\ntext;label\na;1\n", "SEP=,\ntext,label\na,1\n", "sep=;\r\na\r\n"] {
        let message = refused("a.csv", content.as_bytes(), &["label"]);
        for part in ["a.csv:1: `", "is no row", "drop the line"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert!(refused("a.csv", b"sep=ab,label\n", &["text"]).contains("no column `text`"));
}

/// Of files that were put together the second header is no row.
#[test]
fn a_header_that_stands_twice_is_refused_with_its_line() {
    for (name, content) in [
        ("a.csv", "text,label\na,0\n\"text\", label\nb,1\n"),
        ("a.tsv", "text\tlabel\r\na\t0\r\ntext\tlabel\r\n"),
    ] {
        let message = refused(name, content.as_bytes(), &["label"]);
        for part in [":3: the header stands here once more", "drop the line"] {
            assert!(message.contains(part), "{message}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    // A name in its own column is a value, and a word may be the only text of a row.
    for (content, rows) in [("text,label\na,label\n", 1), ("text\na\ntext\n", 2)] {
        fs::write(&path, content).unwrap();
        assert_eq!(read(&path, &["text"], &TableOptions::default()).unwrap().len(), rows);
    }
    let by_place = TableOptions { header: false, ..TableOptions::default() };
    fs::write(&path, "a,0\nb,1\na,0\n").unwrap();
    assert_eq!(Table::open(&path, &by_place).unwrap().select(&[0.into()]).unwrap().count(), 3);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_not_data() {
    let folder = tempfile::tempdir().unwrap();
    for (name, separator) in [("a.tsv", '\t'), ("a.csv", ',')] {
        let path = folder.path().join(name);
        let content = format!("\u{feff}Quality{separator}text\r\n1{separator}\" open\r\n");
        let content = if separator == ',' { content.replace("\" open", "open") } else { content };
        fs::write(&path, content).unwrap();
        let rows = read(&path, &["Quality", "text"], &TableOptions::default()).unwrap();
        let expected = if separator == ',' { "open" } else { "\" open" };
        assert_eq!(rows[0].cell(0), &Cell::Text("1".to_owned()));
        assert_eq!(rows[0].cell(1), &Cell::Text(expected.to_owned()));
    }
}

#[test]
fn numbers_keep_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let jsonl = folder.path().join("a.jsonl");
    fs::write(&jsonl, "{\"n\": 3}\n{\"n\": 2.5}\n{\"n\": true}\n{\"n\": null}\n{}\n").unwrap();
    let cells = |path: &Path| -> Vec<Cell> {
        let rows = read(path, &["n"], &TableOptions::default()).unwrap();
        rows.iter().map(|row| row.cell(0).clone()).collect()
    };
    let expected =
        [Cell::Integer(3), Cell::Number(2.5), Cell::Boolean(true), Cell::Null, Cell::Null];
    assert_eq!(cells(&jsonl), expected);
    let parquet = folder.path().join("a.parquet");
    parquet_file::write(&parquet, &[("n", Values::Numbers(&[2.5]))]);
    assert_eq!(cells(&parquet), [Cell::Number(2.5)]);
}

/// Ids are such numbers: hashes of 64 bits.
#[test]
fn whole_numbers_beyond_an_i64_keep_their_digits() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = [u64::MAX, u64::MAX - 1, (1 << 63) + 1, (1 << 63) - 1];
    let line = |number: &u64| format!("{{\"id\": {number}, \"all\": [{number}]}}\n");
    let lines: Vec<String> = numbers.iter().map(line).collect();
    fs::write(folder.path().join("a.jsonl"), lines.concat()).unwrap();
    parquet_file::write(&folder.path().join("a.parquet"), &[("id", Values::Unsigned(&numbers))]);
    for name in ["a.jsonl", "a.parquet"] {
        let rows = read(&folder.path().join(name), &["id"], &TableOptions::default()).unwrap();
        let found: Vec<Cell> = rows.iter().map(|row| row.cell(0).clone()).collect();
        let mut wanted: Vec<Cell> =
            numbers.iter().map(|number| text(&number.to_string())).collect();
        wanted[3] = Cell::Integer(i64::MAX);
        assert_eq!(found, wanted, "{name}");
    }
    let rows = read(&folder.path().join("a.jsonl"), &["all"], &TableOptions::default()).unwrap();
    assert_eq!(rows[0].cell(0), &Cell::List(vec![text("18446744073709551615")]));
    // Of 128 bits, and their place where a line is no JSON.
    let path = folder.path().join("b.jsonl");
    let hash = "340282366920938463463374607431768211455";
    fs::write(&path, format!("{{\"id\": {hash}, \"n\": 1e30}}\n{{\"id\": -{hash} x}}\n")).unwrap();
    let mut rows = open(&path, &["id", "n"], &TableOptions::default()).unwrap();
    let first = rows.next().unwrap().unwrap();
    assert_eq!([first.cell(0), first.cell(1)], [&text(hash), &Cell::Number(1e30)]);
    let message = rows.next().unwrap().unwrap_err().to_string();
    assert!(
        message.contains("b.jsonl:2: not JSON") && message.contains("(column 49)"),
        "{message}"
    );
}

/// As spreadsheets on old Macs write them: a header of all that follows would be read.
#[test]
fn lines_that_end_with_carriage_returns_alone_are_told() {
    for (name, content) in [
        ("a.csv", "text,label\rgood,1\rbad,0\r".to_owned()),
        ("a.tsv", "text\tlabel\rgood\t1".to_owned()),
        // Longer than a line may be, and a first text longer than what a file is told by.
        ("a.csv", format!("text,label\r{}", "good,1\r".repeat(100))),
        ("a.csv", format!("label,{}\r1,good\r", "x".repeat(180))),
    ] {
        let message = refused(name, content.as_bytes(), &["label"]);
        assert!(
            message.contains(&format!("{name}:1: its lines end with `\\r` alone")),
            "{message}"
        );
        assert!(message.contains("`tr '\\r' '\\n'`"), "{message}");
    }
}

/// A `\r` in a scraped text or in a cell of a spreadsheet ends no line.
#[test]
fn a_carriage_return_within_a_text_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let options = TableOptions { header: false, ..TableOptions::default() };
    let long = "word ".repeat(300);
    for (content, first) in [
        (format!("{long}\rmore,1\nbad,0\n"), format!("{long}\rmore")),
        (format!("\"{long}\rmore\",1\nbad,0\n"), format!("{long}\rmore")),
        ("\"good\rfilm\",1".to_owned(), "good\rfilm".to_owned()),
        ("good\rfilm,1".to_owned(), "good\rfilm".to_owned()),
    ] {
        fs::write(&path, content).unwrap();
        let rows = Table::open(&path, &options).unwrap().select(&[0.into()]).unwrap();
        let texts: Vec<Cell> = rows.map(|row| row.unwrap().cell(0).clone()).collect();
        assert_eq!(texts[0], text(&first));
    }
}

#[test]
fn columns_without_names_go_by_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tsv");
    fs::write(&path, "gj04\t1\t\tOne.\nbc01\t0\t*\tTwo one.\n").unwrap();
    let options = TableOptions { header: false, ..TableOptions::default() };
    let rows = Table::open(&path, &options).unwrap().select(&[3.into(), 1.into()]).unwrap();
    let texts: Vec<String> = rows.map(|row| row.unwrap().take_text(0).unwrap()).collect();
    assert_eq!(texts, ["One.", "Two one."]);
    let named = folder.path().join("a.jsonl");
    fs::write(&named, "{\"text\": \"a\"}\n").unwrap();
    let refused = Table::open(&named, &options).err().unwrap().to_string();
    assert!(refused.contains("a.jsonl") && refused.contains("header"), "{refused}");
    let missing = Table::open(&path, &options).unwrap().select(&[4.into()]).err().unwrap();
    assert!(missing.to_string().contains("a.tsv:1: no column 5"), "{missing}");
}

#[test]
fn what_is_malformed_is_told_with_file_and_line() {
    let long = format!("text\tlabel\nfine\t1\n{}\t0\n", "x".repeat(500));
    let cases: [(&str, &[u8], &[&str]); 13] = [
        ("few.tsv", b"text\tlabel\na\t1\nb\n", &["few.tsv:3: ", "`1` columns", "`2`"]),
        ("many.tsv", b"text\tlabel\na\tb\t1\n", &["many.tsv:2: ", "`3` columns", "one tab"]),
        ("many.csv", b"text,label\na, b,1\n", &["many.csv:2: ", "`3` columns", "double quotes"]),
        ("quote.csv", b"text,label\n\"a,1\nb,0\n", &["quote.csv:2: ", "nothing closes it"]),
        ("header.tsv", b"a film\t1\nb\t0\n", &["header.tsv:1: ", "no column `text`", "`a film`"]),
        ("latin.tsv", b"text\tlabel\ncaf\xe9\t1\n", &["latin.tsv:2: ", "0xe9", "iconv"]),
        ("utf16.csv", b"\xff\xfet\0e\0", &["utf16.csv`", "UTF-16", "iconv"]),
        ("long.tsv", long.as_bytes(), &["long.tsv:3: ", "max_line_bytes = 200"]),
        ("empty.tsv", b"", &["empty.tsv`", "empty"]),
        ("headed.csv", b"text,label\n", &["headed.csv`", "no row"]),
        ("twice.csv", b"text,text,label\na,b,1\n", &["twice.csv:1: ", "two columns", "`text`"]),
        ("list.jsonl", b"{\"text\": \"a\", \"label\": 1}\n[1]\n", &["list.jsonl:2: ", "object"]),
        ("torn.jsonl", b"{\"text\": \"a\", \"label\": 1}\n{\"te", &["torn.jsonl:2: ", "not JSON"]),
    ];
    for (name, content, parts) in cases {
        let message = refused(name, content, &["text", "label"]);
        for part in parts {
            assert!(message.contains(part), "{name}: {message}");
        }
    }
    assert!(refused("a.xlsx", b"x", &["text"]).contains("unknown extension"));
    assert!(refused("bad.parquet", b"PAR1 not PAR1", &["text"]).contains("not a readable Parquet"));
    let missing = Table::open(Path::new("nowhere.tsv"), &TableOptions::default()).err().unwrap();
    assert!(missing.to_string().contains("no such file"), "{missing}");
}

#[test]
fn nested_json_and_wrong_kinds_are_refused() {
    let nested = refused("a.jsonl", b"{\"text\": {\"0\": \"a\"}}\n", &["text"]);
    assert!(nested.contains("a.jsonl:1: `text` is neither"), "{nested}");
    assert!(nested.contains("orient=\"records\""), "{nested}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    fs::write(&path, "{\"text\": 3}\n{\"text\": null}\n{\"text\": [\"a\"]}\n").unwrap();
    let mut rows = read(&path, &["text"], &TableOptions::default()).unwrap();
    let number = rows[0].take_text(0).unwrap_err().to_string();
    assert!(number.contains("a.jsonl:1: `text` is a number"), "{number}");
    let null = rows[1].take_text(0).unwrap_err().to_string();
    assert!(null.contains("a.jsonl:2: `text` is missing"), "{null}");
    assert!(rows[2].refuse_list(0).is_err());
    let list = rows[2].take_text(0).unwrap_err().to_string();
    assert!(list.contains("a.jsonl:3: `text` is a list"), "{list}");
}

#[test]
fn parquet_texts_are_utf8_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let options = TableOptions { max_line_bytes: 10, ..TableOptions::default() };
    let refused = |text: &[u8]| {
        parquet_file::write(&path, &[("text", Values::Texts(&[Some(b"fine"), Some(text)]))]);
        read(&path, &["text"], &options).unwrap_err().to_string()
    };
    assert!(refused(b"longer than ten bytes").contains("a.parquet:2: `text` is longer"));
    assert!(refused(b"caf\xe9").contains("a.parquet"));
}

#[test]
fn nothing_follows_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tsv");
    fs::write(&path, "text\tlabel\na\nb\t1\n").unwrap();
    let mut rows = open(&path, &["text"], &TableOptions::default()).unwrap();
    assert!(rows.next().unwrap().is_err());
    assert!(rows.next().is_none());
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The cells of two columns.
fn pairs(path: &Path, columns: [&str; 2]) -> Vec<[Cell; 2]> {
    let rows = read(path, &columns, &TableOptions::default()).unwrap();
    rows.iter().map(|row| [row.cell(0).clone(), row.cell(1).clone()]).collect()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn texts_are_read_through_their_compression_and_with_a_mark() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("a.tsv", "\u{feff}text\tlabel\r\nfilm\t1\r\n"),
        ("a.csv", "\u{feff}text,label\r\nfilm,1\r\n"),
        ("a.json", "\u{feff}[{\"text\": \"film\", \"label\": \"1\"}]\r\n"),
        ("a.jsonl", "\u{feff}{\"text\": \"film\", \"label\": \"1\"}\r\n"),
    ] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(content.as_bytes()).unwrap();
        let stored = [
            (name.to_owned(), content.as_bytes().to_vec()),
            (format!("{name}.gz"), gzip.finish().unwrap()),
            (format!("{name}.zst"), zstd::encode_all(content.as_bytes(), 1).unwrap()),
        ];
        for (name, bytes) in stored {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert_eq!(
                pairs(&path, ["text", "label"]),
                [[text("film"), text("1")]],
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn placeholders_are_told_in_every_format() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 438\n";
    for name in ["a.tsv", "a.csv", "a.json", "a.jsonl", "a.parquet"] {
        let message = refused(name, pointer, &["text"]);
        assert!(message.contains(name) && message.contains("`git lfs pull`"), "{message}");
    }
}

#[test]
fn headers_are_found_despite_separators_capitals_and_blanks() {
    let message = refused("a.csv", b"Text , Label\nx,1\n", &["text"]);
    assert!(message.contains("only `Text`, `Label`; is it `Text`?"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    for content in
        ["text;label\na, b;1\n", " text , label \n\"a, b\",1\n", "text\tlabel\na, b\t1\n"]
    {
        fs::write(&path, content).unwrap();
        assert_eq!(pairs(&path, ["text", "label"]), [[text("a, b"), text("1")]], "{content}");
    }
}

#[test]
fn what_pandas_quotes_in_tsv_is_read_and_glue_keeps_its_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tsv");
    fs::write(&path, "text\tlabel\n\"say \"\"hi\"\"\"\t1\n").unwrap();
    assert_eq!(pairs(&path, ["text", "label"]), [[text("say \"hi\""), text("1")]]);
    let raw = TableOptions { quotes: Some(Quotes::None), ..TableOptions::default() };
    let rows = read(&path, &["text"], &raw).unwrap();
    assert_eq!(rows[0].cell(0), &text("\"say \"\"hi\"\"\""));
    fs::write(&path, "text\tlabel\n\"Fine,\" he said\t1\n").unwrap();
    assert_eq!(pairs(&path, ["text", "label"]), [[text("\"Fine,\" he said"), text("1")]]);
}

#[test]
fn parquet_of_other_writers_is_read() {
    let expected = [[text("a film"), text("y")], [text("é"), text("n")]];
    for name in ["large_string_dictionary.parquet", "lz4.parquet"] {
        assert_eq!(pairs(&fixture(name), ["text", "label"]), expected, "{name}");
    }
    let table = Table::open(&fixture("brotli.parquet"), &TableOptions::default()).unwrap();
    let message = table.select(&["text".into()]).err().unwrap().to_string();
    assert!(message.contains("Brotli") && message.contains("compression=\"zstd\""), "{message}");
}

#[test]
fn parquet_has_names_of_classes_and_lists() {
    let path = fixture("class_label.parquet");
    let table = Table::open(&path, &TableOptions::default()).unwrap();
    let names = table.class_names(&"label".into()).unwrap().to_vec();
    assert_eq!(names, ["neg", "pos"]);
    assert_eq!(table.class_names(&"text".into()), None);
    let mut rows: Vec<Row> =
        table.select(&["label".into(), "tokens".into()]).unwrap().map(Result::unwrap).collect();
    rows[0].name_class(0, &names);
    assert_eq!(rows[0].cell(0), &text("pos"));
    assert_eq!(rows[0].cell(1), &Cell::List(vec![text("a"), text("b")]));
    assert_eq!(rows[2].cell(1), &Cell::Null);
}

#[test]
fn the_first_object_may_lack_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    fs::write(&path, "{\"id\": 1}\n{\"id\": 2, \"text\": \"x\"}\n{\"id\"").unwrap();
    let table = Table::open(&path, &TableOptions::default()).unwrap();
    let mut rows = table.select(&["text".into()]).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().cell(0), &Cell::Null);
    assert_eq!(rows.next().unwrap().unwrap().cell(0), &Cell::Text("x".to_owned()));
    // What is wrong further on is told when its turn comes.
    assert!(rows.next().unwrap().unwrap_err().to_string().contains("a.jsonl:3: not JSON"));
}

#[test]
fn files_without_a_row_and_packed_ones_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, part) in [
        ("a.parquet", b"".as_slice(), "the file is empty"),
        ("a.json", b"", "the file is empty"),
        ("a.json", b"{\"data\": [{\"paragraphs\": []}]}", "no row in it"),
        ("a.parquet.gz", b"\x1f\x8b\x08\x00", "decompress it"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = Table::open(&path, &TableOptions::default()).err().unwrap();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn fields_within_a_column_are_columns() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    parquet_file::write_questions(
        &place("a.parquet"),
        &[
            ("1", "q", "c", Some(&[("a", 3), ("b", 4)])),
            ("2", "q", "c", Some(&[])),
            ("3", "q", "c", None),
        ],
    );
    let lists = "{\"id\": \"1\", \"answers\": {\"text\": [\"a\", \"b\"], \"answer_start\": [3, 4]}}\n\
                 {\"id\": \"2\", \"answers\": {\"text\": [], \"answer_start\": []}}\n\
                 {\"id\": \"3\", \"answers\": null}\n";
    fs::write(place("lists.jsonl"), lists).unwrap();
    let objects = "{\"id\": \"1\", \"answers\": [{\"text\": \"a\", \"answer_start\": 3}, \
                   {\"text\": \"b\", \"answer_start\": 4}]}\n{\"id\": \"2\", \"answers\": []}\n{\"id\": \"3\"}\n";
    fs::write(place("objects.jsonl"), objects).unwrap();
    fs::write(place("empty.jsonl"), "{\"id\": \"2\", \"answers\": []}\n").unwrap();
    let integers =
        |numbers: &[i64]| Cell::List(numbers.iter().copied().map(Cell::Integer).collect());
    let texts = |texts: &[&str]| {
        Cell::List(texts.iter().map(|text| Cell::Text((*text).to_owned())).collect())
    };
    let wanted = ["answers.answer_start", "id", "answers.text"];
    for name in ["a.parquet", "lists.jsonl", "objects.jsonl"] {
        let rows = read(&place(name), &wanted, &TableOptions::default()).unwrap();
        assert_eq!(rows.len(), 3, "{name}");
        assert_eq!([rows[0].cell(0), rows[0].cell(2)], [&integers(&[3, 4]), &texts(&["a", "b"])]);
        assert_eq!([rows[1].cell(0), rows[1].cell(2)], [&integers(&[]), &texts(&[])], "{name}");
        assert_eq!([rows[2].cell(0), rows[2].cell(2)], [&Cell::Null, &Cell::Null], "{name}");
    }
    let rows = read(&place("empty.jsonl"), &wanted, &TableOptions::default()).unwrap();
    assert_eq!(rows[0].cell(2), &texts(&[]));
    for name in ["a.parquet", "lists.jsonl"] {
        let message = read(&place(name), &["id.text"], &TableOptions::default()).unwrap_err();
        assert!(message.to_string().contains("no column `id.text`"), "{name}: {message}");
    }
    let message = read(&place("a.parquet"), &["answers.x"], &TableOptions::default()).unwrap_err();
    assert!(message.to_string().contains("no column `answers.x`"), "{message}");
    for name in ["a.parquet", "lists.jsonl"] {
        let message = read(&place(name), &["answers"], &TableOptions::default()).unwrap_err();
        assert!(message.to_string().contains("neither a string nor a number"), "{name}: {message}");
    }
}

#[test]
fn a_context_with_very_many_questions_does_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    // Each question has a copy of its context while it is read: 40 GB of them together.
    let context = "c".repeat(1 << 20);
    let questions = vec!["{\"id\":1}"; 40_000].join(",");
    let content = format!(
        "{{\"data\": [{{\"paragraphs\": [{{\"context\": \"{context}\", \"qas\": [{questions}]}}]}}]}}"
    );
    fs::write(&path, content).unwrap();
    let options = TableOptions { max_line_bytes: 4 << 20, ..TableOptions::default() };
    let mut rows = open(&path, &["id", "context"], &options).unwrap();
    for _ in 0..50 {
        let row = rows.next().unwrap().unwrap();
        assert!(matches!(row.cell(1), Cell::Text(text) if text.len() == 1 << 20));
    }
}
