//! Tables and curves.

use nystromformer_report::Plot;

use super::summary::{Summary, bytes, seconds};
use super::{EXACT, Efficiency, Measurement};
use crate::output::{Pages, Table, or_dash, three_digits};
use crate::power_law::Crossover;

/// A quantity that is shown: what it is called, its unit, and how it is had in that unit.
struct Quantity {
    name: &'static str,
    unit: &'static str,
    value: fn(&Measurement) -> f64,
}

const QUANTITIES: [Quantity; 2] = [
    Quantity { name: "time", unit: "milliseconds", value: |found| 1e3 * seconds(found) },
    Quantity {
        name: "memory",
        unit: "MiB beyond the inputs",
        value: |found| bytes(found) / f64::from(1 << 20),
    },
];

/// Devices whose memory is the process's.
const CPUS: [&str; 2] = ["flex", "ndarray"];

pub(super) fn pages(file: &Efficiency) -> Pages {
    let settings = &file.settings;
    let of_what = if settings.projections {
        "from hidden states to the contexts of all heads, projections included"
    } else {
        "from queries, keys and values to the contexts of all heads, without projections"
    };
    let convolution = match settings.conv_kernel_size {
        0 => "no convolution".to_owned(),
        taps => format!("a convolution of {taps} taps"),
    };
    let of_host = if CPUS.contains(&settings.device.as_str()) {
        ""
    } else {
        " (memory is the host's: what the device itself holds is not measured)"
    };
    let cpu = match settings.cpu.as_str() {
        "" => String::new(),
        model => format!(" of {model}"),
    };
    let introduction = format!(
        "One attention layer, {of_what}: batch {}, {} heads of {} channels, {} landmarks where a row names no other number, \
         {convolution}. Device `{}`{of_host}, {} threads{cpu} ({}), version {} of this program. Each measurement in a process of its \
         own: the median of {} passes after {} more.",
        settings.batch,
        settings.heads,
        settings.head_dim,
        settings.num_landmarks,
        settings.device,
        settings.threads,
        settings.instructions,
        settings.version,
        settings.repeats,
        super::WARM_UP,
    );
    let mut pages = Pages { introduction, ..Pages::default() };
    for quantity in &QUANTITIES {
        for backward in [false, true] {
            if !file.measured.iter().any(|found| found.backward == backward) {
                continue;
            }
            pages.tables.push(table(file, quantity, backward));
            let name =
                format!("{}-{}", quantity.name, if backward { "backward" } else { "forward" });
            pages.plots.push((name, plot(file, quantity, backward)));
        }
    }
    if let Some(summary) = &file.summary {
        pages.tables.extend([slopes(summary), fastest(summary), beats(summary)]);
    }
    pages
}

fn passes(backward: bool) -> &'static str {
    if backward { "forward and backward" } else { "forward" }
}

fn table(file: &Efficiency, quantity: &Quantity, backward: bool) -> Table {
    let (variants, lengths) = file.rows();
    let cell = |variant: &str, seq_len: usize| {
        if let Some(found) = file.find(variant, seq_len, backward) {
            return three_digits((quantity.value)(found));
        }
        let left_out = file.left_out.iter().find(|found| found.is_of(variant, seq_len, backward));
        left_out.map_or("–", |found| found.reason.word()).to_owned()
    };
    let row = |variant: &&str| {
        let name = std::iter::once(format!("`{variant}`"));
        name.chain(lengths.iter().map(|seq_len| cell(variant, *seq_len))).collect()
    };
    let words: Vec<String> = file
        .left_out
        .iter()
        .filter(|found| found.backward == backward)
        .map(ToString::to_string)
        .collect();
    let note = match words.len() {
        0 => String::new(),
        count => format!("{count} left out: {}.", words.join("; ")),
    };
    Table {
        title: format!("{}, {}, {}", capital(quantity.name), passes(backward), quantity.unit),
        columns: std::iter::once("attention".to_owned())
            .chain(lengths.iter().map(ToString::to_string))
            .collect(),
        rows: variants.iter().map(row).collect(),
        note,
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn plot(file: &Efficiency, quantity: &Quantity, backward: bool) -> Plot {
    let (variants, _) = file.rows();
    Plot {
        title: format!("{}, {}, {}", capital(quantity.name), passes(backward), quantity.unit),
        across: "tokens".to_owned(),
        is_log_across: true,
        is_log_up: true,
        curves: variants
            .into_iter()
            .map(|variant| (variant.to_owned(), file.curve(variant, backward, quantity.value)))
            .collect(),
    }
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn slopes(summary: &Summary) -> Table {
    let row = |slopes: &super::Slopes| {
        vec![
            format!("`{}`", slopes.variant),
            passes(slopes.backward).to_owned(),
            or_dash(slopes.seconds),
            or_dash(slopes.seconds_of_long),
            or_dash(slopes.bytes_of_long),
        ]
    };
    Table {
        title: "Growth".to_owned(),
        columns: columns(&["attention", "passes", "time, all lengths", "time, longer half", "memory, longer half"]),
        rows: summary.slopes.iter().map(row).collect(),
        note: "Slopes of the logarithm of the cost over the logarithm of the length, by least squares: 1 is linear, 2 quadratic. The \
               longer half has three lengths at least."
            .to_owned(),
    }
}

fn fastest(summary: &Summary) -> Table {
    let row = |fastest: &super::Fastest| {
        vec![
            fastest.seq_len.to_string(),
            passes(fastest.backward).to_owned(),
            format!("`{}`", fastest.variant),
            three_digits(1e3 * fastest.seconds),
            format!("`{}`", fastest.smallest),
        ]
    };
    Table {
        title: "Who is fastest".to_owned(),
        columns: columns(&["tokens", "passes", "fastest", "milliseconds", "least memory"]),
        rows: summary.fastest.iter().map(row).collect(),
        note: String::new(),
    }
}

fn beats(summary: &Summary) -> Table {
    let words = |crossover: Option<Crossover>| match crossover {
        None => "–".to_owned(),
        Some(Crossover::Below(length)) => format!("at all, from {length:.0} on"),
        Some(Crossover::At(length)) => format!("from {length:.0} on"),
        Some(Crossover::Above(length)) => format!("not up to {length:.0}"),
    };
    let row = |beats: &super::Beats| {
        vec![
            format!("`{}`", beats.variant),
            passes(beats.backward).to_owned(),
            words(beats.seconds),
            words(beats.bytes),
        ]
    };
    Table {
        title: format!("From which length on a kind costs less than `{}`", EXACT.name()),
        columns: columns(&["attention", "passes", "time", "memory"]),
        rows: summary.beats_exact.iter().map(row).collect(),
        note: "Tokens, between measured lengths by straight lines through the logarithms. Lengths that one of both was not measured at \
               are not compared."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::super::{LeftOut, Reason};
    use super::*;

    #[test]
    fn every_number_has_its_cell_and_what_is_missing_is_named() {
        let rows = [("softmax", 1e-9, 2.0), ("nystrom:pinv=solve", 1e-6, 1.0)];
        let mut file = measured(&rows, &[512, 1024]);
        file.leave_out(LeftOut {
            variant: "softmax".to_owned(),
            seq_len: 65_536,
            backward: true,
            reason: Reason::Seconds(99.0),
        });
        file.summary = Some(Summary::of(&file));
        let pages = pages(&file);
        let text = pages.markdown("T");
        for part in [
            "| attention | 512 | 1024 | 65536 |",
            "| `softmax` | 0.262 | 1.05 | – |",
            "| `softmax` | 0.786 | 3.15 | time |",
            "1 left out: `softmax`, 65536 tokens, forward and backward: about 99 s to be expected.",
            "| `nystrom:pinv=solve` | forward | from 1000 on |",
            "![Memory, forward, MiB beyond the inputs](memory-forward.svg)",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(pages.plots.len(), 4);
    }
}
