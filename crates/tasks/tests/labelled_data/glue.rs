//! GLUE's two layouts, in small.

use std::fs;
use std::path::Path;

use nystromformer_tasks::Split;
use nystromformer_tasks::glue::{GlueTask, open, read};
use nystromformer_tasks::{Example, Input, Label};

use crate::parquet_file::{self, Values};

fn write(folder: &Path, file: &str, content: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn examples(task: GlueTask, folder: &Path, split: Split) -> Result<Vec<Example>, String> {
    let reader = read(task, folder, split).map_err(|error| error.to_string())?;
    reader.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn single(text: &str, label: Option<Label>) -> Example {
    Example {
        row: None,
        id: None,
        input: Input::Text { first: text.to_owned(), second: None },
        label,
    }
}

fn pair(first: &str, second: &str, label: Option<Label>) -> Example {
    let input = Input::Text { first: first.to_owned(), second: Some(second.to_owned()) };
    Example { row: None, id: None, input, label }
}

/// Reads `content` as the official file of a split, from GLUE's folder and from the task's own.
fn check(task: GlueTask, split: Split, file: &str, content: &str, expected: Example) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), file, content);
    let own_folder = folder.path().join(file).parent().unwrap().to_owned();
    for place in [folder.path(), &own_folder] {
        assert_eq!(
            examples(task, place, split).unwrap(),
            std::slice::from_ref(&expected),
            "{file}"
        );
    }
}

#[test]
fn official_files_of_single_sentences_are_read() {
    use Split::{Test, Train};
    let class = |class| Some(Label::Class(class));
    let content = "gj04\t0\t*\tHim saw.\n";
    check(GlueTask::Cola, Train, "CoLA/train.tsv", content, single("Him saw.", class(0)));
    let content = "index\tSentence\n0\tSaw.\n";
    check(GlueTask::Cola, Test, "CoLA/test.tsv", content, single("Saw.", None));
    let content = "sentence\tlabel\na \" film \t1\n";
    check(GlueTask::Sst2, Train, "SST-2/train.tsv", content, single("a \" film ", class(1)));
    let content = "index\tsentence\n0\ta\n";
    check(GlueTask::Sst2, Test, "SST-2/test.tsv", content, single("a", None));
}

#[test]
fn official_files_of_pairs_are_read() {
    use Split::{Test, Train, Validation};
    let class = |class| Some(Label::Class(class));
    let content = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\ta \" b\tc\r\n";
    check(GlueTask::Mrpc, Validation, "MRPC/dev.tsv", content, pair("a \" b", "c", class(1)));
    let content = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\ta\tc\n";
    check(GlueTask::Mrpc, Test, "MRPC/test.tsv", content, pair("a", "c", None));
    let content = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n\
                   0\tx\tx\tx\t1\tnone\tnone\ta \"b\tc\t3.800\n";
    let expected = pair("a \"b", "c", Some(Label::Value(3.8)));
    check(GlueTask::Stsb, Validation, "STS-B/dev.tsv", content, expected);
    let content = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n5\t1\t2\ta?\tb?\t0\n";
    check(GlueTask::Qqp, Validation, "QQP/dev.tsv", content, pair("a?", "b?", class(0)));
    let content = "id\tquestion1\tquestion2\n0\ta?\tb?\n";
    check(GlueTask::Qqp, Test, "QQP/test.tsv", content, pair("a?", "b?", None));
    let content = "index\tquestion\tsentence\tlabel\n0\twho?\tme\tnot_entailment\n";
    check(GlueTask::Qnli, Validation, "QNLI/dev.tsv", content, pair("who?", "me", class(1)));
    let content = "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n";
    check(GlueTask::Rte, Train, "RTE/train.tsv", content, pair("a", "b", class(0)));
    let content = "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n";
    check(GlueTask::Wnli, Train, "WNLI/train.tsv", content, pair("a", "b", class(1)));
}

#[test]
fn official_files_of_mnli_and_its_diagnostic_set_are_read() {
    use Split::{Test, TestMismatched, Train, Validation, ValidationMismatched};
    let header = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t\
                  sentence1_parse\tsentence2_parse\tsentence1\tsentence2";
    let row = "0\t1\t1n\tx\t\t\t\t\ta\tb";
    let mnli = |split, file: &str, header_end: &str, row_end: &str, label| {
        let content = format!("{header}{header_end}\n{row}{row_end}\n");
        check(GlueTask::Mnli, split, file, &content, pair("a", "b", label));
    };
    let one = "\tlabel1\tgold_label";
    mnli(Train, "MNLI/train.tsv", one, "\tneutral\tneutral", Some(Label::Class(1)));
    let five = "\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label";
    let labels = "\tneutral\t\t\t\t\tcontradiction";
    mnli(Validation, "MNLI/dev_matched.tsv", five, labels, Some(Label::Class(2)));
    mnli(ValidationMismatched, "MNLI/dev_mismatched.tsv", five, labels, Some(Label::Class(2)));
    mnli(Test, "MNLI/test_matched.tsv", "", "", None);
    mnli(TestMismatched, "MNLI/test_mismatched.tsv", "", "", None);
    let diagnostic = "index\tsentence1\tsentence2\n0\ta\tb";
    check(GlueTask::Ax, Test, "diagnostic/diagnostic.tsv", diagnostic, pair("a", "b", None));
}

#[test]
fn copies_with_the_columns_of_the_hub_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "cola/validation.csv", "sentence,label,idx\n\"Him, saw.\",0,0\n");
    let cola = examples(GlueTask::Cola, path, Split::Validation).unwrap();
    assert_eq!(cola, [single("Him, saw.", Some(Label::Class(0)))]);

    write(
        path,
        "stsb/test.jsonl",
        "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": -1.0, \"idx\": 0}\n",
    );
    let stsb = examples(GlueTask::Stsb, path, Split::Test).unwrap();
    assert_eq!(stsb, [pair("a", "b", None)]);

    fs::create_dir(path.join("mnli")).unwrap();
    for (part, premise, label) in [(0, "p", 2), (1, "q", 0)] {
        let texts: [Option<&[u8]>; 1] = [Some(premise.as_bytes())];
        let hypotheses: [Option<&[u8]>; 1] = [Some(b"h")];
        let columns = [
            ("premise", Values::Texts(&texts)),
            ("hypothesis", Values::Texts(&hypotheses)),
            ("label", Values::Integers(&[label])),
            ("idx", Values::Integers(&[0])),
        ];
        parquet_file::write(
            &path.join(format!("mnli/train-0000{part}-of-00002.parquet")),
            &columns,
        );
    }
    let mnli = examples(GlueTask::Mnli, path, Split::Train).unwrap();
    let expected = [pair("p", "h", Some(Label::Class(2))), pair("q", "h", Some(Label::Class(0)))];
    assert_eq!(mnli, expected);
}

#[test]
fn torn_rows_of_qqp_are_counted_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let content = |torn: usize| {
        let mut content = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n".to_owned();
        for _ in 0..torn {
            content += "1\t2\t3\t\"What is\n\" it?\tWhat?\t0\n";
        }
        content + "4\t5\t6\ta?\tb?\t1\n"
    };
    write(folder.path(), "QQP/train.tsv", &content(12));
    let mut reader = open(GlueTask::Qqp, folder.path(), Split::Train).unwrap();
    let read: Vec<Example> = reader.by_ref().collect::<Result<_, _>>().unwrap();
    let whole = pair("a?", "b?", Some(Label::Class(1)));
    assert_eq!(read, [Example { row: Some(24), ..whole }]);
    assert_eq!(reader.passed_over(), 24);
    write(folder.path(), "QQP/train.tsv", &content(13));
    let message = examples(GlueTask::Qqp, folder.path(), Split::Train).unwrap_err();
    assert!(message.contains("train.tsv:26: `4` columns"), "{message}");
}

#[test]
fn labels_are_checked_where_they_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tneutral\n");
    let message = examples(GlueTask::Rte, path, Split::Train).unwrap_err();
    assert!(message.contains("train.tsv:2: ") && message.contains("`neutral`"), "{message}");
    assert!(message.contains("`entailment`, `not_entailment`"), "{message}");

    write(path, "WNLI/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t-1\n");
    let message = examples(GlueTask::Wnli, path, Split::Validation).unwrap_err();
    assert!(message.contains("dev.tsv:2: `label` holds no label"), "{message}");

    write(path, "QNLI/train.tsv", "index\tquestion\tsentence\n0\ta\tb\n");
    let message = examples(GlueTask::Qnli, path, Split::Train).unwrap_err();
    assert!(message.contains("train.tsv:1: no column `label`"), "{message}");

    write(path, "STS-B/train.tsv", "sentence1\tsentence2\tscore\na\tb\t5.5\n");
    let message = examples(GlueTask::Stsb, path, Split::Train).unwrap_err();
    assert!(message.contains("train.tsv:2: ") && message.contains("`5.5`"), "{message}");
}
