//! [`RowCounter`]: which row of the files of a split an example is.

/// Counts the rows of the files of a split, some of which are no examples.
#[derive(Debug, Default)]
pub(crate) struct RowCounter {
    rows: usize,
    examples: usize,
}

impl RowCounter {
    /// One row more: its place, from 0.
    pub(crate) fn next_row(&mut self) -> usize {
        self.rows += 1;
        self.rows - 1
    }

    /// What [`Example::row`](crate::Example::row) is of the next example, whose row has this place.
    pub(crate) fn of_example(&mut self, row: usize) -> Option<usize> {
        self.examples += 1;
        (row + 1 != self.examples).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_once_one_before_it_is_no_example() {
        let mut counter = RowCounter::default();
        let first = counter.next_row();
        assert_eq!((first, counter.of_example(first)), (0, None));
        counter.next_row();
        let third = counter.next_row();
        assert_eq!((third, counter.of_example(third)), (2, Some(2)));
    }
}
