//! A submission to GLUE, and everything that the site would refuse.

use std::fs;
use std::io::Write;
use std::path::Path;

use nystromformer_tasks::Label;
use nystromformer_tasks::Split;
use nystromformer_tasks::glue::GlueTask;
use nystromformer_tasks::submission::{Submission, SubmissionFile, check};

fn file(task: GlueTask) -> &'static SubmissionFile {
    SubmissionFile::of(task, Split::Test).unwrap()
}

fn refused(path: &Path) -> String {
    check(path).unwrap_err().to_string()
}

#[test]
fn a_submission_is_written_filled_and_zipped() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("submission");
    let submission = Submission::new(&place).unwrap();
    let scores: Vec<Label> = (0..1_379).map(|row| Label::Value(row as f32 / 200.0 - 0.5)).collect();
    submission.write(file(GlueTask::Stsb), &scores).unwrap();
    submission.write(file(GlueTask::Rte), &vec![Label::Class(1); 3_000]).unwrap();
    assert!(refused(&place).contains("no `AX.tsv`"));
    let filled = submission.fill_missing().unwrap();
    let names: Vec<&str> = filled.iter().map(|file| file.name).collect();
    assert_eq!(names.len(), 9);
    assert!(!names.contains(&"STS-B.tsv") && !names.contains(&"RTE.tsv"), "{names:?}");
    assert!(submission.fill_missing().unwrap().is_empty());

    let rte = fs::read_to_string(place.join("RTE.tsv")).unwrap();
    assert!(rte.starts_with("index\tprediction\n0\tnot_entailment\n1\tnot_entailment\n"), "{rte}");
    assert!(rte.ends_with("\n2999\tnot_entailment\n"));
    let stsb = fs::read_to_string(place.join("STS-B.tsv")).unwrap();
    assert!(stsb.starts_with("index\tprediction\n0\t0\n") && stsb.ends_with("\n1378\t5\n"));

    check(&place).unwrap();
    let [first, second] = ["a.zip", "b.zip"].map(|name| folder.path().join(name));
    submission.zip(&first).unwrap();
    submission.zip(&second).unwrap();
    check(&first).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
}

#[test]
fn predictions_must_answer_each_example() {
    let folder = tempfile::tempdir().unwrap();
    let submission = Submission::new(folder.path()).unwrap();
    let message = submission.write(file(GlueTask::Wnli), &vec![Label::Class(0); 145]).unwrap_err();
    assert!(message.to_string().contains("`145` predictions for the `146`"), "{message}");
    let mut predictions = vec![Label::Class(0); 146];
    predictions[5] = Label::Class(2);
    let message = submission.write(file(GlueTask::Wnli), &predictions).unwrap_err().to_string();
    assert!(message.contains("WNLI.tsv:7: prediction `5` is class `2`"), "{message}");
    assert!(!folder.path().join("WNLI.tsv").exists());
}

#[test]
fn wrong_tables_are_found_before_the_zip_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("submission");
    let submission = Submission::new(&place).unwrap();
    submission.fill_missing().unwrap();
    let wnli = place.join("WNLI.tsv");
    let right = fs::read_to_string(&wnli).unwrap();
    let zip = folder.path().join("submission.zip");
    for (wrong, parts) in [
        (right.replacen("index\tprediction", "id\tlabel", 1), ["WNLI.tsv:1: ", "the header"]),
        (right.replacen("3\t0\n", "3\tentailment\n", 1), ["WNLI.tsv:5: ", "`0` or `1`"]),
        (right.replacen("\n3\t0\n", "\n4\t0\n", 1), ["WNLI.tsv:5: ", "the index `3`"]),
        (right.replace('\n', "\r\n"), ["WNLI.tsv:1: ", "\\r"]),
        (right.clone() + "146\t0\n", ["WNLI.tsv:148: ", "absent"]),
        (right.replacen("145\t0\n", "", 1), ["WNLI.tsv`", "`145` rows for the `146`"]),
        (right.trim_end().to_owned(), ["WNLI.tsv:147: ", "ends with"]),
        ("x".repeat(1_000), ["WNLI.tsv:1: ", "less than `256` bytes"]),
        (String::new(), ["WNLI.tsv`", "`0` rows"]),
    ] {
        fs::write(&wnli, wrong).unwrap();
        let message = submission.zip(&zip).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
        assert!(!zip.exists());
    }
    fs::write(&wnli, right).unwrap();
    fs::write(place.join("MNLI.tsv"), "").unwrap();
    assert!(refused(&place).contains("`MNLI.tsv` is no file of a submission"));
}

#[test]
fn wrong_zips_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("submission.zip");
    fs::write(&zip, "not a zip").unwrap();
    assert!(refused(&zip).contains("not a readable zip"));
    let write = |entries: &[(&str, &str)]| {
        let mut writer = zip::ZipWriter::new(fs::File::create(&zip).unwrap());
        for (name, content) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
    };
    write(&[("submission/AX.tsv", "")]);
    assert!(refused(&zip).contains("`submission/AX.tsv` is no file"));
    write(&[("CoLA.tsv", "")]);
    assert!(refused(&zip).contains("no `AX.tsv`"));
    write(&[("AX.tsv", "index\tprediction\n0\t1\n")]);
    assert!(refused(&zip).contains("AX.tsv:2: "));
    assert!(check(&folder.path().join("nowhere")).is_err());
}
