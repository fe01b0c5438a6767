//! What masking asks of each id of a vocabulary.

use tokenizers::ModelWrapper;

use super::TextTokenizer;

impl TextTokenizer {
    /// For each id, whether it is a special token and so never masked.
    pub(crate) fn special_table(&self) -> Vec<bool> {
        let mut table = vec![false; self.vocab_size()];
        let added = self.inner.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id);
        let ids = &self.ids;
        for id in special.chain([ids.pad, ids.unk, ids.cls, ids.sep, ids.mask]) {
            table[id as usize] = true;
        }
        // An unknown word is text of the corpus, but nothing can be learnt from predicting `[UNK]`.
        table
    }

    /// For each id, whether it goes on with the word of the token before it.
    ///
    /// That is: `##…` for WordPiece; whatever does not begin with the mark of a blank for byte-level
    /// BPE (`Ġ`, `Ċ` …) and SentencePiece (`▁`).
    pub(crate) fn continuation_table(&self) -> Vec<bool> {
        let vocabulary = self.inner.get_vocab(true);
        let special = self.special_table();
        let mut table = vec![false; self.vocab_size()];
        let starts_word: Box<dyn Fn(&str) -> bool> = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => {
                let prefix = model.continuing_subword_prefix.clone();
                Box::new(move |token| !token.starts_with(&prefix))
            }
            _ if vocabulary.keys().any(|token| token.starts_with('▁')) => {
                Box::new(|token| token.starts_with('▁'))
            }
            _ => Box::new(|token| token.starts_with(['Ġ', 'Ċ', 'ĉ', 'č'])),
        };
        for (token, id) in vocabulary {
            table[id as usize] = !special[id as usize] && !starts_word(&token);
        }
        table
    }
}
