//! Measures the workloads: one round after another, each round every entrant once and in an order of its own, so
//! that what disturbs the machine disturbs all alike and nobody always follows the same one.

use crate::arena::{Arena, reap_orphans};
use crate::counter::{self, Tool};
use crate::executor::{Error, Executor, Sample};
use crate::group::Group;
use crate::runtime::Entrant;
use crate::workload::{Script, Workload};
use std::time::Duration;

/// Everything that was measured.
#[derive(Debug)]
pub struct Results {
    /// What kind of programs.
    pub group: Group,
    /// Who took part.
    pub entrants: Vec<Entrant>,
    /// What was measured, in the order of the report.
    pub workloads: Vec<Workload>,
    /// How many lines went through the logs of engines.
    pub log_lines: u64,
    /// One for each workload and entrant that can do it.
    pub cells: Vec<Cell>,
    /// How often most workloads ran.
    pub iterations: u32,
    /// How long the machine rested before each measurement.
    pub rest: Duration,
    /// The cgroup layout in words.
    pub cgroups: String,
    /// What the system calls were counted with.
    pub tool: Tool,
}

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What kind of programs.
    pub group: Group,
    /// In the order of the report.
    pub workloads: Vec<Workload>,
    /// How often most workloads run.
    pub iterations: u32,
    /// How many lines go through the logs of engines.
    pub log_lines: u64,
}

/// One workload on one entrant.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What was done.
    pub workload: Workload,
    /// Who did it.
    pub entrant: String,
    /// What it took, or why it did not work.
    pub outcome: Result<Figures, String>,
}

/// What a workload takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Wall time, median.
    pub median: Duration,
    /// Wall time that 95 of 100 samples do not exceed.
    pub p95: Duration,
    /// CPU time, median.
    pub cpu: Duration,
    /// System calls, of one pass.
    pub syscalls: Option<u64>,
    /// Peak resident set in bytes, of one pass.
    pub peak: Option<u64>,
    /// Commands lost in all iterations together.
    pub lost: usize,
}

impl Results {
    /// The figures of an entrant, if it could do the workload.
    pub fn figures(&self, workload: Workload, entrant: &str) -> Option<&Figures> {
        let cell = self.cells.iter().find(|cell| cell.workload == workload && cell.entrant == entrant)?;
        cell.outcome.as_ref().ok()
    }
}

/// Measures all workloads on all entrants.
///
/// # Errors
/// An interruption, or what the measurement itself cannot do; an entrant that fails is part of the results.
pub fn all(
    executor: &Executor,
    arena: &Arena,
    entrants: Vec<Entrant>,
    asked: &Asked,
) -> anyhow::Result<Results> {
    let tool = Tool::find();
    let mut cells = Vec::new();
    for &workload in &asked.workloads {
        crate::cli::progress(workload.title())?;
        let round = Round { executor, arena, tool: &tool, workload };
        cells.extend(round.measure(&entrants, workload.iterations(asked.iterations))?);
        // An engine has a daemon, which would not survive that; its containers are removed by the scripts.
        if asked.group != Group::Engines {
            arena.sweep()?;
        }
    }
    let Asked { group, workloads, iterations, log_lines } = asked.clone();
    let (rest, cgroups) = (executor.rest_time(), arena.layout.clone());
    Ok(Results { group, entrants, workloads, log_lines, cells, iterations, rest, cgroups, tool })
}

/// One workload being measured.
struct Round<'a> {
    executor: &'a Executor,
    arena: &'a Arena,
    tool: &'a Tool,
    workload: Workload,
}

/// One entrant in it.
struct Contest<'a> {
    entrant: &'a Entrant,
    script: Script,
    samples: Vec<Sample>,
    syscalls: Option<u64>,
    peak: Option<u64>,
    failure: Option<String>,
}

impl Round<'_> {
    fn measure(&self, entrants: &[Entrant], iterations: u32) -> anyhow::Result<Vec<Cell>> {
        let mut contests = self.contests(entrants)?;
        for contest in &mut contests {
            contest.attempt(|contest| self.prepare(contest))?;
        }
        for iteration in 0..iterations as usize {
            for position in shuffled(contests.len(), iteration) {
                contests[position].attempt(|contest| self.sample(contest))?;
            }
        }
        for contest in &mut contests {
            self.tear_down(contest)?;
        }
        Ok(contests.into_iter().map(|contest| contest.cell(self.workload)).collect())
    }

    fn contests<'e>(&self, entrants: &'e [Entrant]) -> std::io::Result<Vec<Contest<'e>>> {
        let mut contests = Vec::new();
        for entrant in entrants {
            if let Some(script) = self.workload.script(self.arena, entrant)? {
                contests.push(Contest::new(entrant, script));
            }
        }
        Ok(contests)
    }

    /// Sets the entrant up and makes the passes that count, which warm every cache as well.
    fn prepare(&self, contest: &mut Contest<'_>) -> Result<(), Error> {
        self.executor.steps(self.arena, &contest.script.setup)?;
        let measured = contest.script.measured.clone();
        let pass = counter::Pass { executor: self.executor, arena: self.arena, workload: self.workload };
        if self.workload.is_sequential() && !self.workload.is_of_engines() {
            contest.syscalls = self.bracketed(contest, || pass.syscalls(self.tool, &measured))?;
        }
        if self.workload.is_sequential() {
            let meter = &contest.entrant.meter;
            contest.peak = self.bracketed(contest, || pass.peak_resident(meter, &measured))?;
        }
        if self.workload.warms_up_by_itself() {
            self.bracketed(contest, || self.executor.steps(self.arena, &measured))?;
        }
        Ok(())
    }

    fn sample(&self, contest: &mut Contest<'_>) -> Result<(), Error> {
        let sample = self.bracketed(contest, || {
            self.executor.rest()?;
            let script = &contest.script;
            let meter = (&contest.entrant.meter, script.part);
            self.executor.measure(self.arena, &script.measured, meter, !self.workload.leaves_process())
        })?;
        contest.samples.push(sample);
        Ok(())
    }

    /// Does something between the steps before and after each measurement.
    fn bracketed<T>(
        &self,
        contest: &Contest<'_>,
        measured: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.executor.steps(self.arena, &contest.script.before)?;
        let value = measured()?;
        self.executor.steps(self.arena, &contest.script.after)?;
        reap_orphans()?;
        Ok(value)
    }

    /// What a failed entrant cannot take down itself, the sweep of the arena does.
    fn tear_down(&self, contest: &mut Contest<'_>) -> Result<(), Error> {
        if contest.failure.is_none() {
            return contest.attempt(|contest| self.executor.steps(self.arena, &contest.script.teardown));
        }
        for step in &contest.script.teardown {
            let meter = &contest.entrant.meter;
            match meter.around(|| self.executor.steps(self.arena, std::slice::from_ref(step))) {
                Ok(()) | Err(Error::Command(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<'a> Contest<'a> {
    fn new(entrant: &'a Entrant, script: Script) -> Self {
        let failure = entrant.facts.as_ref().err().cloned();
        // Without the program there is nothing to take down either.
        let script = if failure.is_some() { Script::default() } else { script };
        Self { entrant, script, samples: Vec::new(), syscalls: None, peak: None, failure }
    }

    /// Does something unless the entrant has failed; what is the entrant's fault becomes its failure.
    fn attempt(&mut self, action: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.failure.is_some() {
            return Ok(());
        }
        let entrant = self.entrant;
        match entrant.meter.around(|| action(self)) {
            Err(Error::Command(reason)) => {
                self.failure = Some(reason);
                Ok(())
            }
            other => other,
        }
    }

    fn cell(self, workload: Workload) -> Cell {
        let outcome = match self.failure {
            Some(reason) => Err(reason),
            None => Ok(self.figures()),
        };
        Cell { workload, entrant: self.entrant.name.clone(), outcome }
    }

    fn figures(&self) -> Figures {
        let wall: Vec<Duration> = self.samples.iter().map(|sample| sample.wall).collect();
        Figures {
            median: percentile(&wall, 50),
            p95: percentile(&wall, 95),
            cpu: percentile(&self.samples.iter().map(|sample| sample.cpu).collect::<Vec<_>>(), 50),
            syscalls: self.syscalls,
            peak: self.peak,
            lost: self.samples.iter().map(|sample| sample.lost).sum(),
        }
    }
}

/// The positions 0 to `count` - 1 in an order that depends on the iteration alone (Fisher and Yates), so that two
/// measurements do the same.
pub fn shuffled(count: usize, iteration: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = iteration as u64;
    for last in (1..count).rev() {
        order.swap(last, (split_mix(&mut state) % (last as u64 + 1)) as usize);
    }
    order
}

/// The next number of the generator SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The value that `percent` of 100 samples do not exceed (nearest rank); zero of no samples.
fn percentile(samples: &[Duration], percent: usize) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_everyone_once() {
        for iteration in 0..50 {
            let mut order = shuffled(5, iteration);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn everyone_follows_everyone_about_equally_often() {
        let mut follows = [[0; 4]; 4];
        for iteration in 0..1000 {
            for pair in shuffled(4, iteration).windows(2) {
                follows[pair[0]][pair[1]] += 1;
            }
        }
        // 3,000 neighbours in 12 kinds of pair: 250 each.
        let counts = (0..4).flat_map(|first| (0..4).map(move |second| (first, second)));
        for (first, second) in counts.filter(|(first, second)| first != second) {
            assert!((200..300).contains(&follows[first][second]), "{follows:?}");
        }
    }

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        let samples: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50), Duration::from_millis(10));
        assert_eq!(percentile(&samples, 95), Duration::from_millis(19));
        assert_eq!(percentile(&samples[..1], 95), Duration::from_millis(20));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
