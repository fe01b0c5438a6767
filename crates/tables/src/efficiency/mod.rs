//! Time and memory of attention by its length: the paper's table 1.
//!
//! | file | idea |
//! |---|---|
//! | this | what is measured, and the file of measurements, which a later session goes on with |
//! | `limits` | what is left out because it would take too long or too much memory |
//! | `summary` | slopes, who is fastest, from which length on a kind beats another |
//! | `pages` | tables and curves |

mod limits;
mod pages;
mod summary;

use std::path::{Path, PathBuf};

use nystromformer::{AttentionKind, SharedConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::limits::{LeftOut, Limits, Reason};
pub use self::summary::{Beats, Fastest, Slopes, Summary};
use crate::error::{Result, TableError};
use crate::output;
use crate::variant::Variant;

/// The file of measurements.
const FILE: &str = "efficiency.json";

/// Passes before those that are measured.
pub const WARM_UP: usize = 2;

/// What all measurements of a folder have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Sequences.
    pub batch: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Landmarks of `nystrom`, and agents of `agent`, whose row names no other number.
    pub num_landmarks: usize,
    /// Taps of the convolution beside every kind; 0 for none.
    pub conv_kernel_size: usize,
    /// Whether queries, keys and values are made of hidden states, by the layer's projections.
    pub projections: bool,
    /// Passes that are measured; a time is their median.
    pub repeats: usize,
    /// The version of this program; empty in a file of one that did not say.
    #[serde(default)]
    pub version: String,
    /// What computes.
    pub device: String,
    /// The CPU's model, as the system names it; empty where it does not say.
    #[serde(default)]
    pub cpu: String,
    /// Vectors and matrix unit of the CPU.
    pub instructions: String,
    /// Threads of the CPU.
    pub threads: usize,
}

impl Settings {
    /// The sizes of a layer.
    pub fn shared(&self) -> SharedConfig {
        SharedConfig {
            hidden_size: self.heads * self.head_dim,
            num_attention_heads: self.heads,
            ..SharedConfig::default()
        }
    }

    /// A row's kind with the options that these settings give it, for sequences of `seq_len`.
    pub fn complete(&self, variant: &Variant, seq_len: usize) -> Variant {
        variant
            .clone()
            .or("num_landmarks", self.num_landmarks)
            .or("num_agents", self.num_landmarks)
            .or("linformer_seq_len", seq_len)
            .or("conv_kernel_size", self.conv_kernel_size)
    }
}

/// Rows that are measured where none are named: the paper's sizes of each kind, and ours.
pub fn usual_variants() -> Vec<Variant> {
    let rows = [
        "softmax",
        "nystrom",
        "nystrom:num_landmarks=32",
        "nystrom:pinv=solve",
        "linformer",
        "performer",
        "reformer",
        "longformer:attention_window=256",
        "linear",
        "agent",
    ];
    rows.into_iter().filter_map(|row| row.parse().ok()).collect()
}

/// Lengths that are measured where none are named.
pub const USUAL_LENGTHS: [usize; 9] = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/// What is measured by itself, in a process of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The row.
    pub variant: Variant,
    /// Tokens.
    pub seq_len: usize,
    /// Whether gradients are computed too.
    pub backward: bool,
}

/// One of them, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The row.
    pub variant: String,
    /// Tokens.
    pub seq_len: usize,
    /// Whether gradients were computed too.
    pub backward: bool,
    /// The median of the passes.
    pub seconds_median: f64,
    /// The shortest pass.
    pub seconds_min: f64,
    /// The most that the process held.
    pub peak_rss_bytes: u64,
    /// What it held with its inputs, before the first pass.
    pub rss_before_bytes: u64,
}

impl Measurement {
    /// What the passes took beyond the inputs: outputs, gradients, and all between.
    pub fn own_bytes(&self) -> u64 {
        self.peak_rss_bytes.saturating_sub(self.rss_before_bytes)
    }
}

/// `efficiency.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Efficiency {
    /// What all measurements have in common.
    pub settings: Settings,
    /// In the order in which they were made.
    pub measured: Vec<Measurement>,
    /// What was left out when it was last asked for.
    pub left_out: Vec<LeftOut>,
    /// What follows from the measurements; `None` before the end of a session.
    pub summary: Option<Summary>,
    #[serde(skip)]
    path: PathBuf,
}

impl Efficiency {
    /// The measurements in a folder, or none yet.
    ///
    /// # Errors
    /// [`TableError::OtherSettings`] if those that are there were made otherwise; [`TableError::Damaged`].
    pub fn open(folder: &Path, settings: Settings) -> Result<Self> {
        let path = folder.join(FILE);
        let Some(found) = output::read::<Self>(&path)? else {
            let (measured, left_out) = Default::default();
            return Ok(Self { settings, measured, left_out, summary: None, path });
        };
        if let Some((before, now)) = difference(&found.settings, &settings) {
            return Err(TableError::OtherSettings { path, before, now });
        }
        Ok(Self { summary: None, path, ..found })
    }

    /// Whether it is measured.
    pub fn has(&self, job: &Job) -> bool {
        let name = job.variant.to_string();
        self.find(&name, job.seq_len, job.backward).is_some()
    }

    fn find(&self, variant: &str, seq_len: usize, backward: bool) -> Option<&Measurement> {
        self.measured.iter().find(|found| {
            found.variant == variant && found.seq_len == seq_len && found.backward == backward
        })
    }

    /// Keeps a measurement, on the disk too.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn add(&mut self, measurement: Measurement) -> Result<()> {
        let Measurement { variant, seq_len, backward, .. } = &measurement;
        self.left_out.retain(|found| !found.is_of(variant, *seq_len, *backward));
        self.measured.push(measurement);
        output::replace(&self.path, self)
    }

    /// Notes what was not measured, in the place of why it was not before.
    pub fn leave_out(&mut self, left_out: LeftOut) {
        let LeftOut { variant, seq_len, backward, .. } = &left_out;
        self.left_out.retain(|found| !found.is_of(variant, *seq_len, *backward));
        self.left_out.push(left_out);
    }

    /// Draws the conclusions and writes everything: the measurements, `efficiency.md`, curves. Returns the tables.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(&mut self) -> Result<String> {
        self.summary = Some(Summary::of(self));
        output::replace(&self.path, self)?;
        let pages = pages::pages(self);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let title = "Time and memory of attention";
        pages.write(folder, "efficiency", title)?;
        Ok(pages.markdown(title))
    }

    /// Rows and lengths in the order in which they were first measured, the lengths by size.
    fn rows(&self) -> (Vec<&str>, Vec<usize>) {
        let mut variants: Vec<&str> = Vec::new();
        let mut lengths: Vec<usize> = Vec::new();
        let left_out = self.left_out.iter().map(|found| (found.variant.as_str(), found.seq_len));
        let measured = self.measured.iter().map(|found| (found.variant.as_str(), found.seq_len));
        for (variant, seq_len) in measured.chain(left_out) {
            if !variants.contains(&variant) {
                variants.push(variant);
            }
            lengths.push(seq_len);
        }
        lengths.sort_unstable();
        lengths.dedup();
        (variants, lengths)
    }

    /// A quantity of a row by ascending length.
    fn curve(
        &self,
        variant: &str,
        backward: bool,
        quantity: fn(&Measurement) -> f64,
    ) -> Vec<(f64, f64)> {
        let of_row = self
            .measured
            .iter()
            .filter(|found| found.variant == variant && found.backward == backward);
        let mut points: Vec<(f64, f64)> =
            of_row.map(|found| (found.seq_len as f64, quantity(found))).collect();
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        points
    }
}

/// Which row stands for exact attention, with which others are compared.
const EXACT: AttentionKind = AttentionKind::Softmax;

/// The first setting that differs, before and now.
fn difference(before: &Settings, now: &Settings) -> Option<(String, String)> {
    let object = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    };
    let (before, now) = (object(before), object(now));
    let differing = before.iter().find(|(key, value)| now.get(*key) != Some(*value))?;
    let (key, value) = differing;
    let now = now.get(key).cloned().unwrap_or_default();
    Some((format!("{key} = {value}"), format!("{key} = {now}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn settings() -> Settings {
        Settings {
            batch: 1,
            heads: 2,
            head_dim: 8,
            num_landmarks: 16,
            conv_kernel_size: 0,
            projections: false,
            repeats: 3,
            version: "1.0.0".to_owned(),
            device: "flex".to_owned(),
            cpu: "A CPU".to_owned(),
            instructions: "scalar".to_owned(),
            threads: 1,
        }
    }

    /// Rows whose cost is a power of the length: forward, and three times that with gradients.
    pub(super) fn measured(rows: &[(&str, f64, f64)], lengths: &[usize]) -> Efficiency {
        let (left_out, path) = Default::default();
        let mut measured = Vec::new();
        for (variant, factor, exponent) in rows {
            for (seq_len, backward) in lengths.iter().flat_map(|n| [(*n, false), (*n, true)]) {
                let seconds =
                    factor * (seq_len as f64).powf(*exponent) * if backward { 3.0 } else { 1.0 };
                measured.push(Measurement {
                    variant: (*variant).to_owned(),
                    seq_len,
                    backward,
                    seconds_median: seconds,
                    seconds_min: seconds,
                    peak_rss_bytes: 1_000_000 + (1e6 * seconds) as u64,
                    rss_before_bytes: 1_000_000,
                });
            }
        }
        Efficiency { settings: settings(), measured, left_out, summary: None, path }
    }

    #[test]
    fn every_usual_row_is_a_kind_that_reads_every_usual_length() {
        let rows = usual_variants();
        assert_eq!(rows.len(), 10);
        for variant in &rows {
            for seq_len in USUAL_LENGTHS {
                let complete = settings().complete(variant, seq_len);
                complete.check_len(seq_len, &settings().shared()).unwrap();
            }
        }
        let of = |row: &str| settings().complete(&row.parse().unwrap(), 64).config().unwrap();
        assert_eq!(of("nystrom").nystrom.num_landmarks, 16);
        assert_eq!(of("nystrom:num_landmarks=32").nystrom.num_landmarks, 32);
        assert_eq!(of("agent").agent.num_agents, 16);
        assert_eq!(of("linformer").linformer.linformer_seq_len, 64);
        assert_eq!(of("softmax").convolution.conv_kernel_size, 0);
    }

    #[test]
    fn measurements_are_found_again_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Efficiency::open(folder.path(), settings()).unwrap();
        let measurement = measured(&[("softmax", 1e-6, 2.0)], &[64]).measured[0].clone();
        file.add(measurement.clone()).unwrap();
        let file = Efficiency::open(folder.path(), settings()).unwrap();
        assert_eq!(file.measured, [measurement]);
        let job = |seq_len, backward| Job {
            variant: Variant::of(AttentionKind::Softmax),
            seq_len,
            backward,
        };
        assert_eq!(
            [job(64, false), job(64, true), job(65, false)].map(|job| file.has(&job)),
            [true, false, false]
        );
        for (other, before, now) in [
            (Settings { heads: 3, ..settings() }, "`heads = 2`", "`heads = 3`"),
            (Settings { cpu: "B".to_owned(), ..settings() }, "`cpu = \"A CPU\"`", "`cpu = \"B\"`"),
            (Settings { version: "2".to_owned(), ..settings() }, "\"1.0.0\"", "\"2\""),
        ] {
            let error = Efficiency::open(folder.path(), other).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let told = error.to_string();
            assert!(told.contains(before) && told.contains(now), "{told}");
        }
    }

    #[test]
    fn what_a_session_before_left_out_is_told_until_it_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Efficiency::open(folder.path(), settings()).unwrap();
        let left_out = |seq_len, seconds| LeftOut {
            variant: "softmax".to_owned(),
            seq_len,
            backward: true,
            reason: Reason::Seconds(seconds),
        };
        file.leave_out(left_out(64, 7.0));
        file.leave_out(left_out(128, 7.0));
        file.finish().unwrap();
        let mut file = Efficiency::open(folder.path(), settings()).unwrap();
        file.leave_out(left_out(128, 9.0));
        assert_eq!(file.left_out, [left_out(64, 7.0), left_out(128, 9.0)]);
        let measured = measured(&[("softmax", 1e-6, 2.0)], &[64]).measured;
        file.add(measured[0].clone()).unwrap();
        assert_eq!(file.left_out.len(), 2, "forward alone is measured");
        file.add(measured[1].clone()).unwrap();
        assert_eq!(file.left_out, [left_out(128, 9.0)]);
    }
}
