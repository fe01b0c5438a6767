//! Somebody else's head on our encoder, and somebody else's data: of a row of ids, the share of odd ones and the mean. Ten
//! steps are the same bits as five, a stop, and five more. `cargo run --release --example custom_head`
#![expect(clippy::print_stdout, reason = "a program of the command line")]

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{ClassInfo, LinearConfig, LossTerm, NystromformerInput, PreTrainedModel};
use nystromformer::{Nystromformer, linear::Linear};
use nystromformer_learner::trainable::{TermSum, Trainable};
use nystromformer_learner::{Experiment, Result, examples::Examples, progress::StopAfter};
use nystromformer_learner::{stop::StopFlag, trainer::fit};

#[derive(Module, Debug)]
struct TwoNumbers {
    nystromformer: Nystromformer,
    regressor: Linear,
}

/// What is needed to write `config.json` and weights by name.
impl PreTrainedModel for TwoNumbers {
    fn class(&self) -> &'static ClassInfo {
        &ClassInfo { name: "NystromformerForTwoNumbers", ..ClassInfo::DEFAULT }
    }
    fn nystromformer(&self) -> &Nystromformer {
        &self.nystromformer
    }
    fn nystromformer_mut(&mut self) -> &mut Nystromformer {
        &mut self.nystromformer
    }
}

impl Trainable for TwoNumbers {
    type Batch = Vec<[i32; 24]>;
    type Counts = ();
    fn loss_terms(&self, rows: Self::Batch, device: &Device) -> Result<Vec<LossTerm>> {
        let data = TensorData::new(rows.concat(), [rows.len(), 24]);
        let ids = Tensor::<2, Int>::from_data(data, device);
        let odd = ids.clone().remainder_scalar(2).float().mean_dim(1);
        let numbers = Tensor::cat(vec![odd, ids.clone().float().mean_dim(1) / 100.0], 1);
        let states = self.nystromformer.forward(NystromformerInput::new(ids))?.mean_dim(1);
        let errors = self.regressor.forward(states.squeeze_dim::<2>(1)) - numbers;
        Ok(vec![LossTerm { losses: errors.square().sum_dim(1).flatten(0, 1), weight: 1.0 }])
    }
    fn metrics(&self, (): &(), terms: &[TermSum]) -> Vec<(String, f64)> {
        let rmse = |term: &TermSum| Some(("rmse".to_owned(), (term.mean()? / 2.0).sqrt()));
        terms.iter().filter_map(rmse).collect()
    }
    fn save(&self, folder: &Path) -> Result<()> {
        Ok(nystromformer_interop::save(self, folder)?)
    }
    fn load(&mut self, folder: &Path) -> Result<()> {
        Ok(nystromformer_interop::load_all_weights(self, folder)?)
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut experiment = Experiment { name: "two-numbers".to_owned(), ..Experiment::default() };
    let (shared, trainer) = (&mut experiment.model.shared, &mut experiment.trainer);
    (shared.hidden_size, shared.num_attention_heads) = (32, 2);
    (trainer.max_steps, trainer.batch_size, trainer.eval_every) = (10, 16, 5);
    let row = |index: i32| std::array::from_fn(|place| (index * (place as i32 + 7)) % 100);
    let data = Examples::new((0..64).map(row).collect(), (64..80).map(row).collect(), 0)?;
    let runs = tempfile::tempdir()?;
    let train = |name: &str, mut stop: StopAfter| -> Result<PathBuf> {
        let init = |device: &Device| {
            let regressor = LinearConfig::new(32, 2).init(device);
            Ok(TwoNumbers { nystromformer: experiment.model.init(device)?, regressor })
        };
        let (path, flag) = (runs.path().join(name), StopFlag::new());
        let run = fit(&path, &experiment, &data, &Device::flex(), init, flag, &mut stop)?;
        println!("{name}: {} steps, {:?}", run.summary.steps, run.summary.final_evaluation);
        Ok(path.join("checkpoints/step-00000010/model.safetensors"))
    };
    train("resumed", StopAfter::step(5))?;
    let [resumed, whole] = ["resumed", "whole"].map(|name| train(name, StopAfter::step(99)));
    assert!(std::fs::read(resumed?)? == std::fs::read(whole?)?, "the same weights, bit by bit");
    Ok(())
}
