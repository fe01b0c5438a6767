//! The first steps of the quickstart's run on a GPU beside the CPU: batches, model, loss, clipping and updates are one chain.

use std::path::Path;

use nystromformer_learner::trainer::RunRequest;

/// Of a loss, relative.
const TOLERANCE: f64 = 1e-4;
const STEPS: usize = 20;

/// The losses of all steps of the quickstart's run with dropout, cut to so few that the learning rate reaches its peak at the second.
fn losses(device: &str) -> Vec<f64> {
    let directory = tempfile::tempdir().unwrap();
    let request = RunRequest {
        config: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/quickstart.toml"),
        overrides: vec![
            format!("device={device}"),
            format!("trainer.max_steps={STEPS}"),
            "model.hidden_dropout_prob=0.1".to_owned(),
            format!("data.cache_dir={}", directory.path().join("cache").display()),
            "trainer.self_check=false".to_owned(),
        ],
        run_dir: Some(directory.path().join("run")),
        resume: false,
        tasks: crate::known_tasks(),
    };
    crate::first_losses(&request, STEPS)
}

/// The same seed gives the same fresh weights, the same batches and the same masks of dropout.
#[test]
fn twenty_steps_of_the_quickstart_follow_the_cpu() {
    if !super::is_there() {
        return;
    }
    let expected = losses("flex");
    assert!(expected[STEPS - 1] < expected[0] - 0.5, "it learns: {expected:?}");
    let mut worst: f64 = 0.0;
    for (step, (loss, expected)) in losses("wgpu").into_iter().zip(&expected).enumerate() {
        let error = (loss / expected - 1.0).abs();
        assert!(error < TOLERANCE, "step {}: {loss} for {expected}", step + 1);
        worst = worst.max(error);
    }
    println!("largest difference of a loss: {worst:.1e}");
}
