//! Position tables: brought to where ours begin, and to other lengths.

use burn::tensor::TensorData;
use nystromformer::embeddings::POSITION_OFFSET;

use super::PositionOffset;

/// How the rows of a longer position table are made of a shorter one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PositionFill {
    /// The trained rows again and again, as the authors do it: `512 → 4096` is eight copies. Where the longer
    /// table is a multiple of the shorter one, the two rows before the first position included (`510 → 4094`),
    /// the whole table is repeated, as their BERT pipeline does it; else the rows of positions.
    #[default]
    Tile,
    /// The trained rows stretched: the first and the last position keep theirs, the others lie between two
    /// trained rows.
    Interpolate,
}

/// A table of `positions + 2` rows of `width` numbers, made of `table`.
///
/// A table that is longer is cut.
pub(super) fn fit_table(
    table: &[f32],
    width: usize,
    offset: PositionOffset,
    positions: usize,
    fill: PositionFill,
) -> TensorData {
    let (before, trained) = match offset {
        PositionOffset::Two => table.split_at(table.len().min(POSITION_OFFSET * width)),
        PositionOffset::Zero => (&[][..], table),
    };
    let mut rows = before.to_vec();
    rows.resize(POSITION_OFFSET * width, 0.0);
    let count = trained.len() / width;
    let row = |index: usize| &trained[index * width..(index + 1) * width];

    if positions <= count {
        rows.extend_from_slice(&trained[..positions * width]);
    } else {
        match fill {
            PositionFill::Tile if repeats_whole_table(count, positions, offset) => {
                while rows.len() < (positions + POSITION_OFFSET) * width {
                    rows.extend_from_slice(trained);
                    let missing = (positions + POSITION_OFFSET) * width - rows.len();
                    rows.extend_from_slice(&before[..before.len().min(missing)]);
                }
            }
            PositionFill::Tile => {
                (0..positions).for_each(|position| rows.extend_from_slice(row(position % count)));
            }
            PositionFill::Interpolate => {
                for position in 0..positions {
                    let place = position as f64 * (count - 1) as f64 / (positions - 1) as f64;
                    let (lower, share) = (place.floor() as usize, place.fract() as f32);
                    let upper = (lower + 1).min(count - 1);
                    let between = row(lower).iter().zip(row(upper));
                    rows.extend(between.map(|(low, high)| low + (high - low) * share));
                }
            }
        }
    }
    TensorData::new(rows, [positions + POSITION_OFFSET, width])
}

/// Whether the authors' rule for tables without rows before the first position makes this table.
fn repeats_whole_table(count: usize, positions: usize, offset: PositionOffset) -> bool {
    offset == PositionOffset::Two
        && !positions.is_multiple_of(count)
        && (positions + POSITION_OFFSET).is_multiple_of(count + POSITION_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(
        table: &[f32],
        offset: PositionOffset,
        positions: usize,
        fill: PositionFill,
    ) -> Vec<f32> {
        fit_table(table, 1, offset, positions, fill).try_into_vec().unwrap()
    }

    #[test]
    fn a_table_that_begins_at_zero_gets_two_rows_before() {
        let found = fitted(&[1.0, 2.0], PositionOffset::Zero, 2, PositionFill::Tile);
        assert_eq!(found, [0.0, 0.0, 1.0, 2.0]);
    }

    /// `code/`: the first two rows, then copies of the others.
    #[test]
    fn multiples_of_the_positions_repeat_positions() {
        let found = fitted(&[8.0, 9.0, 1.0, 2.0], PositionOffset::Two, 4, PositionFill::Tile);
        assert_eq!(found, [8.0, 9.0, 1.0, 2.0, 1.0, 2.0]);
    }

    /// `reorganized_code/BERT`: the whole table, as for 510 → 4094 positions (512 → 4096 rows).
    #[test]
    fn multiples_of_the_rows_repeat_rows() {
        let table = [8.0, 9.0, 1.0, 2.0, 3.0];
        let found = fitted(&table, PositionOffset::Two, 8, PositionFill::Tile);
        assert_eq!(found, [8.0, 9.0, 1.0, 2.0, 3.0, 8.0, 9.0, 1.0, 2.0, 3.0]);
        assert!(repeats_whole_table(510, 4094, PositionOffset::Two));
    }

    #[test]
    fn other_lengths_go_round() {
        let found = fitted(&[8.0, 9.0, 1.0, 2.0, 3.0], PositionOffset::Two, 4, PositionFill::Tile);
        assert_eq!(found, [8.0, 9.0, 1.0, 2.0, 3.0, 1.0]);
    }

    #[test]
    fn interpolation_keeps_the_ends() {
        let found = fitted(&[1.0, 2.0, 4.0], PositionOffset::Zero, 5, PositionFill::Interpolate);
        assert_eq!(found, [0.0, 0.0, 1.0, 1.5, 2.0, 3.0, 4.0]);
        let one = fitted(&[7.0], PositionOffset::Zero, 3, PositionFill::Interpolate);
        assert_eq!(one, [0.0, 0.0, 7.0, 7.0, 7.0]);
    }

    #[test]
    fn fewer_positions_are_the_first_ones() {
        let found = fitted(&[1.0, 2.0, 4.0], PositionOffset::Zero, 1, PositionFill::Tile);
        assert_eq!(found, [0.0, 0.0, 1.0]);
    }
}
