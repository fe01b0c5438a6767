//! Prints the ids of each line of standard input, so that other programs can compare them.
//!
//! ```text
//! cargo run --release --example encode -- DIR [text|bare|json] < LINES
//! ```
//!
//! `DIR` is a folder or file with a tokenizer in any form that is read. Each line, without its line
//! feed, gives a line of ids with a blank between them: with special tokens (`text`, the default) or
//! without (`bare`). `json` reads nothing and prints the `tokenizer.json`.
//! `tools/reference/check_sentencepiece.py` compares its ids with those of Python's tokenizers.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of the command line")]

use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use nystromformer_data::TextTokenizer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, mode) = match arguments.as_slice() {
        [folder] => (folder, "text"),
        [folder, mode] if ["text", "bare", "json"].contains(&mode.as_str()) => {
            (folder, mode.as_str())
        }
        _ => return Err("usage: encode DIR [text|bare|json] < LINES".into()),
    };
    let begin = Instant::now();
    let tokenizer = TextTokenizer::load(Path::new(folder), true)?;
    eprintln!("loaded in {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    let mut out = BufWriter::new(io::stdout().lock());
    if mode == "json" {
        writeln!(out, "{}", tokenizer.to_json())?;
        return Ok(());
    }
    for line in io::stdin().lock().split(b'\n') {
        let line = String::from_utf8(line?)?;
        let ids = tokenizer.encode(&line, mode == "text")?;
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        writeln!(out, "{}", ids.join(" "))?;
    }
    out.flush()?;
    Ok(())
}
