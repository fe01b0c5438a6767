//! Memory to compute in.

/// Values in a cache line.
const LINE: usize = 16;

/// Values that start with a cache line, so that no vector straddles two.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// Zeros.
    pub(crate) fn new(length: usize) -> Self {
        Self(vec![0.0; length + LINE - 1])
    }

    /// The values.
    pub(crate) fn values(&mut self) -> &mut [f32] {
        let first = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
        let length = self.0.len() - (LINE - 1);
        &mut self.0[first..first + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_with_a_cache_line() {
        for length in [0, 1, 100] {
            let mut scratch = Scratch::new(length);
            assert_eq!(scratch.values().len(), length);
            assert_eq!(scratch.values().as_ptr().align_offset(64), 0);
        }
    }
}
