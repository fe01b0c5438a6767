//! What is said of examples that are not read whole.

use nystromformer_data::Keep;
use nystromformer_tasks::Targets;

use crate::task_batches::encoded::EncodedSplit;
use crate::task_batches::forms::Form;

/// Says how many examples of a split or file (`source`) are too long, and what is read of them.
pub(super) fn tell_cut(examples: &EncodedSplit, source: &str, form: Form<'_>) {
    let max_length = form.truncation.max_length;
    if examples.num_lost() > 0 {
        tracing::warn!(
            "`{}` of the `{}` questions of the {source} have an answer that no window of `data.seq_len` = `{max_length}` tokens \
             holds whole: they are read as questions without an answer in it (`task.doc_stride`)",
            examples.num_lost(),
            examples.len(),
        );
    }
    let without_tokens = examples.num_words_without_tokens();
    if without_tokens > 0 {
        tracing::warn!(
            "the tokenizer makes no token of `{without_tokens}` words of the {source}, such as control characters: they are not \
             learnt, and nothing is predicted for them"
        );
    }
    if let Some(windows) = form.windows {
        let in_windows = examples.num_in_windows();
        if in_windows > 0 {
            tracing::info!(
                "`{in_windows}` of the `{}` examples of the {source} are longer than `data.seq_len` = `{max_length}` tokens and are read \
                 in windows (`task.truncation`): `{}` rows in all",
                examples.len(),
                examples.num_units()
            );
        }
        if examples.num_cut() > 0 {
            tracing::warn!(
                "`{}` of the `{}` examples of the {source} are not read whole: a text has more than `task.max_windows` = `{}` windows of \
                 `data.seq_len` = `{max_length}` tokens, of which the first are read, or a pair is longer than that, whose longer \
                 text is cut",
                examples.num_cut(),
                examples.len(),
                windows.max_windows
            );
        }
        return;
    }
    if examples.num_cut() == 0 {
        return;
    }
    if let Targets::Answers(_) = form.targets {
        tracing::warn!(
            "`{}` of the `{}` questions of the {source} are longer than half a window of `data.seq_len` = `{max_length}` tokens: \
             that much of the beginning of each is read",
            examples.num_cut(),
            examples.len(),
        );
        return;
    }
    if let Targets::Tags(_) = form.targets {
        tracing::warn!(
            "`{}` of the `{}` examples of the {source} hold a word of more tokens than a row of `data.seq_len` = `{max_length}` \
             has room for: the beginning of each such word is read",
            examples.num_cut(),
            examples.len(),
        );
        return;
    }
    let kept = match form.truncation.keep {
        Keep::Head => "the beginning",
        Keep::Tail => "the end",
        Keep::HeadTail => "the beginning and the end",
    };
    if let Targets::Choices = form.targets {
        tracing::warn!(
            "`{}` of the `{}` questions of the {source} have a choice that is longer, with what is read before it, than \
             `data.seq_len` = `{}` tokens: the longer of the two is cut until they are equally long, and then both; {kept} of \
             each is read (`task.truncation`)",
            examples.num_cut(),
            examples.len(),
            form.truncation.max_length
        );
        return;
    }
    tracing::warn!(
        "`{}` of the `{}` examples of the {source} are longer than `data.seq_len` = `{max_length}` tokens: {kept} of each is read \
         (`task.truncation`)",
        examples.num_cut(),
        examples.len(),
    );
}
