//! Multiple choice: the layouts in which data sets come, and what cannot be read.

use std::fs;
use std::path::Path;

use nystromformer_tasks::{Example, Input, Label, Split, TaskConfig};

use crate::parquet_file::{self, Values};

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).unwrap();
}

/// The task `choice` on a folder or file, with further lines of `[task]`.
fn task(path: &Path, further: &str) -> TaskConfig {
    let table = format!("name = \"choice\"\npath = \"{}\"\n{further}", path.display());
    nystromformer_tasks::tasks().read(&table.parse().unwrap()).unwrap()
}

fn read(task: &TaskConfig, split: Split) -> Result<Vec<Example>, String> {
    let told = |error: nystromformer_tasks::DataError| error.to_string();
    let targets = task.targets(128).map_err(told)?;
    let examples = task.examples(split, &targets, 128).map_err(told)?.unwrap();
    examples.collect::<Result<_, _>>().map_err(told)
}

/// The training examples of a file with this content.
fn read_file(name: &str, content: &str, further: &str) -> Result<Vec<Example>, String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), name, content);
    read(&task(&folder.path().join(name), further), Split::Train)
}

fn example(id: Option<&str>, prompt: &str, choices: &[&str], label: Option<u16>) -> Example {
    let pair = |choice: &&str| {
        (!choice.is_empty()).then(|| (prompt.to_owned(), Some((*choice).to_owned())))
    };
    Example {
        row: None,
        id: id.map(str::to_owned),
        input: Input::Choices(choices.iter().map(pair).collect()),
        label: label.map(Label::Class),
    }
}

#[test]
fn layouts_of_known_data_sets_are_read() {
    for (name, content, expected) in [
        (
            "copa.jsonl",
            "{\"premise\": \"p\", \"choice1\": \"a\", \"choice2\": \"b\", \"question\": \"cause\", \"label\": 0, \"idx\": 7}\n\
             {\"premise\": \"q\", \"choice1\": \"a\", \"choice2\": \"b\", \"question\": \"effect\", \"label\": 1, \"idx\": 8}\n",
            vec![
                example(Some("7"), "p cause", &["a", "b"], Some(0)),
                example(Some("8"), "q effect", &["a", "b"], Some(1)),
            ],
        ),
        (
            "swag.csv",
            ",sent1,sent2,ending0,ending1,ending2,ending3,label\n0,\"A man, alone.\",He,runs.,sits.,eats.,sings.,2\n\
             1,B.,,c,d,e,f,0\n",
            vec![
                example(
                    None,
                    "A man, alone.",
                    &["He runs.", "He sits.", "He eats.", "He sings."],
                    Some(2),
                ),
                example(None, "B.", &["c", "d", "e", "f"], Some(0)),
            ],
        ),
        (
            "csqa.jsonl",
            "{\"id\": \"x\", \"question\": \"q\", \"choices\": {\"label\": [\"A\", \"B\", \"C\"], \"text\": [\"i\", \"j\", \"k\"]}, \"answerKey\": \"C\"}\n",
            vec![example(Some("x"), "q", &["i", "j", "k"], Some(2))],
        ),
        (
            "csqa_as_published.jsonl",
            "{\"answerKey\": \"B\", \"id\": \"x\", \"question\": {\"stem\": \"q\", \"choices\": [{\"label\": \"A\", \"text\": \"i\"}, \
             {\"label\": \"B\", \"text\": \"j\"}]}}\n",
            vec![example(Some("x"), "q", &["i", "j"], Some(1))],
        ),
        (
            // Choices called 1, 2, 3 in one question and A, B in the next.
            "arc.json",
            "[{\"question\": \"q\", \"choices\": {\"text\": [\"i\", \"j\", \"k\"], \"label\": [\"1\", \"2\", \"3\"]}, \"answerKey\": \"3\"},\n\
             {\"question\": \"r\", \"choices\": {\"text\": [\"l\", \"m\"], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"A\"}]",
            vec![
                example(None, "q", &["i", "j", "k"], Some(2)),
                example(None, "r", &["l", "m"], Some(0)),
            ],
        ),
        (
            "socialiqa.jsonl",
            "{\"context\": \"c\", \"question\": \"Why?\", \"answerA\": \"a\", \"answerB\": \"b\", \"answerC\": \"d\", \"correct\": \"C\"}\n",
            vec![example(None, "c", &["Why? a", "Why? b", "Why? d"], Some(2))],
        ),
        (
            "race.jsonl",
            "{\"example_id\": \"h1.txt\", \"article\": \"Long.\", \"answer\": \"B\", \"question\": \"Q _.\", \"options\": [\"a\", \"b\", \"c\", \"d\"]}\n",
            vec![example(
                Some("h1.txt"),
                "Long.",
                &["Q _. a", "Q _. b", "Q _. c", "Q _. d"],
                Some(1),
            )],
        ),
        (
            "exam.tsv",
            "Question\tA\tB\tC\tAnswer\nq\ta\tb\tc\tC\nr\td\te\t\tB\n",
            vec![
                example(None, "q", &["a", "b", "c"], Some(2)),
                example(None, "r", &["d", "e"], Some(1)),
            ],
        ),
    ] {
        assert_eq!(read_file(name, content, "").unwrap(), expected, "{name}");
    }
}

#[test]
fn parquet_is_read_with_columns_and_with_groups() {
    let folder = tempfile::tempdir().unwrap();
    let texts = |texts: [&'static str; 2]| texts.map(|text| Some(text.as_bytes()));
    let (questions, first, second) = (texts(["q", "r"]), texts(["a", "c"]), texts(["b", "d"]));
    let columns = [
        ("question", Values::Texts(&questions)),
        ("choice1", Values::Texts(&first)),
        ("choice2", Values::Texts(&second)),
        ("label", Values::Integers(&[1, 0])),
    ];
    parquet_file::write(&folder.path().join("train.parquet"), &columns);
    let expected =
        [example(None, "q", &["a", "b"], Some(1)), example(None, "r", &["c", "d"], Some(0))];
    assert_eq!(read(&task(folder.path(), ""), Split::Train).unwrap(), expected);

    let nested = folder.path().join("nested.parquet");
    let choices: &[(&str, i32)] = &[("a", 0), ("b", 0)];
    parquet_file::write_questions(&nested, &[("7", "q", "c", Some(choices))]);
    let task = task(folder.path(), "prompt = \"question\"\nchoices = \"answers.text\"");
    let targets = task.targets(128).unwrap();
    let examples = task.file_examples(&nested, &targets, 128).unwrap();
    let examples: Vec<Example> = examples.collect::<Result<_, _>>().unwrap();
    assert_eq!(examples, [example(Some("7"), "q", &["a", "b"], None)]);
}

#[test]
fn columns_are_named_by_the_config() {
    let content = "a,b,lead,x,y,z,gold\n1,2,so,u,v,w,1\n3,4,but,u,v,,2\n";
    let further = "prompt = [\"a\", \"b\"]\nquestion = \"lead\"\nchoices = [\"x\", \"y\", \"z\"]\nlabel = \"gold\"";
    let expected = [
        example(None, "1 2", &["so u", "so v", "so w"], Some(0)),
        example(None, "3 4", &["but u", "but v"], Some(1)),
    ];
    assert_eq!(read_file("a.csv", content, further).unwrap(), expected);
    // From 0 they would be others, and the second has no such choice: the key says what they are.
    let message =
        read_file("a.csv", content, &format!("{further}\nlabel_form = \"from_0\"")).unwrap_err();
    assert!(message.contains("a.csv:3: the label `2` is none of the `2` choices"), "{message}");

    // Of two equal choices a text means neither, whether the form is said or found.
    let equal = "prompt,choice1,choice2,label\np,w1,w1,w1\n";
    for form in ["", "label_form = \"text\""] {
        let message = read_file("a.csv", equal, form).unwrap_err();
        let told = "a.csv:2: the label `w1` is the text of `2` of the `2` choices";
        assert!(message.contains(told), "{message}");
    }

    let without_header = "q\tu\tv\tB\nr\tw\tx\tA\n";
    let further = "header = false\nprompt = 0\nchoices = [1, 2]\nlabel = 3";
    let expected =
        [example(None, "q", &["u", "v"], Some(1)), example(None, "r", &["w", "x"], Some(0))];
    assert_eq!(read_file("a.tsv", without_header, further).unwrap(), expected);
    let lists = "question,options,answer\nq,\"[\"\"cat\"\", \"\"dog\"\"]\",dog\n";
    let expected = [example(None, "q", &["cat", "dog"], Some(1))];
    assert_eq!(read_file("a.csv", lists, "").unwrap(), expected);
}

#[test]
fn an_empty_choice_between_others_is_no_choice_and_keeps_its_place() {
    let content = "question,A,B,C,answer\nq,a,,c,C\n";
    let expected = [example(None, "q", &["a", "", "c"], Some(2))];
    assert_eq!(read_file("a.csv", content, "").unwrap(), expected);
    let list =
        "{\"question\": \"q\", \"choices\": [null, \"b\", \"\", \"d\", \"\"], \"answer\": \"d\"}\n";
    let expected = [example(None, "q", &["", "b", "", "d"], Some(3))];
    assert_eq!(read_file("a.jsonl", list, "").unwrap(), expected);
    let message = read_file("a.csv", "question,A,B,C,answer\nq,a,,c,B\n", "").unwrap_err();
    assert!(message.contains("a.csv:2: the label `B` is none"), "{message}");
}

#[test]
fn labels_of_all_splits_are_what_those_of_training_are_and_a_test_set_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    let row =
        |label: &str| format!("{{\"question\": \"q\", \"choices\": [\"a\", \"b\"]{label}}}\n");
    write(folder.path(), "train.jsonl", row(", \"label\": 1") + &row(", \"label\": 2"));
    write(folder.path(), "dev.jsonl", row(", \"label\": 1"));
    write(folder.path(), "test.jsonl", row("") + &row(", \"label\": -1"));
    let task = task(folder.path(), "");
    let labels = |split| -> Vec<Option<Label>> {
        read(&task, split).unwrap().into_iter().map(|example| example.label).collect()
    };
    assert_eq!(labels(Split::Train), [Some(Label::Class(0)), Some(Label::Class(1))]);
    assert_eq!(labels(Split::Validation), [Some(Label::Class(0))]);
    assert_eq!(labels(Split::Test), [None, None]);
    write(folder.path(), "dev.jsonl", row(", \"label\": null"));
    let message = read(&task, Split::Validation).unwrap_err();
    assert!(message.contains("dev.jsonl:1: there is no label"), "{message}");
}

#[test]
fn what_is_malformed_is_told_with_file_and_line() {
    let good = "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"label\": 0}\n";
    for (further, content, parts) in [
        ("", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"", ["not JSON", "a.jsonl:2"]),
        (
            "",
            "{\"question\": null, \"choices\": [\"a\", \"b\"], \"label\": 0}",
            ["a.jsonl:2", "`question` is missing"],
        ),
        ("", "{\"question\": \"q\", \"choices\": [], \"label\": 0}", ["a.jsonl:2", "no choices"]),
        (
            "",
            "{\"question\": \"q\", \"choices\": [\"a\"], \"label\": 0}",
            ["a.jsonl:2", "at least two choices"],
        ),
        (
            "",
            "{\"question\": \"q\", \"choices\": \"a\", \"label\": 0}",
            ["a.jsonl:2", "must be a list of choices"],
        ),
        (
            "",
            "{\"question\": \"q\", \"choices\": [[\"a\"], \"b\"], \"label\": 0}",
            ["a.jsonl:2", "`choices` is a list, and no text"],
        ),
        (
            "",
            "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"label\": 2}",
            ["a.jsonl:2", "the label `2`"],
        ),
        (
            "",
            "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"label\": [0]}",
            ["a.jsonl:2", "the label is a list"],
        ),
        (
            "max_choices = 2",
            "{\"question\": \"q\", \"choices\": [\"a\", \"b\", \"c\"], \"label\": 0}",
            ["a.jsonl:2", "`task.max_choices` is `2`"],
        ),
        ("label = \"gold\"", "", ["a.jsonl:1", "no column `gold`"]),
        ("prompt = \"quest\"", "", ["a.jsonl:1", "no column `quest`"]),
    ] {
        let message = read_file("a.jsonl", &format!("{good}{content}"), further).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn a_row_without_end_is_refused_before_it_is_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let long = format!("{{\"question\": \"q\", \"choices\": [\"a\", \"{}", "b".repeat(2 << 20));
    write(folder.path(), "a.jsonl", long);
    let message = read(&task(&path, "max_line_bytes = 1048576"), Split::Train).unwrap_err();
    assert!(message.contains("a.jsonl:1: longer than"), "{message}");

    let many = vec!["\"x\""; 1_000_000].join(",");
    write(
        folder.path(),
        "a.jsonl",
        format!("{{\"question\": \"q\", \"choices\": [{many}], \"label\": 0}}\n"),
    );
    let message = read(&task(&path, ""), Split::Train).unwrap_err();
    assert!(message.contains("a.jsonl:1") && message.contains("`1000000` choices"), "{message}");
}

#[test]
fn a_file_alone_is_read_with_labels_or_without() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "new.csv", "question,choice1,choice2\nq,a,b\n");
    let task = task(&folder.path().join("gone"), "");
    let targets = task.targets(128).unwrap();
    let examples = task.file_examples(&folder.path().join("new.csv"), &targets, 128).unwrap();
    let examples: Vec<Example> = examples.collect::<Result<_, _>>().unwrap();
    assert_eq!(examples, [example(None, "q", &["a", "b"], None)]);
    // Labels that cannot be read are none, for none is needed.
    let rows = "question,choice1,choice2,label\nq,a,b,1\nr,c,d,unknown\n";
    write(folder.path(), "new.csv", rows);
    let examples = task.file_examples(&folder.path().join("new.csv"), &targets, 128).unwrap();
    let examples: Vec<Example> = examples.collect::<Result<_, _>>().unwrap();
    let expected =
        [example(None, "q", &["a", "b"], Some(1)), example(None, "r", &["c", "d"], None)];
    assert_eq!(examples, expected);
}

#[test]
fn keys_that_cannot_be_are_refused() {
    for (further, part) in [
        ("max_choices = 1", "`task.max_choices` is `1`"),
        ("header = false", "`task.header`"),
        ("prompt = 0", "`task.prompt` is `0`"),
        ("choices = []", "`task.choices` is `[]`"),
    ] {
        let problems = task(Path::new("x"), further).problems();
        assert!(problems.iter().any(|problem| problem.to_string().contains(part)), "{problems:?}");
    }
}
