//! `SQuAD`'s nesting: articles hold paragraphs, and those a context with questions.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::json_object::JsonObject;

/// The questions of an article, each with `context`, the article's `title`, and its own keys (`id`, `question`, `answers` …);
/// `None` if the object is no article.
pub(super) fn questions(object: &JsonObject) -> Option<VecDeque<JsonObject>> {
    let paragraphs = object.fields.get("paragraphs")?.as_array()?;
    let mut questions = VecDeque::new();
    for paragraph in paragraphs {
        let context = paragraph.get("context")?;
        for question in paragraph.get("qas")?.as_array()? {
            let mut fields: Map<String, Value> = question.as_object()?.clone();
            fields.insert("context".to_owned(), context.clone());
            if let Some(title) = object.fields.get("title") {
                fields.insert("title".to_owned(), title.clone());
            }
            questions.push_back(JsonObject { line: object.line, fields });
        }
    }
    Some(questions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> JsonObject {
        let Value::Object(fields) = value else { panic!("{value}") };
        JsonObject { line: 3, fields }
    }

    #[test]
    fn articles_give_their_questions() {
        let article = json!({"title": "T", "paragraphs": [
            {"context": "c", "qas": [{"id": "1", "question": "q"}, {"id": "2", "question": "r"}]},
            {"context": "d", "qas": []},
        ]});
        let questions = questions(&object(article)).unwrap();
        assert_eq!(questions.len(), 2);
        let expected = json!({"id": "2", "question": "r", "context": "c", "title": "T"});
        assert_eq!(questions[1], object(expected));
        assert!(super::questions(&object(json!({"paragraphs": "some"}))).is_none());
        assert!(super::questions(&object(json!({"paragraphs": [{"text": "x"}]}))).is_none());
    }
}
