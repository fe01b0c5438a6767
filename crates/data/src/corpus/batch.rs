//! Reads ahead: the next chunks are read while the last ones are worked on.

use super::Chunk;
use crate::error::DataError;

/// Text of a batch of chunks; enough to keep all cores at work, little enough to hold several.
const BATCH_BYTES: usize = 4 << 20;

/// Feeds the chunks to `work` in batches of about 4 MiB, in order.
///
/// The chunks of a batch are meant to be worked on in parallel by `work`; meanwhile the next batch is
/// read. `work` returns whether it wants more.
pub(crate) fn for_each_batch<C>(
    chunks: &mut C,
    mut work: impl FnMut(Vec<Chunk>) -> Result<bool, DataError> + Send,
) -> Result<(), DataError>
where
    C: Iterator<Item = Result<Chunk, DataError>> + Send,
{
    let mut batch = next_batch(chunks)?;
    while !batch.is_empty() {
        let (next, more) = rayon::join(|| next_batch(chunks), || work(batch));
        batch = if more? { next? } else { Vec::new() };
    }
    Ok(())
}

fn next_batch(
    chunks: &mut impl Iterator<Item = Result<Chunk, DataError>>,
) -> Result<Vec<Chunk>, DataError> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        let Some(chunk) = chunks.next().transpose()? else {
            break;
        };
        bytes += chunk.text.len();
        batch.push(chunk);
    }
    Ok(batch)
}
