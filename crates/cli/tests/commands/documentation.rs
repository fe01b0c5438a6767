//! What the README and the guides tell people to type, and where their links lead.

use std::{collections::BTreeSet, fs, path::PathBuf};

use nystromformer::{Architecture, NystromformerConfig};
use nystromformer_interop::{StorageType, write_config};
use nystromformer_learner::Experiment;

use crate::fixture::{NYSTROMFORMER, at_root, finish, repository};

/// Markdown files that are kept true. Experiments and the changelog say what was, and are left as they are.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders: Vec<_> =
        ["docs", "datasets", "tools"].map(|folder| repository().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let names = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    pages.extend(names.map(|name| repository().join(name)));
    pages.sort();
    pages
}

/// The arguments of every command of ours on the pages, subcommand first, with the page's name.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut commands = Vec::new();
    for page in pages() {
        let name = page.strip_prefix(repository()).unwrap().display().to_string();
        for line in fs::read_to_string(&page).unwrap().lines() {
            let Some((_, line)) = line.trim().split_once("cargo run --release ") else { continue };
            let Some((options, arguments)) = line.split_once(" -- ") else { continue };
            if options.contains("--example") {
                continue;
            }
            let mut arguments = words(arguments);
            if options.ends_with("--bin train") {
                arguments.insert(0, "train".to_owned());
            } else {
                assert!(options.ends_with("--bin nystromformer"), "{name}: {line}");
            }
            commands.push((name.clone(), arguments));
        }
    }
    commands
}

/// A command line as a shell splits it, without a comment at its end.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (quote, character) {
            (None, '#') if word.is_empty() => break,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_in_the_guides_are_commands() {
    let commands = commands();
    let subcommands: BTreeSet<&str> = commands.iter().map(|(_, words)| words[0].as_str()).collect();
    for subcommand in ["train", "evaluate", "predict", "export", "import", "prepare", "compare"] {
        assert!(subcommands.contains(subcommand), "no guide shows `{subcommand}`");
    }
    for (page, words) in commands.iter().filter(|(_, words)| words[0] != "COMMAND") {
        // With `--help` last, everything before it is parsed and nothing is run.
        let mut command = at_root(NYSTROMFORMER);
        command.args(words).arg("--help");
        let finished = finish(command);
        assert_eq!(finished.code, Some(0), "{page}: {words:?}: {}", finished.stderr);
    }
}

#[test]
fn experiments_in_the_guides_are_valid() {
    // What a guide writes in capitals, or makes by a command before.
    let model = tempfile::tempdir().unwrap();
    let sizes = NystromformerConfig::default()
        .with(|sizes| sizes.embeddings.max_position_embeddings = 4094);
    write_config(&sizes, Architecture::MaskedLm.class(), StorageType::F32, model.path()).unwrap();
    let place = |value: &str| {
        let stands_for_a_model = ["DIR", "longer", "nystromformer-start"].contains(&value);
        if stands_for_a_model { model.path().display().to_string() } else { value.to_owned() }
    };
    let mut loaded = 0;
    for (page, words) in commands() {
        if !["train", "prepare"].contains(&words[0].as_str()) || !words[1].starts_with("configs/") {
            continue;
        }
        let settings = words.windows(2).filter(|pair| pair[0] == "--set");
        let settings: Vec<String> = settings
            .map(|pair| {
                let (key, value) = pair[1].split_once('=').unwrap();
                format!("{key}={}", place(value))
            })
            .collect();
        let experiment =
            Experiment::load(&repository().join(&words[1]), &settings, &crate::known_tasks());
        assert!(experiment.is_ok(), "{page}: {words:?}: {}", experiment.unwrap_err());
        loaded += 1;
    }
    assert!(loaded > 15, "{loaded}");
}

#[test]
fn links_lead_somewhere() {
    let mut followed = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if link.contains("://") || file.is_empty() {
                continue;
            }
            assert!(page.parent().unwrap().join(file).exists(), "{}: {link}", page.display());
            followed += 1;
        }
    }
    assert!(followed > 20, "{followed}");
}

#[test]
fn paths_in_the_guides_exist() {
    let mut found = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for path in text.split('`').skip(1).step_by(2) {
            let is_ours = ["crates/", "configs/", "tools/", ".ci/"];
            let is_pattern = path.contains(['*', '{', '…', ' ']);
            if is_pattern || !is_ours.iter().any(|folder| path.starts_with(folder)) {
                continue;
            }
            assert!(repository().join(path).exists(), "{}: {path}", page.display());
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn every_key_of_every_task_is_in_the_configuration_guide() {
    let guide = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let tasks = crate::known_tasks();
    let of_all = tasks.keys("");
    let mut read = 0;
    for name in tasks.names() {
        let heading = format!("### `name = \"{name}\"`\n");
        let section = guide.split_once(&heading).map_or("", |(_, rest)| rest);
        let section = section.split("\n#").next().unwrap_or_default();
        for key in tasks.keys(name).difference(&of_all) {
            assert!(section.contains(&format!("| `{key}` |")), "{name}: `task.{key}`");
            read += 1;
        }
    }
    assert!(read > 60, "{read}");
}

#[test]
fn every_key_is_in_the_configuration_guide() {
    let guide = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let experiment = Experiment::default().to_toml();
    let stated = experiment.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    let stated = stated.filter(|key| key.parse::<usize>().is_err()); // a class of `id2label`
    let missing: Vec<&str> = stated
        .chain(NystromformerConfig::keys().iter().copied())
        .filter(|key| !guide.contains(&format!("`{key}`")))
        .collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?}");
}
