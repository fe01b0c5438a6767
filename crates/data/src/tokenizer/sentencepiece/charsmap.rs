//! Whether a model's table of rewritten characters can be walked.
//!
//! The table is a double-array trie (`u32` size in bytes, then `u32` units) and, after it, what the
//! characters become, each text ended by a zero byte. A unit holds in bits 0–7 the byte that leads to
//! it, in bits 10–30 (shifted by 8 if bit 9 is set) how far its children are, in bit 8 whether one of
//! these is a leaf; a leaf has bit 31 set and in bits 0–30 a place in the texts. The `tokenizers`
//! crate follows these numbers unchecked, so a damaged table would stop the program.

/// Checks every step that a walk over the trie can take.
pub(super) fn check(charsmap: &[u8]) -> Result<(), String> {
    let damaged = |what: &str| Err(format!("its table of rewritten characters is damaged: {what}"));
    let Some((size, rest)) = charsmap.split_first_chunk::<4>() else {
        return damaged("it has no size");
    };
    let size = u32::from_le_bytes(*size) as usize;
    if size == 0 || !size.is_multiple_of(4) {
        return damaged(&format!("a trie of {size} bytes"));
    }
    let Some((trie, texts)) = rest.split_at_checked(size) else {
        return damaged(&format!("a trie of {size} bytes in a table of {}", charsmap.len()));
    };
    let Ok(texts) = std::str::from_utf8(texts) else { return damaged("its texts are not UTF-8") };
    let (units, _) = trie.as_chunks::<4>();
    let units: Vec<usize> = units.iter().map(|unit| u32::from_le_bytes(*unit) as usize).collect();
    for (place, unit) in units.iter().enumerate() {
        if unit >> 31 == 1 {
            continue;
        }
        let children = place ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        // A child's place differs from this in its lowest eight bits.
        if children | 0xff >= units.len() {
            return damaged(&format!("unit {place} leads beyond its {} units", units.len()));
        }
        let text = units[children] & ((1 << 31) - 1);
        if unit >> 8 & 1 == 1 && !texts.is_char_boundary(text) {
            return damaged(&format!("unit {place} leads to byte {text} of its texts"));
        }
    }
    Ok(())
}
