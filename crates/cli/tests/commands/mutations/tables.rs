//! Tables: CSV, TSV, JSON lines, Parquet.

use std::path::Path;

use nystromformer_files::table::{Cell, Column, Table, TableOptions};

use super::read_mutants;
use crate::corpora::write_parquet;
use crate::fixture::documents;

/// Reads every cell of every column.
fn read(path: &Path) -> Result<(), String> {
    let bytes = std::fs::metadata(path).unwrap().len();
    let table = Table::open(path, &TableOptions::default()).map_err(|error| error.to_string())?;
    let width = table.columns().map_or(0, <[String]>::len);
    let columns: Vec<_> = (0..width).map(Column::Index).collect();
    for row in table.select(&columns).map_err(|error| error.to_string())? {
        let row = row.map_err(|error| error.to_string())?;
        for cell in (0..row.width()).map(|column| row.cell(column)) {
            // Parquet's dictionaries and compression give more text than the file has bytes, within a page's limits.
            assert!(!matches!(cell, Cell::Text(text) if text.len() as u64 > 64 * bytes));
        }
    }
    Ok(())
}

fn text_files(name: &str, seeds: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let seeds: Vec<_> = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    read_mutants(&seeds, &folder.path().join(name), read);
}

#[test]
fn csv_files() {
    let quoted = "text,label\r\n\"good, and \"\"fine\"\"\",1\r\n\"two\nlines\",0\r\n";
    text_files("rows.csv", &["text,label\ngood film,1\nbad film,0\n", quoted]);
}

#[test]
fn tsv_files() {
    text_files("rows.tsv", &["text\tlabel\ngood \"film\tpos\nbäd film\tneg\n", "a\tb\n1\t2\n"]);
}

#[test]
fn json_lines() {
    let rows = "{\"text\": \"good \\u00e9\", \"label\": 1}\n{\"text\": null, \"label\": 0.5}\n";
    text_files("rows.jsonl", &[rows, "{\"words\": \"a b\", \"tags\": true, \"id\": -1}\n"]);
}

#[test]
fn parquet_files() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("made"), &documents(12));
    let seed = std::fs::read(folder.path().join("made/rows.parquet")).unwrap();
    read_mutants(&[seed], &folder.path().join("rows.parquet"), read);
}
