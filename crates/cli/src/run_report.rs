//! What a finished run leaves for people to look at: its report, and the look into its model that the report shows.

use std::path::Path;

use nystromformer_learner::trainer::Session;
use nystromformer_report::REPORT;

use crate::{failure, output};

/// Looks into the model of a run that came to its end, and writes its report. What fails is said: the run is complete without it.
pub fn of_run(session: &Session) {
    let run = session.run().path();
    if let Err(error) = session.diagnose() {
        warn("diagnosis.json", run, &error.into());
    }
    of_directory(run);
}

/// Writes the report of all runs in a directory. What fails is said.
pub fn of_directory(run: &Path) {
    match nystromformer_report::write(&[run.to_owned()], None) {
        Ok(path) => output::note(&format!("report: {}", path.display())),
        Err(error) => warn(REPORT, run, &error.into()),
    }
}

fn warn(file: &str, run: &Path, error: &anyhow::Error) {
    output::note(&format!(
        "warning: there is no `{}`: {}; the run is complete without it",
        run.join(file).display(),
        failure::message(error)
    ));
}
