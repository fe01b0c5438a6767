//! What `train` prints when a run is complete: the result beside what it must beat, and a demonstration.

use std::{
    io::{self, Write},
    path::Path,
};

use nystromformer_data::{Objective, SAMPLE_CORPUS, sample, unigram_baseline};
use nystromformer_learner::batches::Batches;
use nystromformer_learner::corpus_batches::CorpusBatches;
use nystromformer_learner::report::SeriesSummary;
use nystromformer_learner::trainer::{Session, TrainOutput};
use nystromformer_pipelines::{FillMask, Pipeline, Text};

use crate::{failure, output};

/// The sentence of the published model's card; France is among the held-out countries of the sample.
const SHOWN_COUNTRY: &str = "france";

/// Prints the report on stdout.
///
/// # Errors
/// If the model that was saved last cannot be read, or stdout is gone.
pub fn print(session: &Session, outcome: &TrainOutput, model: &Path) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let summary = &outcome.summary;
    writeln!(
        out,
        "{} steps in {}, {:.0} tokens/s, peak memory {:.2} GB",
        summary.steps,
        duration(summary.wall_seconds),
        summary.tokens_per_second,
        summary.peak_rss_bytes as f64 / 1e9,
    )?;
    let predicts_tokens = session.experiment().data.objective != Objective::Distill;
    if let (Some(evaluation), false) = (&summary.final_evaluation, predicts_tokens) {
        write!(out, "held-out loss {:.4}", evaluation.loss)?;
        for (name, value) in &evaluation.metrics {
            write!(out, ", {name} {value:.4}")?;
        }
        writeln!(out)?;
    } else if let (Some(evaluation), Batches::Corpus(batches)) =
        (&summary.final_evaluation, session.data())
    {
        let data = batches.data();
        let trainer = &session.experiment().trainer;
        let all = data.validation.len();
        let examples = match trainer.eval_examples {
            0 => all,
            most => all.min(most),
        };
        let baseline = unigram_baseline(
            &data.tokenizer,
            batches.batcher(),
            &data.train,
            &data.validation,
            examples,
        )?;
        writeln!(
            out,
            "held-out loss {:.4} (unigram baseline {:.4}), masked accuracy {:.1} % (baseline {:.1} %)",
            evaluation.metric("mlm_loss").unwrap_or(evaluation.loss),
            baseline.loss,
            100.0 * evaluation.metric("accuracy").unwrap_or(f64::NAN),
            100.0 * baseline.accuracy,
        )?;
        if let (Some(loss), Some(accuracy)) =
            (evaluation.metric("sop_loss"), evaluation.metric("sop_accuracy"))
        {
            writeln!(out, "sentence order: loss {loss:.4}, accuracy {:.1} %", 100.0 * accuracy)?;
        }
    }
    if let Batches::Corpus(batches) = session.data()
        && predicts_tokens
        && session.experiment().data.corpus == SAMPLE_CORPUS
        && let Err(error) = demonstrate(session, batches, model, &mut out)
    {
        // The run is complete and saved; a model too small for the questions is no failure of it.
        output::note(&format!("no demonstration: {}", failure::message(&error)));
    }
    for (split, evaluation) in summary.best_model.iter().flat_map(|verdict| &verdict.evaluations) {
        match evaluation.loss {
            loss if loss.is_nan() => write!(out, "{split}: no loss")?,
            loss => write!(out, "{split}: loss {loss:.4}")?,
        }
        let constant =
            summary.best_model.as_ref().and_then(|verdict| verdict.constant_predictor.get(split));
        for (name, value) in &evaluation.metrics {
            write!(out, ", {name} {value:.4}")?;
            if let Some(constant) = constant.and_then(|constant| constant.get(name)) {
                write!(out, " (constant predictor {constant:.4})")?;
            }
        }
        writeln!(out)?;
    }
    if let Some(best) = &summary.best_evaluation {
        let (step, loss) = (best.step, best.loss);
        match &summary.best_model {
            Some(verdict) => {
                let (step, rule) = (verdict.step, &verdict.chosen_by);
                writeln!(out, "model: {} (step {step}: {rule})", model.display())?;
            }
            None => {
                writeln!(out, "model: {} (best: step {step}, loss {loss:.4})", model.display())?;
            }
        }
    } else {
        writeln!(out, "model: {}", model.display())?;
    }
    Ok(())
}

/// Prints mean and deviation over the runs of a series on stdout.
///
/// # Errors
/// If stdout is gone.
pub fn print_series(summary: &SeriesSummary) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (split, metrics) in &summary.statistics {
        write!(out, "{split}, {}:", summary.extent())?;
        for (name, statistics) in metrics {
            write!(out, " {name} {statistics}")?;
        }
        writeln!(out)?;
    }
    let fold = match summary.best_fold {
        0 => String::new(),
        fold => format!(", fold {fold}"),
    };
    let rule = match summary.chosen_by.as_str() {
        "" => String::new(),
        rule => format!(" ({rule})"),
    };
    writeln!(out, "best seed: {}{fold}{rule}", summary.best_seed)?;
    for (split, metric, members) in summary.undefined() {
        let runs: Vec<String> = members.into_iter().map(|member| member.to_string()).collect();
        output::note(&format!(
            "note: {split} {metric} has no mean, since it is not defined in {}",
            runs.join(", ")
        ));
    }
    Ok(())
}

/// Asks for the capitals of the held-out countries, whose sentences of that form training never showed.
fn demonstrate(
    session: &Session,
    batches: &CorpusBatches,
    model: &Path,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let filler = FillMask::load(model, session.device())?.with_top_k(3);
    let probes = sample::probes();
    let mut right = 0;
    for probe in &probes {
        let text = probe.text.replace("[MASK]", batches.data().tokenizer.mask_token());
        let candidates = filler.answer(Text::from(text.as_str()))?.0.swap_remove(0);
        right += usize::from(candidates[0].token_str.trim() == probe.answer);
        if probe.country == SHOWN_COUNTRY {
            let shown: Vec<String> = candidates
                .iter()
                .map(|candidate| format!("{} {:.3}", candidate.token_str.trim(), candidate.score))
                .collect();
            writeln!(out, "{text}  →  {}", shown.join(", "))?;
        }
    }
    writeln!(
        out,
        "held-out countries: {right} of {} such questions answered right (no training sentence says so)",
        probes.len(),
    )?;
    Ok(())
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    let hours = minutes / 60.0;
    let days = hours / 24.0;
    match seconds {
        _ if days >= 2.0 => format!("{days:.1} days"),
        _ if hours >= 2.0 => format!("{hours:.1} h"),
        _ if minutes >= 2.0 => format!("{minutes:.1} min"),
        seconds => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_in_the_unit_that_fits() {
        assert_eq!(duration(59.6), "60 s");
        assert_eq!(duration(180.0), "3.0 min");
        assert_eq!(duration(3.0 * 3600.0), "3.0 h");
        assert_eq!(duration(10.0 * 86400.0), "10.0 days");
    }
}
