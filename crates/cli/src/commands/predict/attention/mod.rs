//! `predict attention`: what the first token takes of each, as JSON lines and as a page to look at.

mod bags;

use std::path::PathBuf;

use nystromformer_files::durable;
use nystromformer_interop::read_config;
use nystromformer_pipelines::{AttentionMap, AttentionMaps, LayerAttention};
use nystromformer_report::{AttentionPage, Places};
use nystromformer_tasks::TaskRegistry;

use self::bags::BagRequest;
use super::{ModelArgs, answer_file::Answers, requests::TextArgs};
use crate::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The layer, from 0; all when left out.
    #[arg(long, value_name = "N")]
    layer: Option<usize>,
    /// Also write a page with a heat map of each text or bag: one file, which loads nothing.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    texts: TextArgs,
}

pub(super) fn run(args: &Args, tasks: &TaskRegistry) -> anyhow::Result<()> {
    // A table of nested lists would be no table.
    let mut lines = args.texts.answer_lines_of_task(Answers::Arrays)?;
    args.html.as_ref().map(|page| output::make_room("--html", page)).transpose()?;
    let (folder, device) = args.model.open()?;
    let mut page = AttentionPage::default();
    let is_shown = args.html.is_some();
    let answered = if read_config(&folder)?.vectors.is_used() {
        let asked = BagRequest {
            file: args.texts.input_file(),
            layer: args.layer,
            overrides: args.texts.overrides(),
            table_keys: &args.texts.table_keys(),
        };
        bags::run(&folder, &device, asked, tasks, &mut |map| {
            lines.add(&map)?;
            if is_shown {
                let (id, places) = (map.id.clone(), Places::Vectors(map.instances));
                page.add(&id, &places, rows(map.layers()));
            }
            Ok(())
        })
    } else {
        args.texts.refuse_overrides()?;
        let maps = AttentionMaps::load(&folder, &device, args.layer)?;
        args.texts.answer_to(&maps, &mut |map: AttentionMap| {
            lines.add(&map)?;
            if is_shown {
                let title = format!("Text {}", page.len() + 1);
                page.add(&title, &Places::Tokens(map.tokens), rows(map.attention));
            }
            Ok(())
        })
    };
    lines.finish(answered)?;
    if let Some(path) = &args.html {
        let count = page.len();
        durable::replace(path, page.into_html().as_bytes())?;
        output::note(&format!("heat maps of `{count}` inputs are in `{}`", path.display()));
    }
    Ok(())
}

/// The number of each layer and its heads, as a page takes them.
fn rows(layers: Vec<LayerAttention>) -> Vec<(usize, Vec<Vec<f64>>)> {
    let head = |head: Vec<f32>| head.into_iter().map(f64::from).collect();
    let layer = |layer: LayerAttention| (layer.layer, layer.heads.into_iter().map(head).collect());
    layers.into_iter().map(layer).collect()
}
