//! Experiments: TOML.

use nystromformer_learner::Experiment;

use super::read_mutants;
use crate::fixture::repository;

#[test]
fn experiments() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = ["configs/quickstart.toml", "configs/base/nystromformer.toml"];
    let seeds = seeds.map(|seed| {
        let text = std::fs::read_to_string(repository().join(seed)).unwrap();
        // The file it extends is not beside the mutants.
        let lines =
            text.lines().filter(|line| !line.starts_with("extends") && !line.starts_with('#'));
        lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
    });
    let again = folder.path().join("again.toml");
    read_mutants(&seeds, &folder.path().join("experiment.toml"), |path| {
        let loaded = Experiment::load(path, &[], &crate::known_tasks())
            .map_err(|error| error.to_string())?
            .experiment;
        // What is valid is valid again, and the same, as the resolved experiment of a run.
        std::fs::write(&again, loaded.to_toml()).unwrap();
        let reloaded = Experiment::load(&again, &[], &crate::known_tasks())
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reloaded.experiment, loaded);
        Ok(())
    });
}
