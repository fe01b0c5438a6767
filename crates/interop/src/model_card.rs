//! The model card: `README.md` of an exported folder.

use std::{collections::BTreeMap, fmt};

use nystromformer::{ClassInfo, NystromformerConfig};

/// The training that weights came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainingFacts {
    /// What it was trained on, as its configuration names it.
    pub data: String,
    /// Optimizer steps.
    pub steps: usize,
    /// Tokens seen, padding not counted.
    pub tokens: u64,
    /// What was measured on held-out data, by name.
    pub metrics: BTreeMap<String, f64>,
    /// The scores from which on a label applies, or a question has no answer, by name, where they were chosen on held-out data.
    pub thresholds: BTreeMap<String, f64>,
    /// Settings to train it again with, by their keys in the configuration.
    pub settings: BTreeMap<String, String>,
}

/// Where weights come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'model> {
    /// A training here.
    Trained(&'model TrainingFacts),
    /// A checkpoint of another family.
    Imported(&'static str),
    /// A folder that says nothing of it.
    Unknown,
}

/// Most labels that a card lists.
const LISTED_LABELS: usize = 20;

/// What a model card says. Its `Display` is the file: YAML front matter, then Markdown.
#[derive(Debug, Clone, Copy)]
pub struct ModelCard<'model> {
    /// Title.
    pub name: &'model str,
    /// The model's class.
    pub class: &'model ClassInfo,
    /// The exported configuration.
    pub config: &'model NystromformerConfig,
    /// Tokens that transformers needs every input to have, unless any length will do.
    pub fixed_len: Option<usize>,
    /// Tokens of the longest text that the model trained on, if that is known.
    pub trained_len: Option<usize>,
    /// Whether the folder holds a tokenizer.
    pub has_tokenizer: bool,
    /// Whether the folder holds the modeling file of the `paper` semantics.
    pub has_modeling_file: bool,
    /// Where the weights come from.
    pub origin: Origin<'model>,
    /// What transformers computes differently.
    pub notes: &'model [String],
}

impl fmt::Display for ModelCard<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, class, .. } = self;
        let class = class.name;
        self.write_front_matter(formatter)?;
        let burn = "[Burn](https://burn.dev)";
        let origin = match self.origin {
            Origin::Trained(_) => format!("trained in Rust on {burn}"),
            Origin::Imported(family) => {
                format!("made of a checkpoint of {family} in Rust on {burn}, and not trained since")
            }
            Origin::Unknown => format!("written in Rust on {burn}"),
        };
        writeln!(
            formatter,
            "\n# {}\n\nA [Nyströmformer](https://arxiv.org/abs/2102.03902) (`{class}`), {origin}.\n",
            one_line(name)
        )?;
        self.write_sizes(formatter)?;
        if let Origin::Trained(training) = self.origin {
            write_training(training, formatter)?;
        }
        writeln!(formatter, "\n## Use\n\n```python")?;
        self.write_example(formatter)?;
        writeln!(formatter, "```")?;

        if !self.notes.is_empty() {
            writeln!(formatter, "\n## What transformers computes\n")?;
            for note in self.notes {
                writeln!(formatter, "- {note}")?;
            }
        }
        Ok(())
    }
}

impl ModelCard<'_> {
    /// What the Hugging Face Hub reads.
    fn write_front_matter(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.class.pipeline_tag;
        writeln!(
            formatter,
            "---\nlibrary_name: transformers\npipeline_tag: {task}\ntags:\n- nystromformer\n- {task}\n- burn"
        )?;
        if let Origin::Trained(TrainingFacts { data, metrics, .. }) = self.origin {
            // The Hub takes no result without a number.
            let finite: Vec<_> = metrics.iter().filter(|(_, value)| value.is_finite()).collect();
            if !finite.is_empty() {
                let (name, data) = (quoted(self.name), quoted(data));
                writeln!(
                    formatter,
                    "model-index:\n- name: {name}\n  results:\n  - task:\n      type: {task}\n    dataset:\n      \
                     name: {data}\n      type: {data}\n      split: validation\n    metrics:"
                )?;
            }
            for (metric, value) in finite {
                writeln!(formatter, "    - type: {metric}\n      value: {value}")?;
            }
        }
        writeln!(formatter, "---")
    }

    fn write_sizes(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        writeln!(formatter, "| | |\n|---|---|")?;
        for (key, value) in [
            ("vocab_size", config.embeddings.vocab_size),
            ("hidden_size", config.shared.hidden_size),
            ("num_hidden_layers", config.encoder.num_hidden_layers),
            ("num_attention_heads", config.shared.num_attention_heads),
            ("intermediate_size", config.feed_forward.intermediate_size),
            ("max_position_embeddings", config.embeddings.max_position_embeddings),
            ("num_landmarks", config.attention.nystrom.num_landmarks),
            ("segment_means_seq_len", config.attention.nystrom.segment_means_seq_len),
            ("conv_kernel_size", config.attention.convolution.conv_kernel_size),
        ] {
            writeln!(formatter, "| {key} | {value} |")?;
        }
        writeln!(formatter, "| attention | {} |", config.attention.kind.name())?;
        if self.class.has_labels() {
            let names = config.classifier.id2label.names();
            let listed: Vec<String> =
                names.iter().take(LISTED_LABELS).map(|name| one_line(name)).collect();
            let more = if names.len() > LISTED_LABELS { ", …" } else { "" };
            writeln!(formatter, "| labels ({}) | {}{more} |", names.len(), listed.join(", "))?;
        }
        Ok(())
    }

    fn write_example(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, auto_class) = (quoted(self.name), self.class.auto_class);
        let trust = if self.has_modeling_file { ", trust_remote_code=True" } else { "" };
        let model = format!("model = {auto_class}.from_pretrained({name}{trust})");
        if !self.has_tokenizer {
            return writeln!(formatter, "from transformers import {auto_class}\n\n{model}");
        }
        let most = self.config.embeddings.max_position_embeddings;
        let length = match self.fixed_len.filter(|_| !self.has_modeling_file) {
            Some(length) => format!("padding=\"max_length\", max_length={length}"),
            None => format!("max_length={}", self.trained_len.unwrap_or(most).min(most)),
        };
        let (text, answer) = self.example_lines();
        writeln!(
            formatter,
            "from transformers import {auto_class}, AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained({name})\n{model}\n\n\
             inputs = tokenizer({text}, truncation=True, {length}, return_tensors=\"pt\")\n{answer}"
        )
    }

    /// What the example reads, and what it does with the answer.
    fn example_lines(&self) -> (&'static str, &'static str) {
        let tag = self.class.pipeline_tag;
        let example = EXAMPLES.iter().find(|(of_tag, ..)| *of_tag == tag);
        example.map_or(("\"a text\"", "print(model(**inputs))"), |(_, text, answer)| (text, answer))
    }
}

/// Of each task on the Hugging Face Hub what an example reads, and what it does with the answer.
const EXAMPLES: [(&str, &str, &str); 6] = [
    ("feature-extraction", "\"a text\"", "print(model(**inputs).last_hidden_state.shape)"),
    (
        "fill-mask",
        "f\"paris is the {tokenizer.mask_token} of france.\"",
        "logits = model(**inputs).logits\n\
         masked = inputs.input_ids == tokenizer.mask_token_id\n\
         print(tokenizer.decode(logits[masked].argmax(-1)))",
    ),
    (
        "text-classification",
        "\"a text\"",
        "print(model.config.id2label[model(**inputs).logits.argmax(-1).item()])",
    ),
    (
        "multiple-choice",
        "[\"a question\"] * 2, [\"one answer\", \"another\"]",
        "inputs = {name: rows[None] for name, rows in inputs.items()}\n\
         print(model(**inputs).logits.argmax(-1).item())",
    ),
    (
        "token-classification",
        "\"a text\"",
        "classes = model(**inputs).logits.argmax(-1)[0]\n\
         print([model.config.id2label[label.item()] for label in classes])",
    ),
    (
        "question-answering",
        "\"a question\", \"a text with the answer\"",
        "outputs = model(**inputs)\n\
         first, last = outputs.start_logits.argmax(), outputs.end_logits.argmax()\n\
         print(tokenizer.decode(inputs.input_ids[0, first : last + 1]))",
    ),
];

fn write_training(training: &TrainingFacts, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let TrainingFacts { data, steps, tokens, metrics, thresholds, settings } = training;
    writeln!(
        formatter,
        "\n## Training\n\nTrained on `{}` for {steps} steps ({tokens} tokens).\n",
        one_line(data)
    )?;
    if !metrics.is_empty() {
        writeln!(formatter, "| held out | |\n|---|---|")?;
        for (metric, value) in metrics {
            writeln!(formatter, "| {metric} | {value:.4} |")?;
        }
        writeln!(formatter)?;
    }
    if !thresholds.is_empty() {
        writeln!(
            formatter,
            "`config.json` has no place for thresholds. Those that were chosen on held-out data, and that its metrics go by:\n"
        )?;
        writeln!(formatter, "| threshold | |\n|---|---|")?;
        for (name, value) in thresholds {
            writeln!(formatter, "| {} | {value} |", one_line(name))?;
        }
        writeln!(formatter)?;
    }
    writeln!(formatter, "| setting | |\n|---|---|")?;
    for (key, value) in settings {
        writeln!(formatter, "| {key} | {} |", one_line(value))?;
    }
    Ok(())
}

/// A text that stays in its line and in its cell of a table.
fn one_line(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as YAML and Python read it back, whatever is in it: a JSON string is one of theirs.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use nystromformer::{Architecture, Labels};

    use super::*;

    #[test]
    fn the_card_has_front_matter_lengths_and_notes() {
        let config = NystromformerConfig::default()
            .with(|config| config.attention.nystrom.segment_means_seq_len = 512);
        let notes = ["Padding differs.".to_owned()];
        let training = TrainingFacts {
            data: "my \"corpus\"".into(),
            steps: 7,
            metrics: BTreeMap::from([("loss".into(), 2.5), ("perplexity".into(), f64::INFINITY)]),
            thresholds: BTreeMap::from([("toxic".into(), 0.25)]),
            settings: BTreeMap::from([("seed".into(), "3".into())]),
            ..TrainingFacts::default()
        };
        let card = ModelCard {
            name: "mlm512",
            class: Architecture::MaskedLm.class(),
            config: &config,
            fixed_len: Some(512),
            trained_len: None,
            has_tokenizer: true,
            has_modeling_file: false,
            origin: Origin::Trained(&training),
            notes: &notes,
        };
        let text = card.to_string();
        assert!(text.starts_with("---\nlibrary_name: transformers\npipeline_tag: fill-mask\n"));
        assert!(text.contains("      name: \"my \\\"corpus\\\"\"\n"), "{text}");
        assert!(text.contains("    - type: loss\n      value: 2.5\n---\n\n# mlm512\n"), "{text}");
        assert!(text.contains("padding=\"max_length\", max_length=512"));
        assert!(text.contains("| segment_means_seq_len | 512 |"));
        assert!(text.contains("| loss | 2.5000 |") && text.contains("| seed | 3 |"));
        assert!(
            text.contains("| threshold | |\n|---|---|\n| toxic | 0.25 |\n\n| setting |"),
            "{text}"
        );
        assert!(text.ends_with("What transformers computes\n\n- Padding differs.\n"));

        let bare = ModelCard { has_tokenizer: false, notes: &[], origin: Origin::Unknown, ..card };
        let bare = ModelCard { has_modeling_file: true, ..bare }.to_string();
        assert!(!bare.contains("AutoTokenizer") && !bare.contains("What transformers"));
        assert!(bare.contains("trust_remote_code=True") && !bare.contains("model-index"));
    }

    #[test]
    fn every_class_has_an_example_of_its_task() {
        for architecture in Architecture::ALL {
            let tag = architecture.class().pipeline_tag;
            assert!(EXAMPLES.iter().any(|(of_tag, ..)| *of_tag == tag), "{architecture}: {tag}");
        }
    }

    #[test]
    fn names_and_numbers_cannot_break_the_card() {
        let labels = Labels::new(["a | b", "c\n# d"]);
        let config =
            NystromformerConfig::default().with(|config| config.classifier.id2label = labels);
        let training = TrainingFacts {
            metrics: BTreeMap::from([("loss".into(), f64::NAN)]),
            ..TrainingFacts::default()
        };
        let card = ModelCard {
            name: "q\"x",
            class: Architecture::SequenceClassification.class(),
            config: &config,
            fixed_len: None,
            trained_len: Some(16),
            has_tokenizer: false,
            has_modeling_file: false,
            origin: Origin::Trained(&training),
            notes: &[],
        };
        let text = card.to_string();
        assert!(text.contains("| labels (2) | a \\| b, c # d |"), "{text}");
        assert!(text.contains("from_pretrained(\"q\\\"x\")"), "{text}");
        assert!(!text.contains("model-index"), "{text}");
        let text = ModelCard { has_tokenizer: true, ..card }.to_string();
        assert!(text.contains("truncation=True, max_length=16,"), "{text}");
    }
}
