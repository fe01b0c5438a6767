//! The model card: `README.md` of an exported folder.

use std::fmt;

use nystromformer::{Architecture, NystromformerConfig};

/// What a model card says. Its `Display` is the file: YAML front matter, then Markdown.
#[derive(Debug, Clone, Copy)]
pub struct ModelCard<'model> {
    /// Title.
    pub name: &'model str,
    /// The model's class.
    pub architecture: Architecture,
    /// The exported configuration.
    pub config: &'model NystromformerConfig,
    /// Tokens that transformers needs every input to have, unless any length will do.
    pub fixed_len: Option<usize>,
    /// Whether the folder holds a tokenizer.
    pub has_tokenizer: bool,
    /// What transformers computes differently.
    pub notes: &'model [String],
}

impl fmt::Display for ModelCard<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, architecture, config, .. } = self;
        writeln!(
            formatter,
            "---\nlibrary_name: transformers\npipeline_tag: {task}\ntags:\n- nystromformer\n\
             - {task}\n- burn\n---\n\n# {name}\n\n\
             A [Nyströmformer](https://arxiv.org/abs/2102.03902) ({architecture}) trained in Rust on \
             [Burn](https://burn.dev).\n",
            task = architecture.pipeline_tag(),
        )?;

        writeln!(formatter, "| | |\n|---|---|")?;
        for (key, value) in [
            ("vocab_size", config.vocab_size),
            ("hidden_size", config.hidden_size),
            ("num_hidden_layers", config.num_hidden_layers),
            ("num_attention_heads", config.num_attention_heads),
            ("intermediate_size", config.intermediate_size),
            ("max_position_embeddings", config.max_position_embeddings),
            ("num_landmarks", config.num_landmarks),
            ("segment_means_seq_len", config.segment_means_seq_len),
            ("conv_kernel_size", config.conv_kernel_size),
        ] {
            writeln!(formatter, "| {key} | {value} |")?;
        }

        writeln!(formatter, "\n## Use\n\n```python")?;
        self.write_example(formatter)?;
        writeln!(formatter, "```")?;

        if !self.notes.is_empty() {
            writeln!(formatter, "\n## Where transformers differs from training\n")?;
            for note in self.notes {
                writeln!(formatter, "- {note}")?;
            }
        }
        Ok(())
    }
}

impl ModelCard<'_> {
    fn write_example(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, auto_class) = (self.name, self.architecture.auto_class());
        if !self.has_tokenizer {
            return writeln!(
                formatter,
                "from transformers import {auto_class}\n\n\
                 model = {auto_class}.from_pretrained(\"{name}\")"
            );
        }
        let length = match self.fixed_len {
            Some(length) => format!("padding=\"max_length\", max_length={length}"),
            None => format!("max_length={}", self.config.max_position_embeddings),
        };
        writeln!(
            formatter,
            "from transformers import {auto_class}, AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained(\"{name}\")\n\
             model = {auto_class}.from_pretrained(\"{name}\")\n\n\
             text = f\"paris is the {{tokenizer.mask_token}} of france.\"\n\
             inputs = tokenizer(text, truncation=True, {length}, return_tensors=\"pt\")\n\
             logits = model(**inputs).logits\n\
             masked = inputs.input_ids == tokenizer.mask_token_id\n\
             print(tokenizer.decode(logits[masked].argmax(-1)))"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_has_front_matter_lengths_and_notes() {
        let config = NystromformerConfig { segment_means_seq_len: 512, ..Default::default() };
        let notes = ["Padding differs.".to_owned()];
        let card = ModelCard {
            name: "mlm512",
            architecture: Architecture::MaskedLm,
            config: &config,
            fixed_len: Some(512),
            has_tokenizer: true,
            notes: &notes,
        };
        let text = card.to_string();
        assert!(text.starts_with("---\nlibrary_name: transformers\npipeline_tag: fill-mask\n"));
        assert!(text.contains("\n---\n\n# mlm512\n"));
        assert!(text.contains("padding=\"max_length\", max_length=512"));
        assert!(text.contains("| segment_means_seq_len | 512 |"));
        assert!(text.ends_with("differs from training\n\n- Padding differs.\n"));

        let bare = ModelCard { has_tokenizer: false, notes: &[], ..card }.to_string();
        assert!(!bare.contains("AutoTokenizer") && !bare.contains("differs"));
    }
}
