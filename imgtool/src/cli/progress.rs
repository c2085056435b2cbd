//! How a pull, a push and a load are shown: bars that move on a terminal, lines elsewhere.

use crate::digest::Digest;
use crate::fetch::Progress;
use crate::registry::RegistryError;
use mydocker_cmdline::one_line;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often bars are drawn.
const TICK: Duration = Duration::from_millis(100);

/// The cells of a bar.
const BAR: usize = 30;

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    here: u64,
    size: u64,
    state: &'static str,
    /// Whether the bytes that are here are of interest.
    moving: bool,
}

/// A display of several blobs.
#[derive(Debug)]
pub struct Display {
    mode: Mode,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Quiet,
    Lines,
    Bars,
}

#[derive(Debug, Default)]
struct State {
    rows: Vec<Row>,
    /// How many lines the last drawing had.
    drawn: usize,
    finished: bool,
}

impl Display {
    /// Bars if standard output is a terminal, lines if it is not, nothing at all if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let terminal = || mydocker_sys::tty::is_terminal(io::stdout());
        let mode = match quiet {
            true => Mode::Quiet,
            false if terminal() => Mode::Bars,
            false => Mode::Lines,
        };
        Self { mode, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Prints a line above the bars.
    pub fn say(&self, line: &str) {
        if self.mode == Mode::Quiet {
            return;
        }
        let mut state = self.lock();
        let mut text = erase(&state);
        writeln!(text, "{}", one_line(line)).unwrap_or_default();
        state.drawn = 0;
        put(&text);
    }

    /// A blob begins to be sent.
    pub fn sending(&self, digest: &Digest, size: u64) {
        self.change(digest, |row| (row.here, row.size, row.state, row.moving) = (0, size, "Pushing", true));
    }

    /// A blob is in the registry; how it came to be there.
    pub fn sent(&self, digest: &Digest, how: &'static str) {
        self.change(digest, |row| (row.state, row.moving) = (how, false));
    }

    /// More of a layer of an archive is here. Elsewhere than on a terminal nothing is said of it, as with docker.
    pub fn loading(&self, layer: &str, here: u64, size: u64) {
        if self.mode == Mode::Bars {
            let (state, moving) = if here == size { ("Loaded", false) } else { ("Loading layer", true) };
            self.change_row(layer, |row| {
                (row.here, row.size, row.state, row.moving) = (here, size, state, moving);
            });
        }
    }

    /// Draws while `work` goes on.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.mode != Mode::Bars {
            return work();
        }
        std::thread::scope(|scope| {
            // Without the thread there are no bars, and the work goes on.
            let drawing = std::thread::Builder::new().spawn_scoped(scope, || self.draw_until_finished());
            let result = work();
            self.lock().finished = true;
            self.changed.notify_all();
            drop(drawing);
            result
        })
    }

    fn draw_until_finished(&self) {
        let mut state = self.lock();
        loop {
            let text = draw(&mut state, size());
            put(&text);
            if state.finished {
                // What follows comes below the last drawing, which stays.
                state.drawn = 0;
                return;
            }
            let deadline = Instant::now() + TICK;
            while !state.finished {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn change(&self, digest: &Digest, change: impl FnOnce(&mut Row)) {
        self.change_row(digest.short(), change);
    }

    fn change_row(&self, name: &str, change: impl FnOnce(&mut Row)) {
        let mut state = self.lock();
        let index = state.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let (name, state_name) = (name.to_owned(), "");
            state.rows.push(Row { name, here: 0, size: 0, state: state_name, moving: false });
            state.rows.len() - 1
        });
        let row = &mut state.rows[index];
        let before = row.state;
        change(row);
        if self.mode == Mode::Lines && row.state != before {
            put(&format!("{}: {}\n", row.name, row.state));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Display {
    fn begin(&self, digest: &Digest, here: u64, size: u64) {
        let state = if here > 0 { "Resuming" } else { "Downloading" };
        self.change(digest, |row| {
            (row.here, row.size, row.state, row.moving) = (here, size, state, true);
        });
    }

    fn advance(&self, digest: &Digest, here: u64) {
        if self.mode == Mode::Bars {
            self.change(digest, |row| row.here = here);
        }
    }

    fn wait(&self, digest: &Digest) {
        self.change(digest, |row| (row.state, row.moving) = ("Waiting for another pull of it", false));
    }

    fn retry(&self, digest: &Digest, error: &RegistryError) {
        self.say(&format!("{}: Retrying: {}", digest.short(), chain(error)));
    }

    fn arrived(&self, digest: &Digest, unpacks: bool) {
        let state = if unpacks { "Unpacking" } else { "Download complete" };
        self.change(digest, |row| (row.state, row.moving) = (state, false));
    }

    fn unpacked(&self, digest: &Digest) {
        self.change(digest, |row| (row.state, row.moving) = ("Pull complete", false));
    }
}

/// An error with everything behind it, in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(error) = link {
        text.push_str(": ");
        text.push_str(&error.to_string());
        link = error.source();
    }
    text
}

/// The columns and the lines of the terminal.
fn size() -> (usize, usize) {
    let known = |number: u16, usual| if number == 0 { usual } else { usize::from(number) };
    mydocker_sys::tty::size(io::stdout())
        .map_or((80, 24), |size| (known(size.columns, 80), known(size.rows, 24)))
}

/// A progress that cannot be shown is no reason to stop.
fn put(text: &str) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).unwrap_or_default();
}

/// The escape sequence that takes the last drawing away.
fn erase(state: &State) -> String {
    if state.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", state.drawn) }
}

fn draw(state: &mut State, (width, height): (usize, usize)) -> String {
    let mut text = erase(state);
    let shown = shown(state, height.saturating_sub(1));
    for row in &shown {
        let line: String = line(row).chars().take(width.saturating_sub(1)).collect();
        writeln!(text, "{line}").unwrap_or_default();
    }
    state.drawn = shown.len();
    text
}

/// What is drawn: all rows if there is room. Lines above the terminal's first could not be taken away again, so that of more
/// rows those that move are drawn, as far as they fit, and all when nothing moves any more.
fn shown(state: &State, room: usize) -> Vec<Row> {
    if state.rows.len() <= room || state.finished {
        return state.rows.clone();
    }
    state.rows.iter().filter(|row| row.moving).take(room).cloned().collect()
}

fn line(row: &Row) -> String {
    if !row.moving {
        return format!("{}: {}", row.name, row.state);
    }
    let cells = (row.here.min(row.size) as f64 / row.size.max(1) as f64 * BAR as f64) as usize;
    let head = if cells < BAR { ">" } else { "" };
    let bar = format!("{}{head}", "=".repeat(cells));
    let (here, size) = (human_size(row.here), human_size(row.size));
    format!("{}: {} [{bar:BAR$}] {here}/{size}", row.name, row.state)
}

/// A size as docker shows it in sums and while it works: four significant digits, in powers of 1000.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    size_of_digits(bytes, 4)
}

/// A size as docker shows it in lists of images and containers: three significant digits.
#[must_use]
pub fn short_size(bytes: u64) -> String {
    size_of_digits(bytes, 3)
}

fn size_of_digits(bytes: u64, digits: usize) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let whole = match size {
        _ if unit == 0 => digits,
        ..10.0 => 1,
        10.0..100.0 => 2,
        _ => 3,
    };
    let number = format!("{size:.*}", digits.saturating_sub(whole));
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_lists_have_three_digits() {
        let sizes =
            [(999, "999B"), (1234, "1.23kB"), (120_700_000, "121MB"), (99_900_000, "99.9MB"), (0, "0B")];
        for (bytes, text) in sizes {
            assert_eq!(short_size(bytes), text);
        }
    }

    #[test]
    fn sizes_are_docker_s() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1234, "1.234kB"),
            (72_800_000, "72.8MB"),
            (123_456_789, "123.5MB"),
            (1_500_000_000, "1.5GB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn a_bar_grows_and_fits_the_terminal() {
        let row =
            Row { name: "0123456789ab".into(), here: 50, size: 100, state: "Downloading", moving: true };
        assert_eq!(line(&row), "0123456789ab: Downloading [===============>              ] 50B/100B");
        let full = Row { here: 100, ..row.clone() };
        assert!(line(&full).contains(&format!("[{}]", "=".repeat(BAR))));
        let mut state = State { rows: vec![row.clone(), full], drawn: 0, finished: false };
        assert_eq!(draw(&mut state, (20, 3)).lines().map(str::len).collect::<Vec<_>>(), [19, 19]);
        assert!(draw(&mut state, (20, 3)).starts_with("\x1b[2A\x1b[J"));
    }

    #[test]
    fn what_does_not_fit_is_not_drawn_before_the_end() {
        let row = |number: u64, moving| Row {
            name: number.to_string(),
            here: number,
            size: 100,
            state: "Downloading",
            moving,
        };
        let rows = (0..10).map(|number| row(number, number >= 7)).collect();
        let mut state = State { rows, drawn: 0, finished: false };
        let names = |text: &str| {
            text.lines().filter_map(|line| line.split(':').next().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(names(&draw(&mut state, (80, 5))), ["7", "8", "9"]);
        state.finished = true;
        assert_eq!(draw(&mut state, (80, 5)).lines().count(), 10);
    }
}
