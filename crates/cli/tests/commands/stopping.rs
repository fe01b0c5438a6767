//! Stopped in every way a run can be stopped, and resumed to the same bits.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::Duration,
};

use crate::fixture::{
    Fixture, STEPS, assert_same_run, checkpoint, finish, metrics, signal, wait_until,
};

#[test]
fn sigterm_saves_a_checkpoint_and_the_resumed_run_has_the_bits_of_an_unbroken_one() {
    let fixture = Fixture::new();
    // No checkpoint is due before the end: the signal alone makes one.
    let settings =
        ["trainer.max_steps=60", "trainer.eval_every=7", "trainer.checkpoint_every=1000"];
    finish(fixture.train("unbroken", &settings)).succeeded();
    let mut child = fixture.start(fixture.train("stopped", &settings), "log");
    fixture.wait_for("stopped/metrics.jsonl", "\"step\":2,");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let stopped = fixture.path("stopped");
    let step = metrics(&stopped).last().unwrap()["step"].as_u64().unwrap() as usize;
    assert!((2..60).contains(&step), "stopped at step {step}");
    assert!(checkpoint(&stopped, step).join("manifest.json").is_file());
    let log = fs::read_to_string(fixture.path("log")).unwrap();
    assert!(log.contains("stopping after this step"), "{log}");

    let resumed = finish(fixture.resume("stopped", &settings)).succeeded();
    assert!(resumed.stderr.contains(&format!("step-{step:08}")), "{}", resumed.stderr);
    assert_same_run(&fixture.path("unbroken"), &stopped, 60);
    // The clock of the run goes on where it stopped.
    let times: Vec<f64> =
        metrics(&stopped).iter().filter_map(|line| line["elapsed_s"].as_f64()).collect();
    assert!(times.len() == 60 && times.is_sorted(), "{times:?}");
}

#[test]
fn sigint_saves_a_checkpoint_and_exits_with_130() {
    let fixture = Fixture::new();
    let settings = ["trainer.max_steps=1000000", "trainer.checkpoint_every=1000000"];
    let mut child = fixture.start(fixture.train("run", &settings), "log");
    fixture.wait_for("run/metrics.jsonl", "\n");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let run = fixture.path("run");
    let step = metrics(&run).last().unwrap()["step"].as_u64().unwrap() as usize;
    assert!(checkpoint(&run, step).join("manifest.json").is_file());
}

#[test]
fn a_second_sigint_does_not_wait_for_the_step() {
    let fixture = Fixture::new();
    // A step of minutes.
    let settings = ["trainer.batch_size=100000"];
    let mut child = fixture.start(fixture.train("run", &settings), "log");
    fixture.wait_for("log", "0 of 6 steps done");
    signal(&child, "INT");
    fixture.wait_for("log", "stopping after this step");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fixture.listing("run/checkpoints"), [""; 0]);
}

/// `program` as `env` starts it: these tests may themselves run under `nohup`.
fn under(signals: &str, program: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg(signals).arg(program.get_program()).args(program.get_args());
    env.current_dir(program.get_current_dir().unwrap());
    env
}

#[test]
fn a_terminal_that_is_closed_stops_a_run_as_sigterm_does() {
    let fixture = Fixture::new();
    let settings = ["trainer.max_steps=1000000", "trainer.checkpoint_every=1000000"];
    let train = fixture.train("run", &settings);
    let mut child = fixture.start(under("--default-signal=HUP", &train), "log");
    fixture.wait_for("run/metrics.jsonl", "\n");
    signal(&child, "HUP");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let run = fixture.path("run");
    let step = metrics(&run).last().unwrap()["step"].as_u64().unwrap() as usize;
    assert!(checkpoint(&run, step).join("manifest.json").is_file());

    // `nohup` starts it with the signal ignored, and that stays.
    let train = fixture.train("under_nohup", &settings);
    let mut child = fixture.start(under("--ignore-signal=HUP", &train), "nohup");
    fixture.wait_for("under_nohup/metrics.jsonl", "\"step\":2,");
    signal(&child, "HUP");
    let step = metrics(&fixture.path("under_nohup")).last().unwrap()["step"].as_u64().unwrap();
    fixture.wait_for("under_nohup/metrics.jsonl", &format!("\"step\":{},", step + 10));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
}

#[test]
fn a_stop_while_the_data_of_a_later_seed_is_prepared_does_not_wait_for_it() {
    let fixture = Fixture::new();
    let settings = ["seeds=[1, 2]", "trainer.max_steps=40"];
    let mut child = fixture.start(fixture.train("series", &settings), "log");
    fixture.wait_for("series/seed-1/metrics.jsonl", "\n");
    // From now on a corpus that never comes: reading it waits for a writer.
    let corpus = fixture.path("corpus.txt");
    fs::remove_file(&corpus).unwrap();
    assert!(Command::new("mkfifo").arg(&corpus).status().unwrap().success());
    wait_until("the second run's lock", || fixture.path("series/seed-2/run.lock").exists());
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert_eq!(fixture.listing("series/seed-2"), ["run.lock"]);
    assert!(fixture.path("series/seed-1/summary.json").is_file());
}

#[test]
fn before_training_begins_a_signal_ends_the_process_at_once() {
    let fixture = Fixture::new();
    // A corpus that never comes: reading it waits for a writer.
    let pipe = fixture.text("pipe.txt");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let setting = format!("data.corpus={pipe}");
    for (name, code) in [("TERM", 75), ("INT", 130)] {
        let mut child = fixture.start(fixture.train(name, &[&setting]), "log");
        wait_until("the run's lock", || fixture.path(name).join("run.lock").exists());
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        fixture.wait_for("log", "before training began");
        assert_eq!(fixture.listing(name), ["run.lock"]);
    }
}

#[test]
fn damaged_and_lost_checkpoints_cost_their_steps_and_nothing_else() {
    let fixture = Fixture::new();
    let [unbroken, damaged] = ["unbroken", "damaged"].map(|run| fixture.trained(run));
    let weights = checkpoint(&damaged, STEPS).join("model.safetensors");
    let half = fs::metadata(&weights).unwrap().len() / 2;
    fs::File::options().write(true).open(&weights).unwrap().set_len(half).unwrap();
    fs::remove_dir_all(checkpoint(&damaged, 4)).unwrap();
    let resumed = finish(fixture.resume("damaged", &[])).succeeded();
    for part in ["passing over", "step-00000006", "model.safetensors"] {
        assert!(resumed.stderr.contains(part), "{}", resumed.stderr);
    }
    assert_same_run(&unbroken, &damaged, STEPS);
}

/// A full disk, played by a limit on the size of files that stops the weights and lets the rest through.
#[test]
fn a_disk_that_refuses_exits_with_seven_and_leaves_the_older_checkpoint() {
    let fixture = Fixture::new();
    let [unbroken, limited] = ["unbroken", "limited"].map(|run| fixture.trained(run));
    // Of the newest three, as a run keeps them, only the first is left.
    for step in [4, STEPS] {
        fs::remove_dir_all(checkpoint(&limited, step)).unwrap();
    }
    let train = fixture.resume("limited", &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 100 && exec \"$@\"", "sh"]).arg(train.get_program());
    shell.args(train.get_args()).current_dir(train.get_current_dir().unwrap());
    let message = finish(shell).refused(7);
    assert!(message.contains("model.safetensors`: "), "{message}");
    assert_eq!(names(&limited.join("checkpoints")), ["step-00000003"]);

    finish(fixture.resume("limited", &[])).succeeded();
    assert_same_run(&unbroken, &limited, STEPS);
}

/// Kills in [`a_run_killed_again_and_again_comes_to_the_same_bits`] unless the environment says otherwise.
const KILLS: usize = 12;

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the process began.
    AfterStart(Duration),
    /// So long after this many saves were seen to begin.
    InSave { number: usize, delay: Duration },
}

impl Moment {
    /// Three of four in a save, early and late in it; delays without a pattern, but the same ones every time.
    fn of(kill: usize) -> Self {
        let random = (kill as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        if kill % 4 == 3 {
            return Self::AfterStart(Duration::from_micros(random % 400_000));
        }
        Self::InSave { number: 1 + kill % 3, delay: Duration::from_micros(random % 12_000) }
    }
}

/// Kills `child` at `moment`, unless it ends before.
fn kill_at(moment: Moment, child: &mut Child, checkpoints: &Path) {
    match moment {
        Moment::AfterStart(delay) => thread::sleep(delay),
        Moment::InSave { number, delay } => {
            let own = format!(".scratch-{}", child.id());
            let mut seen = BTreeSet::new();
            while seen.len() < number && child.try_wait().unwrap().is_none() {
                seen.extend(names(checkpoints).into_iter().filter(|name| name.ends_with(&own)));
                thread::sleep(Duration::from_micros(200));
            }
            thread::sleep(delay);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_run_killed_again_and_again_comes_to_the_same_bits() {
    let kills = std::env::var("NYSTROMFORMER_TEST_KILLS")
        .map_or(KILLS, |number| number.parse().expect("NYSTROMFORMER_TEST_KILLS is a number"));
    let steps = 3 * kills + 20;
    let max_steps = format!("trainer.max_steps={steps}");
    let settings = [max_steps.as_str(), "trainer.eval_every=5", "trainer.checkpoint_every=1"];
    let fixture = Fixture::new();
    finish(fixture.train("unbroken", &settings)).succeeded();

    let killed = fixture.path("killed");
    let checkpoints = killed.join("checkpoints");
    let (mut in_save, mut in_removal) = (0, 0);
    for kill in 0..kills {
        let mut child = fixture.start(fixture.resume("killed", &settings), "log");
        kill_at(Moment::of(kill), &mut child, &checkpoints);

        let left = names(&checkpoints);
        in_save += usize::from(left.iter().any(|name| name.contains(".scratch-")));
        let complete = |name: &&String| checkpoints.join(name).join("manifest.json").is_file();
        in_removal +=
            usize::from(left.iter().any(|name| !name.contains(".scratch-") && !complete(&name)));
        // At most the step whose checkpoint was not complete yet is lost.
        let logged = fs::read_to_string(killed.join("metrics.jsonl")).unwrap_or_default();
        let logged =
            logged.lines().filter(|line| line.contains("\"train\"") && line.ends_with('}'));
        let newest = left
            .iter()
            .filter(complete)
            .filter_map(|name| name.strip_prefix("step-")?.parse::<usize>().ok())
            .max()
            .unwrap_or(0);
        assert!(newest + 1 >= logged.count(), "{kill}: {newest}: {left:?}");
    }
    assert!(in_save > 0, "no kill hit a save: this test tests nothing");

    finish(fixture.resume("killed", &settings)).succeeded();
    assert_same_run(&fixture.path("unbroken"), &killed, steps);
    let litter: Vec<String> =
        fixture.listing("killed").into_iter().filter(|name| name.contains("scratch")).collect();
    assert_eq!(litter, [""; 0]);
    #[expect(clippy::print_stderr, reason = "the figures are asked for by hand")]
    {
        eprintln!(
            "{kills} kills, {in_save} in a save, {in_removal} in the removal of an old checkpoint"
        );
    }
}

/// The token cache is shared by all runs on a corpus, so a process killed while filling it must not harm the next.
#[test]
fn a_killed_preparation_is_made_good() {
    let fixture = Fixture::new();
    let prepare = || fixture.on_tiny("prepare", &["configs/tiny/mlm.toml"], &[]);
    let expected = finish(prepare()).succeeded().json();
    for delay in [0, 5, 10, 20, 40] {
        fs::remove_dir_all(fixture.path("cache")).unwrap();
        let mut child = fixture.start(prepare(), "log");
        thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let made = finish(prepare()).succeeded().json();
        for key in ["fingerprint", "tokens", "train_examples"] {
            assert_eq!(made[key], expected[key], "{key}");
        }
    }
}
