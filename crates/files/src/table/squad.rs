//! `SQuAD`'s nesting: articles hold paragraphs, and those a context with questions.

use std::vec::IntoIter;

use serde_json::{Map, Value};

use super::json_object::JsonObject;

/// The questions of an article, one after the other, each with `context`, the article's `title`, and its own keys (`id`,
/// `question`, `answers` …). Only one of them has a copy of its context at a time.
pub(super) struct Article {
    line: u64,
    title: Option<Value>,
    paragraphs: IntoIter<Value>,
    /// The context of the paragraph that is read.
    context: Value,
    questions: IntoIter<Value>,
}

impl Article {
    /// The article that an object is: one with `paragraphs`, whose first has `qas`. Another is given back.
    pub(super) fn of(mut object: JsonObject) -> Result<Self, JsonObject> {
        let is_article =
            object.fields.get("paragraphs").and_then(Value::as_array).is_some_and(|paragraphs| {
                paragraphs.first().is_none_or(|first| first["qas"].is_array())
            });
        if !is_article {
            return Err(object);
        }
        let paragraphs = match object.fields.remove("paragraphs") {
            Some(Value::Array(paragraphs)) => paragraphs,
            _ => Vec::new(),
        };
        Ok(Self {
            line: object.line,
            title: object.fields.remove("title"),
            paragraphs: paragraphs.into_iter(),
            context: Value::Null,
            questions: Vec::new().into_iter(),
        })
    }

    /// The line that the article begins at.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next question; an error says which part of the article is none.
    pub(super) fn next(&mut self) -> Option<Result<JsonObject, String>> {
        loop {
            if let Some(question) = self.questions.next() {
                let Value::Object(fields) = question else {
                    return Some(Err(self.problem("a question in `qas` is no object")));
                };
                return Some(Ok(self.whole(fields)));
            }
            let mut paragraph = self.paragraphs.next()?;
            let mut take = |key| paragraph.get_mut(key).map(Value::take);
            match (take("context"), take("qas")) {
                (Some(context @ Value::String(_)), Some(Value::Array(questions))) => {
                    self.context = context;
                    self.questions = questions.into_iter();
                }
                (Some(Value::String(_)), _) => {
                    return Some(Err(self.problem("a paragraph has no list `qas`")));
                }
                _ => return Some(Err(self.problem("a paragraph has no text `context`"))),
            }
        }
    }

    fn whole(&self, mut fields: Map<String, Value>) -> JsonObject {
        fields.insert("context".to_owned(), self.context.clone());
        if let Some(title) = &self.title {
            fields.insert("title".to_owned(), title.clone());
        }
        JsonObject { line: self.line, fields }
    }

    fn problem(&self, what: &str) -> String {
        match &self.title {
            Some(Value::String(title)) => format!("{what} (in the article `{title}`)"),
            _ => what.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> JsonObject {
        let Value::Object(fields) = value else { panic!("{value}") };
        JsonObject { line: 3, fields }
    }

    fn questions(value: Value) -> Result<Vec<JsonObject>, String> {
        let mut article = Article::of(object(value)).expect("it is an article");
        std::iter::from_fn(|| article.next()).collect()
    }

    #[test]
    fn articles_give_their_questions() {
        let article = json!({"title": "T", "paragraphs": [
            {"context": "c", "qas": [{"id": "1", "question": "q"}, {"id": "2", "question": "r"}]},
            {"context": "d", "qas": []},
        ]});
        let questions = questions(article).unwrap();
        assert_eq!(questions.len(), 2);
        let expected = json!({"id": "2", "question": "r", "context": "c", "title": "T"});
        assert_eq!(questions[1], object(expected));
    }

    #[test]
    fn other_objects_are_given_back() {
        for other in [json!({"paragraphs": "some"}), json!({"paragraphs": [{"text": "x"}]})] {
            assert_eq!(Article::of(object(other.clone())).err(), Some(object(other)));
        }
    }

    #[test]
    fn what_is_wrong_within_an_article_is_told() {
        let first = json!({"context": "c", "qas": []});
        for (paragraph, part) in [
            (json!({"qas": []}), "no text `context`"),
            (json!({"context": 5, "qas": []}), "no text `context`"),
            (json!({"context": "c"}), "no list `qas`"),
            (json!({"context": "c", "qas": ["q"]}), "is no object"),
            (json!(7), "no text `context`"),
        ] {
            let article = json!({"title": "T", "paragraphs": [first, paragraph]});
            let problem = questions(article).unwrap_err();
            assert!(problem.contains(part) && problem.contains("`T`"), "{problem}");
        }
    }
}
