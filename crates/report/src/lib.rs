//! What a training run did, as one page.
