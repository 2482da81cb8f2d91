//! A round of shards with a machine each.

use super::draws::Draws;
use super::fluid::{Arrivals, Flow};
use super::prediction::StepTime;
use super::step_costs::Step;
use super::{MachineFigures, Scenario};

/// Onions that a core takes at once.
const CHUNK: f64 = 64.0;

/// Simulates the steps, and returns the time of each. The noise for rounds to come is built in idle moments, in
/// pieces of about a millisecond that give way to the round: it costs no time as long as there are enough of those.
pub(super) fn run(scenario: &Scenario, figures: &MachineFigures, steps: &[Step]) -> Vec<StepTime> {
    let mut draws = Draws::new(scenario.seed);
    let shards = scenario.shards as usize;
    let mut round = Round {
        scenario,
        figures,
        cores: f64::from(scenario.placement.cores()),
        speeds: (0..shards).map(|_| draws.factor(scenario.spread.shards)).collect(),
        ready: vec![0.0; shards],
        busy: vec![0.0; shards],
        draws,
    };
    steps.iter().map(|step| round.step(step)).collect()
}

struct Round<'a> {
    scenario: &'a Scenario,
    figures: &'a MachineFigures,
    cores: f64,
    /// Of each shard's cores, as a factor.
    speeds: Vec<f64>,
    /// When each shard has closed the step.
    ready: Vec<f64>,
    /// Until when each shard's cores are taken up by steps before.
    busy: Vec<f64>,
    draws: Draws,
}

impl Round<'_> {
    fn latest(&self) -> f64 {
        latest(&self.ready)
    }

    /// Lets all shards take one step, each from when it is ready. Long, as the time of each shard needs those
    /// of all: when they send, and what of it arrives when.
    fn step(&mut self, step: &Step) -> StepTime {
        let before = self.latest();
        let bytes_per_s = self.scenario.link_gbps * 1e9 / 8.0;
        let travels = step.crosses && self.ready.len() > 1;
        let delay = if step.crosses && !travels { 0.0 } else { step.delays };
        let delay = delay * self.scenario.delay_ms * 1e-3;
        let arrivals = travels.then(|| {
            // Each of a shard's links carries an equal part of what it sends.
            let by_links = self.figures.link_gbytes_per_s * 1e9 * (self.ready.len() - 1) as f64;
            let sending = step.bytes / bytes_per_s.min(by_links);
            let flow = |&ready: &f64| Flow { start: ready + delay, lasts: sending };
            Arrivals::new(&self.ready.iter().map(flow).collect::<Vec<_>>())
        });
        let cores = self.cores * self.figures.core_scaling;
        // A step's parts are told apart by the last shard to come to the end of each.
        let (mut arrived, mut taken) = (before, before);
        for shard in 0..self.ready.len() {
            let (speed, size) = self.draw(step, shard);
            let machine = Machine { step, cores, speed, size };
            let (last_in, all_taken) = match &arrivals {
                Some(arrivals) => {
                    let share = 1.0 / self.ready.len() as f64;
                    let last_in = arrivals.finish(size * step.bytes / bytes_per_s);
                    let from = (self.busy[shard], self.ready[shard]);
                    (last_in, machine.take(arrivals, last_in, from, share))
                }
                None => {
                    let came = self.ready[shard] + delay;
                    let last_in = came + size * step.bytes / bytes_per_s;
                    let all_taken = came + machine.shared() + machine.alone();
                    (last_in, machine.with_last_piece(all_taken, last_in))
                }
            };
            arrived = arrived.max(last_in);
            taken = taken.max(all_taken);
            let wake = self.figures.overheads.step_us * 1e-6;
            let closing = wake + machine.close(self.figures.core_scaling);
            self.ready[shard] = all_taken + closing;
            // What comes early is taken in by the cores that do not close.
            self.busy[shard] = all_taken + closing / self.cores;
        }
        StepTime {
            delay,
            transfer: arrived - before - delay,
            take: taken - arrived,
            close: self.latest() - taken,
        }
    }

    /// The speed of a shard in a step, and how much it is sent.
    fn draw(&mut self, step: &Step, shard: usize) -> (f64, f64) {
        // Without spread nothing is drawn, so that predictions are the same to the last digit.
        if !self.scenario.is_uneven() {
            return (self.speeds[shard], 1.0);
        }
        let speed = self.speeds[shard] * self.draws.factor(self.scenario.spread.steps);
        let size = if step.items > 0.0 { self.draws.share(step.items) } else { 1.0 };
        (speed, size)
    }
}

/// One shard's machine in one step.
struct Machine<'a> {
    step: &'a Step,
    cores: f64,
    speed: f64,
    size: f64,
}

impl Machine<'_> {
    /// Seconds for what any core does as things arrive.
    fn shared(&self) -> f64 {
        self.size * (self.step.moving + self.step.taking) / (self.cores * self.speed)
    }

    /// Seconds for what one thread does as things arrive.
    fn alone(&self) -> f64 {
        self.step.alone / self.speed
    }

    /// When all is taken in, a share `own` of which is this shard's own; the rest is in at `last_in`. Its
    /// cores are `busy` with what was before, and it is `ready` to send, and to look at signatures,
    /// when that is closed.
    ///
    /// Cores that take what is there are done at the latest of all moments and the work that was still
    /// to come at each; from `busy` on, everything was.
    fn take(&self, arrivals: &Arrivals, last_in: f64, (busy, ready): (f64, f64), own: f64) -> f64 {
        let work = self.shared();
        let from_others = work * (1.0 - own);
        let until_ready = arrivals.finish_between(from_others, (busy, ready)) + work * own;
        let by_cores = arrivals.finish(from_others).max(until_ready).max(busy + work);
        let alone = arrivals.finish(self.alone()).max(ready + self.alone());
        self.with_last_piece(by_cores, last_in).max(alone)
    }

    /// When cores are done that, all at work, would be done at `all_taken`: one of them takes the last
    /// piece alone.
    fn with_last_piece(&self, all_taken: f64, last_in: f64) -> f64 {
        if self.step.items == 0.0 {
            return all_taken.max(last_in);
        }
        let pieces = (self.size * self.step.items / CHUNK).max(1.0);
        let piece = self.size * self.step.taking / pieces / self.speed;
        (all_taken + piece * (1.0 - 1.0 / self.cores).max(0.0)).max(last_in + piece)
    }

    fn close(&self, core_scaling: f64) -> f64 {
        let alone = self.step.closing_alone / core_scaling;
        self.size * (alone + self.step.closing / self.cores) / self.speed
    }
}

fn latest(moments: &[f64]) -> f64 {
    moments.iter().copied().fold(0.0, f64::max)
}
