//! `--device`, for the commands that read no experiment.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use nystromformer_learner::device::DeviceKind;

/// The device to compute on.
#[derive(Debug, Clone, clap::Args)]
pub struct DeviceArg {
    /// flex is the CPU; the others need the cargo feature of their name.
    #[arg(long, default_value = "flex", value_name = "DEVICE", value_parser = parser())]
    device: DeviceKind,
}

impl DeviceArg {
    /// The device named.
    pub fn kind(&self) -> DeviceKind {
        self.device
    }
}

/// Accepts the names that a configuration accepts.
fn parser() -> impl TypedValueParser<Value = DeviceKind> {
    let names = DeviceKind::ALL.map(DeviceKind::name);
    PossibleValuesParser::new(names).map(|name| {
        DeviceKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .expect("the parser accepts only these names")
    })
}
