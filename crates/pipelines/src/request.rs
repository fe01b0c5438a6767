//! What the pipelines are asked.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// A field of a request, and a column that it may stand in.
pub type Named = (&'static str, &'static str);

/// Where a text alone may stand.
const TEXTS: &[&[Named]] = &[
    &[("text", "text")],
    &[("text", "sentence")],
    &[("text", "sentence1")],
    &[("text", "review")],
    &[("text", "content")],
    &[("text", "document")],
    &[("text", "comment")],
    &[("text", "tweet")],
    &[("text", "premise")],
];

/// A request that a line of a file can hold.
pub trait Request: DeserializeOwned + Send + Sync {
    /// What a line of JSON must be; further keys are allowed and not read.
    const FORM: &'static str;

    /// Where its fields are found in a table, or in objects that were written for something else: ways to name them, the
    /// first that fits is taken. In each the first field must be there; a column that ends in `#` is one for each of the numbers
    /// from 0 or 1 on.
    const COLUMNS: &'static [&'static [Named]];

    /// The request that a line of plain text is; `None` if it takes more than a text.
    fn from_text(text: String) -> Option<Self>;

    /// Says what is wrong with the request, although its form is right.
    ///
    /// # Errors
    /// A sentence without its subject's place, for whoever names the line.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A text.
#[derive(Debug, Clone, Deserialize)]
pub struct Text {
    /// The text.
    pub text: String,
}

impl Request for Text {
    const FORM: &'static str = r#"{"text": "…"}"#;

    const COLUMNS: &'static [&'static [Named]] = TEXTS;

    fn from_text(text: String) -> Option<Self> {
        Some(Self { text })
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

/// A text, or two texts that are classified together.
#[derive(Debug, Clone, Deserialize)]
pub struct TextPair {
    /// The text, or the first of two.
    pub text: String,
    /// The second of two.
    #[serde(default)]
    pub text_pair: Option<String>,
}

impl Request for TextPair {
    const FORM: &'static str = r#"{"text": "…"} or {"text": "…", "text_pair": "…"}"#;

    const COLUMNS: &'static [&'static [Named]] = &[
        &[("text", "text"), ("text_pair", "text_pair")],
        &[("text", "sentence1"), ("text_pair", "sentence2")],
        &[("text", "premise"), ("text_pair", "hypothesis")],
        &[("text", "question1"), ("text_pair", "question2")],
        &[("text", "text1"), ("text_pair", "text2")],
        &[("text", "sentence")],
        &[("text", "review")],
        &[("text", "content")],
        &[("text", "document")],
        &[("text", "comment")],
        &[("text", "tweet")],
    ];

    fn from_text(text: String) -> Option<Self> {
        Some(Self { text, text_pair: None })
    }
}

impl From<&str> for TextPair {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), text_pair: None }
    }
}

/// A text whose tokens are classified.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SentenceLine")]
pub enum Sentence {
    /// As it is written.
    Text(String),
    /// Split into words already. Offsets then count in the words joined by blanks.
    Words(Vec<String>),
}

impl Request for Sentence {
    const FORM: &'static str = r#"{"text": "…"} or {"tokens": ["…", …]}"#;

    const COLUMNS: &'static [&'static [Named]] = &[
        &[("text", "text")],
        &[("tokens", "tokens")],
        &[("tokens", "words")],
        &[("text", "sentence")],
        &[("text", "review")],
        &[("text", "content")],
        &[("text", "document")],
    ];

    fn from_text(text: String) -> Option<Self> {
        Some(Self::Text(text))
    }
}

#[derive(Deserialize)]
struct SentenceLine {
    text: Option<String>,
    tokens: Option<Vec<String>>,
}

impl TryFrom<SentenceLine> for Sentence {
    type Error = &'static str;

    fn try_from(line: SentenceLine) -> Result<Self, Self::Error> {
        match line {
            SentenceLine { text: Some(text), tokens: None } => Ok(Self::Text(text)),
            SentenceLine { text: None, tokens: Some(words) } => Ok(Self::Words(words)),
            SentenceLine { text: None, tokens: None } => Err("neither `text` nor `tokens`"),
            SentenceLine { .. } => Err("both `text` and `tokens`"),
        }
    }
}

/// A question, and the text that its answer is looked for in.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// The text.
    pub context: String,
    /// Whatever names the question, for its answer to carry.
    #[serde(default)]
    pub id: Option<Value>,
}

impl Request for Question {
    const FORM: &'static str = r#"{"question": "…", "context": "…"}"#;

    const COLUMNS: &'static [&'static [Named]] = &[
        &[("context", "context"), ("question", "question"), ("id", "id")],
        &[("context", "passage"), ("question", "question"), ("id", "id")],
        &[("context", "paragraph"), ("question", "question"), ("id", "id")],
    ];

    fn from_text(_: String) -> Option<Self> {
        None
    }

    fn check(&self) -> Result<(), String> {
        for (key, text) in [("question", &self.question), ("context", &self.context)] {
            if text.is_empty() {
                return Err(format!("`{key}` is empty; ask something of a text"));
            }
        }
        Ok(())
    }
}

/// A text, and others of which one goes best with it.
#[derive(Debug, Clone, Deserialize)]
pub struct Choices {
    /// The text.
    #[serde(alias = "question")]
    pub prompt: String,
    /// The others, at least one.
    pub choices: Vec<String>,
}

impl Request for Choices {
    const FORM: &'static str = r#"{"prompt": "…", "choices": ["…", …]}"#;

    const COLUMNS: &'static [&'static [Named]] = &[
        &[("choices", "choices"), ("prompt", "prompt")],
        &[("choices", "choices"), ("prompt", "question")],
        &[("choices", "choice#"), ("prompt", "prompt")],
        // COPA has both, and its `question` is whether cause or effect is asked for.
        &[("choices", "choice#"), ("prompt", "premise")],
        &[("choices", "choice#"), ("prompt", "question")],
        &[("choices", "option#"), ("prompt", "question")],
        &[("choices", "ending#"), ("prompt", "startphrase")],
        &[("choices", "ending#"), ("prompt", "ctx")],
    ];

    fn from_text(_: String) -> Option<Self> {
        None
    }

    fn check(&self) -> Result<(), String> {
        if self.choices.is_empty() {
            return Err("`choices` is empty; give at least one".to_owned());
        }
        Ok(())
    }
}
