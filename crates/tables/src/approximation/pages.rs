//! Tables and curves.

use nystromformer::{PinvInit, PinvMethod};
use nystromformer_report::Plot;

use super::setting::{Grid, Setting};
use super::summary::{OfSource, SettingSpread, Spread, Summary};
use crate::output::{Pages, Table, or_dash, three_digits};

pub(super) fn pages(summary: &Summary, grid: &Grid) -> Pages {
    let introduction = "Relative errors in the Frobenius norm: of the matrix, `‖Â − A‖ / ‖A‖`, and of the output, `‖ÂV − AV‖ / ‖AV‖`. Mean \
         over all matrices, or over as many as `of` says; in brackets the worst. `svd` is the least error that any matrix of this rank \
         has, `random` that of the method with as many tokens for landmarks, drawn anew for each matrix. Measured are the model's own \
         functions in single precision; exact attention, errors and bounds are in double precision."
        .to_owned();
    let mut pages = Pages { introduction, ..Pages::default() };
    for (number, source) in summary.sources.iter().enumerate() {
        let rows = by_number(source);
        pages.tables.push(landmarks(source, "matrix", &rows, |found| found.matrix));
        pages.tables.push(landmarks(source, "output", &rows, |found| found.output));
        pages.tables.extend([iterations(source, grid), rules(source, grid), layers(source, grid)]);
        let name = |what: &str| format!("{what}-{}", number + 1);
        pages.plots.push((name("landmarks"), landmarks_plot(source, &rows)));
        pages.plots.push((name("iterations"), iterations_plot(source, grid)));
    }
    pages
}

/// What a source is, for titles.
fn about(source: &OfSource) -> String {
    let rows = if source.rows < source.seq_len {
        format!(", {} rows drawn of each", source.rows)
    } else {
        String::new()
    };
    // The usual seed need not be told.
    let seed = if source.seed == 0 { String::new() } else { format!(", seed {}", source.seed) };
    format!(
        "{}, {} tokens, {} matrices, {} heads of {} channels{rows}{seed}",
        source.source, source.seq_len, source.matrices, source.heads, source.head_dim
    )
}

/// Mean and worst, and of how many matrices if these are not all.
fn cell(spread: Option<Spread>, source: &OfSource) -> String {
    let Some(Spread { mean, count, worst }) = spread else { return "–".to_owned() };
    let of = if count < source.matrices { format!(" of {count}") } else { String::new() };
    format!("{} ({}){of}", three_digits(mean), three_digits(worst))
}

/// The rows of the tables by number of landmarks: the rules with the paper's inverse, and the solve.
fn by_number(source: &OfSource) -> Vec<Setting> {
    let mut rows: Vec<Setting> = Vec::new();
    for SettingSpread { setting, .. } in &source.settings {
        let paper = Setting::paper(setting.num_landmarks);
        let is_row = !setting.keep_ends
            && setting.pinv_init == paper.pinv_init
            && setting.pinv_iterations == paper.pinv_iterations;
        if is_row && !rows.iter().any(|row| row.rule() == setting.rule()) {
            rows.push(setting.clone());
        }
    }
    rows
}

fn find<'a>(source: &'a OfSource, setting: &Setting) -> Option<&'a SettingSpread> {
    source.settings.iter().find(|found| found.setting == *setting)
}

/// A row's setting at another number of landmarks.
fn at(row: &Setting, num_landmarks: usize) -> Setting {
    Setting { num_landmarks, ..row.clone() }
}

fn landmarks(
    source: &OfSource,
    of: &str,
    rows: &[Setting],
    error: fn(&SettingSpread) -> Spread,
) -> Table {
    let row = |row: &Setting| {
        let cells = source
            .bounds
            .iter()
            .map(|bound| cell(find(source, &at(row, bound.num_landmarks)).map(error), source));
        std::iter::once(row.rule()).chain(cells).collect()
    };
    let mut table: Vec<Vec<String>> = rows.iter().map(row).collect();
    let mut bound = |name: &str, of: fn(&super::summary::BoundSpread) -> Spread| {
        let cells = source.bounds.iter().map(|bound| cell(Some(of(bound)), source));
        table.push(std::iter::once(name.to_owned()).chain(cells).collect());
    };
    if of == "matrix" {
        bound("random", |bound| bound.random);
        bound("svd", |bound| bound.svd);
    } else {
        bound("random", |bound| bound.random_output);
    }
    let counts = source.bounds.iter().map(|bound| bound.num_landmarks.to_string());
    Table {
        title: format!("Error of the {of} by landmarks: {}", about(source)),
        columns: std::iter::once("landmarks".to_owned()).chain(counts).collect(),
        rows: table,
        note: String::new(),
    }
}

/// The iterations that were measured at the usual number of landmarks, with the errors from both starts.
fn by_iterations<'a>(
    source: &'a OfSource,
    grid: &Grid,
    init: PinvInit,
) -> Vec<(usize, &'a SettingSpread)> {
    let paper = Setting::paper(grid.num_landmarks);
    let is_same = |found: &&SettingSpread| {
        let Setting { pinv_iterations, .. } = found.setting;
        found.setting == Setting { pinv_init: init, pinv_iterations, ..paper.clone() }
    };
    let mut found: Vec<(usize, &SettingSpread)> = source
        .settings
        .iter()
        .filter(is_same)
        .map(|found| (found.setting.pinv_iterations, found))
        .collect();
    found.sort_by_key(|(iterations, _)| *iterations);
    found
}

fn iterations(source: &OfSource, grid: &Grid) -> Table {
    let exact = by_iterations(source, grid, PinvInit::Exact);
    let original = by_iterations(source, grid, PinvInit::Original);
    let mut rows: Vec<Vec<String>> = exact
        .iter()
        .map(|(count, found)| {
            let of_original =
                original.iter().find(|(other, _)| other == count).map(|(_, found)| *found);
            vec![
                count.to_string(),
                cell(Some(found.matrix), source),
                cell(Some(found.output), source),
                cell(of_original.map(|found| found.matrix), source),
                cell(of_original.map(|found| found.output), source),
            ]
        })
        .collect();
    let solve = Setting { pinv: PinvMethod::Solve, ..Setting::paper(grid.num_landmarks) };
    if let Some(found) = find(source, &solve) {
        let dash = || "–".to_owned();
        rows.push(vec![
            "solve".to_owned(),
            cell(Some(found.matrix), source),
            cell(Some(found.output), source),
            dash(),
            dash(),
        ]);
    }
    let columns =
        ["iterations", "exact start, matrix", "output", "original start, matrix", "output"];
    Table {
        title: format!("Error by iterations of the inverse, {} landmarks: {}", grid.num_landmarks, about(source)),
        columns: columns.map(str::to_owned).to_vec(),
        rows,
        note: "The exact start scales each head's matrix by its own largest column sum, the original one by the largest of all heads."
            .to_owned(),
    }
}

fn rules(source: &OfSource, grid: &Grid) -> Table {
    let paper = Setting::paper(grid.num_landmarks);
    let is_rule = |found: &&SettingSpread| {
        let Setting { landmarks, keep_ends, .. } = found.setting;
        found.setting == Setting { landmarks, keep_ends, ..paper.clone() }
    };
    let row = |found: &SettingSpread| {
        vec![
            found.setting.rule(),
            cell(Some(found.matrix), source),
            cell(Some(found.output), source),
        ]
    };
    let mut rows: Vec<&SettingSpread> = source.settings.iter().filter(is_rule).collect();
    rows.sort_by(|left, right| left.matrix.mean.total_cmp(&right.matrix.mean));
    Table {
        title: format!("Error by rule for {} landmarks: {}", grid.num_landmarks, about(source)),
        columns: ["landmarks", "matrix", "output"].map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(row).collect(),
        note: "The nearest first. `weighted` stands for its start, with scores of zero, where it is the mean of a segment.".to_owned(),
    }
}

fn layers(source: &OfSource, grid: &Grid) -> Table {
    let row = |layer: &super::summary::OfLayer| {
        let found = layer.errors.iter().find(|found| found.num_landmarks == grid.num_landmarks);
        vec![
            layer.layer.to_string(),
            format!("{:.1}", layer.rank_90),
            format!("{:.1}", layer.rank_99),
            format!("{:.1}", layer.rank_99_9),
            or_dash(found.and_then(|found| found.svd)),
            or_dash(found.and_then(|found| found.matrix)),
            or_dash(found.and_then(|found| found.output)),
        ]
    };
    let columns =
        ["layer", "rank of 90 %", "rank of 99 %", "rank of 99.9 %", "svd", "matrix", "output"];
    Table {
        title: format!("Is attention of low rank? {}", about(source)),
        columns: columns.map(str::to_owned).to_vec(),
        rows: source.by_layer.iter().map(row).collect(),
        note: format!(
            "Ranks that hold so much of the sum of squares of the singular values, of at most {}: means over heads and sequences. The \
             errors are those at {} landmarks: the least at this rank, and the paper's.",
            source.rows, grid.num_landmarks
        ),
    }
}

fn landmarks_plot(source: &OfSource, rows: &[Setting]) -> Plot {
    let curve = |row: &Setting| {
        let points = source.bounds.iter().filter_map(|bound| {
            let found = find(source, &at(row, bound.num_landmarks))?;
            Some((bound.num_landmarks as f64, found.matrix.mean))
        });
        (row.rule(), points.collect::<Vec<(f64, f64)>>())
    };
    let mut curves: Vec<(String, Vec<(f64, f64)>)> =
        rows.iter().map(curve).filter(|(_, points): &(_, Vec<_>)| points.len() > 1).collect();
    let bounds = |of: fn(&super::summary::BoundSpread) -> f64| {
        source.bounds.iter().map(|bound| (bound.num_landmarks as f64, of(bound))).collect()
    };
    curves.push(("random".to_owned(), bounds(|bound| bound.random.mean)));
    curves.push(("svd".to_owned(), bounds(|bound| bound.svd.mean)));
    Plot {
        title: format!("Error of the matrix, {}", about(source)),
        across: "landmarks".to_owned(),
        is_log_across: true,
        is_log_up: true,
        curves,
    }
}

fn iterations_plot(source: &OfSource, grid: &Grid) -> Plot {
    let mut curves = Vec::new();
    for (init, start) in [(PinvInit::Exact, "exact"), (PinvInit::Original, "original")] {
        let found = by_iterations(source, grid, init);
        let points = |error: fn(&SettingSpread) -> f64| {
            found.iter().map(|(count, found)| (*count as f64, error(found))).collect::<Vec<_>>()
        };
        curves.push((format!("{start} start, matrix"), points(|found| found.matrix.mean)));
        curves.push((format!("{start} start, output"), points(|found| found.output.mean)));
    }
    Plot {
        title: format!("Error by iterations, {} landmarks, {}", grid.num_landmarks, source.source),
        across: "iterations".to_owned(),
        is_log_across: false,
        is_log_up: true,
        curves,
    }
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::blocks;
    use super::*;

    #[test]
    fn every_error_has_its_cell() {
        let (landmarks, iterations) = (vec![8], vec![6]);
        let grid = Grid { landmarks, num_landmarks: 8, iterations, most_rows: 16, seed: 0 };
        let pages = pages(&Summary::of(&blocks()), &grid);
        let text = pages.markdown("T");
        for part in [
            "Error of the matrix by landmarks: random, 16 tokens, 4 matrices",
            "| segment_means | 0.600 (1.20) |",
            "| random | 0.600 (0.700) |",
            "| svd | 0.200 (0.300) |",
            "| 6 | 0.600 (1.20) | 0.500 (0.750) | – | – |",
            "| 1 | 2.0 | 3.0 | 4.0 | 0.200 | 0.900 | 0.500 |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(pages.plots.len(), 2);
    }
}
