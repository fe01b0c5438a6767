//! Work of known extent, beside the steps of a run: how far it is, and how long it will take.

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nystromformer_data::{ProgressListener, ProgressReport, Stage, Unit};

use super::{clock, is_terminal};

/// How often a line tells of long work; work that is done sooner is not told of.
const EVERY: Duration = Duration::from_secs(10);

/// How long work takes before a bar is drawn.
const BEFORE_A_BAR: Duration = Duration::from_millis(400);

/// Kinds of work of this crate and of the commands.
pub mod stage {
    use super::{Stage, Unit};

    /// The examples of a task are read, and cut into tokens if they are texts.
    pub const READ_EXAMPLES: Stage =
        Stage { words: "reading the examples", unit: Unit::Things("examples") };
    /// Examples with labels go through a model.
    pub const EVALUATE: Stage = Stage { words: "evaluating", unit: Unit::Things("examples") };
    /// Examples go through a model.
    pub const PREDICT: Stage = Stage { words: "predicting", unit: Unit::Things("examples") };
    /// Files come from the Hugging Face Hub.
    pub const DOWNLOAD: Stage = Stage { words: "downloading", unit: Unit::Bytes };
    /// Large files go there.
    pub const UPLOAD: Stage = Stage { words: "uploading", unit: Unit::Bytes };
    /// A model is written in another form.
    pub const EXPORT: Stage = Stage { words: "exporting the model", unit: Unit::Bytes };
}

/// Shows work on stderr: as a bar on a terminal, elsewhere as a line about every ten seconds.
#[derive(Debug)]
pub struct WorkDisplay {
    shared: Arc<Mutex<State>>,
    /// Dropped to end the thread that speaks up while nothing is reported.
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl WorkDisplay {
    /// The display that suits stderr.
    pub fn stderr() -> Self {
        if is_terminal() {
            Self::of(State { output: Output::Bar(None), lines: WorkLines::default() }, EVERY)
        } else {
            Self::lines(std::io::stderr(), EVERY)
        }
    }

    /// Lines on `output`, one in such a time.
    pub fn lines(output: impl Write + Send + 'static, every: Duration) -> Self {
        let lines = WorkLines { every, ..WorkLines::default() };
        Self::of(State { output: Output::Lines(Box::new(output)), lines }, every)
    }

    fn of(state: State, every: Duration) -> Self {
        let has_lines = matches!(state.output, Output::Lines(_));
        let shared = Arc::new(Mutex::new(state));
        let (stop, stopped) = mpsc::channel();
        let state = Arc::clone(&shared);
        // A bar has a thread of its own.
        let ticker = has_lines.then(|| {
            thread::spawn(move || {
                let pause = (every / 10).max(Duration::from_millis(2));
                while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    lock(&state).tick();
                }
            })
        });
        Self { shared, stop: Some(stop), ticker }
    }

    /// Does work of which nothing is reported on the way, and shows for how long.
    pub fn during<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.report(ProgressReport { stage, done: 0, total: 0 });
        let done = work();
        self.finish();
        done
    }

    /// What was under way is over: what is written next has the line for itself.
    pub fn finish(&self) {
        lock(&self.shared).finish();
    }
}

impl ProgressListener for WorkDisplay {
    fn report(&self, report: ProgressReport) {
        lock(&self.shared).report(report);
    }
}

impl Drop for WorkDisplay {
    fn drop(&mut self) {
        self.finish();
        drop(self.stop.take());
        if let Some(ticker) = self.ticker.take() {
            // It panics for no reason of ours, and there is nothing left to show.
            let _ = ticker.join();
        }
    }
}

/// A panic while something was drawn has broken nothing that matters.
fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct State {
    output: Output,
    lines: WorkLines,
}

enum Output {
    /// With the beginning of the work that it is of.
    Bar(Option<(Instant, ProgressBar)>),
    Lines(Box<dyn Write + Send>),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if matches!(self, Self::Bar(_)) { "Bar" } else { "Lines" })
    }
}

impl State {
    fn report(&mut self, report: ProgressReport) {
        let line = self.lines.report(report);
        match &mut self.output {
            Output::Lines(_) => self.write(line),
            Output::Bar(bar) => {
                let began = self.lines.current.as_ref().map(|work| work.began);
                if bar.as_ref().is_some_and(|(of, _)| Some(*of) != began) {
                    clear(bar);
                }
                let Some(began) = began else { return };
                if bar.is_none() && (report.total == 0 || began.elapsed() >= BEFORE_A_BAR) {
                    *bar = Some((began, drawn(report)));
                }
                if let Some((_, bar)) = bar {
                    bar.set_position(report.done);
                }
            }
        }
    }

    fn tick(&mut self) {
        let line = self.lines.tick();
        self.write(line);
    }

    fn finish(&mut self) {
        let line = self.lines.finish();
        match &mut self.output {
            Output::Lines(_) => self.write(line),
            Output::Bar(bar) => clear(bar),
        }
    }

    fn write(&mut self, line: Option<String>) {
        if let (Output::Lines(output), Some(line)) = (&mut self.output, line) {
            // Nobody is left to tell if the reader went away.
            let _ = writeln!(output, "{line}");
        }
    }
}

fn clear(bar: &mut Option<(Instant, ProgressBar)>) {
    if let Some((_, bar)) = bar.take() {
        bar.finish_and_clear();
    }
}

/// A bar, or of work without an end in sight the time that it takes.
fn drawn(report: ProgressReport) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(report.total), ProgressDrawTarget::stderr());
    let template = match (report.total, report.stage.unit) {
        (0, _) => "{spinner} {prefix}  {elapsed}",
        (_, Unit::Bytes) => {
            "{prefix} [{bar:24}] {bytes}/{total_bytes}  {bytes_per_sec}  {elapsed} + {eta}"
        }
        (_, Unit::Things(_)) => "{prefix} [{bar:24}] {pos}/{len}  {per_sec}  {elapsed} + {eta}",
    };
    let style = ProgressStyle::with_template(template)
        .expect("the template is a constant and valid")
        .progress_chars("=> ");
    let bar = bar.with_style(style).with_prefix(report.stage.words);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What is to be said of work, and when.
#[derive(Debug)]
pub(super) struct WorkLines {
    every: Duration,
    current: Option<Current>,
}

impl Default for WorkLines {
    fn default() -> Self {
        Self { every: EVERY, current: None }
    }
}

/// Work under way.
#[derive(Debug)]
struct Current {
    stage: Stage,
    began: Instant,
    /// When it was told of last.
    told: Option<Instant>,
    /// What was done when it began, as by an earlier session.
    done_before: u64,
    done: u64,
    total: u64,
}

impl WorkLines {
    /// Takes a report; gives a line if it is time for one.
    pub(super) fn report(&mut self, report: ProgressReport) -> Option<String> {
        let ProgressReport { stage, done, total } = report;
        let is_new = self
            .current
            .as_ref()
            .is_none_or(|work| work.stage != stage || done < work.done || total != work.total);
        let is_done = total > 0 && done >= total;
        if is_new {
            let of_the_work_before = self.finish();
            let current = Current {
                stage,
                began: Instant::now(),
                told: None,
                done_before: done,
                done,
                total,
            };
            self.current = (!is_done).then_some(current);
            return of_the_work_before;
        }
        if let Some(work) = &mut self.current {
            work.done = done;
        }
        if is_done { self.finish() } else { self.tick() }
    }

    /// A line if it is time for one.
    fn tick(&mut self) -> Option<String> {
        let every = self.every;
        let work = self.current.as_mut()?;
        (work.told.unwrap_or(work.began).elapsed() >= every).then(|| {
            work.told = Some(Instant::now());
            work.line()
        })
    }

    /// The work is over; a line if it was told of.
    fn finish(&mut self) -> Option<String> {
        let work = self.current.take()?;
        work.told.map(|_| format!("{}: done in {}", work.stage.words, clock(work.began.elapsed())))
    }
}

impl Current {
    fn line(&self) -> String {
        let words = self.stage.words;
        let seconds = self.began.elapsed();
        if self.done == 0 {
            return format!("{words}: for {}", clock(seconds));
        }
        let per_second = (self.done - self.done_before) as f64 / seconds.as_secs_f64().max(1e-9);
        let amount = |count: f64| match self.stage.unit {
            Unit::Bytes => format!("{:.1} MB", count / 1e6),
            Unit::Things(name) => format!("{count:.0} {name}"),
        };
        let done = amount(self.done as f64);
        let speed = amount(per_second);
        if self.total == 0 {
            return format!("{words}: {done}, {speed} a second");
        }
        let share = 100.0 * self.done as f64 / self.total as f64;
        let left = (self.total - self.done.min(self.total)) as f64 / per_second.max(1e-9);
        // Longer than a century is not known.
        let left = match Duration::try_from_secs_f64(left.min(3e9)) {
            Ok(left) => clock(left),
            Err(_) => "?".to_owned(),
        };
        let total = amount(self.total as f64);
        format!("{words}: {share:.0} %, {done} of {total}, {speed} a second, left {left}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place to write to that can be read while somebody writes.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn report(stage: Stage, done: u64, total: u64) -> ProgressReport {
        ProgressReport { stage, done, total }
    }

    #[test]
    fn quick_work_is_not_told_of() {
        let written = Written::default();
        let display = WorkDisplay::lines(written.clone(), Duration::from_hours(1));
        for done in 0..=100 {
            display.report(report(Stage::TOKENIZE, done, 100));
        }
        display.report(report(Stage::TRAIN_TOKENIZER, 0, 0));
        assert_eq!(display.during(stage::EXPORT, || 7), 7);
        drop(display);
        assert_eq!(written.text(), "");
    }

    #[test]
    fn long_work_has_a_line_with_what_is_done_and_left_and_one_at_its_end() {
        let written = Written::default();
        let display = WorkDisplay::lines(written.clone(), Duration::ZERO);
        for done in [0, 25, 50, 100] {
            display.report(report(stage::EVALUATE, done, 100));
        }
        display.report(report(Stage::READ_CORPUS, 1_500_000, 3_000_000));
        drop(display);
        let text = written.text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("evaluating: 25 %, 25 examples of 100 examples, ")),
            "{text}"
        );
        assert!(lines.iter().any(|line| line.contains(" a second, left 00:00:0")), "{text}");
        assert!(lines.iter().any(|line| line.starts_with("evaluating: done in 00:00:0")), "{text}");
    }

    #[test]
    fn work_of_which_nothing_is_heard_is_told_of_all_the_same() {
        let written = Written::default();
        let display = WorkDisplay::lines(written.clone(), Duration::from_millis(10));
        display.during(stage::EXPORT, || {
            while !written.text().contains("exporting the model: for 00:00:0") {
                thread::sleep(Duration::from_millis(1));
            }
        });
        drop(display);
        assert!(written.text().ends_with("exporting the model: done in 00:00:00\n"));
    }

    #[test]
    fn what_an_earlier_session_did_is_no_speed() {
        let mut lines = WorkLines { every: Duration::ZERO, ..WorkLines::default() };
        assert_eq!(lines.report(report(Stage::TOKENIZE, 90, 100)), None);
        let work = lines.current.as_mut().unwrap();
        work.began -= Duration::from_secs(10);
        let line = lines.report(report(Stage::TOKENIZE, 95, 100)).unwrap();
        // Five bytes in ten seconds, five to go.
        assert!(line.ends_with("left 00:00:10"), "{line}");
    }
}
