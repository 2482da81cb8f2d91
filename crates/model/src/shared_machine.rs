//! A round of shards that share one machine.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::iter;

use super::draws::Draws;
use super::prediction::StepTime;
use super::step_costs::Step;
use super::{MachineFigures, Scenario};

/// Senders are simulated one by one up to so many; more are taken together in groups.
const MOST_GROUPS: usize = 64;

/// Simulates the steps, every batch as a piece of work, and returns the time of each. `noise`, CPU seconds of all
/// shards for the next round's, is worked off meanwhile: in what the steps leave idle it costs nothing, and for the
/// rest they wait.
pub(super) fn run(
    scenario: &Scenario,
    figures: &MachineFigures,
    steps: &[Step],
    noise: f64,
) -> Vec<StepTime> {
    let cores = f64::from(scenario.placement.cores());
    let mut machine = Machine::new(scenario, figures, steps);
    let times = machine.run();
    let seconds: f64 = times.iter().map(StepTime::all).sum();
    let idle = (1.0 - machine.busy / (cores * seconds)).clamp(0.0, 1.0);
    let waits = noise * (1.0 - idle) / (cores * figures.core_scaling);
    times.into_iter().map(|time| time.stretched(1.0 + waits / seconds)).collect()
}

/// A piece of work that a core does at a stretch.
#[derive(Clone, Copy, Debug)]
struct Task {
    shard: usize,
    step: usize,
    kind: Kind,
    seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Taking in one group's batch.
    Take,
    /// Closing the step once all is in.
    Close,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Done(Task),
    /// Everything is in and the shard has woken up.
    Woken {
        shard: usize,
        step: usize,
    },
}

/// Something that happens, the earliest first.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: f64,
    number: u64,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first, which has to be the earliest. Numbers keep the order of ties.
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

struct Machine<'a> {
    scenario: &'a Scenario,
    figures: &'a MachineFigures,
    steps: &'a [Step],
    cores: usize,
    free: usize,
    now: f64,
    queue: VecDeque<Task>,
    events: BinaryHeap<Event>,
    numbers: u64,
    groups: usize,
    /// Pieces that a group's batch for one shard is taken in by, each by one core.
    pieces: usize,
    /// Of each step: the shards of each group that have still to send.
    to_send: Vec<Vec<usize>>,
    /// Of each step and shard: pieces still to be taken in.
    to_take: Vec<Vec<usize>>,
    /// Of each step: when its last piece was taken in, and when the last shard closed it.
    taken: Vec<f64>,
    closed: Vec<f64>,
    /// Core seconds of work.
    busy: f64,
    draws: Draws,
}

impl<'a> Machine<'a> {
    fn new(scenario: &'a Scenario, figures: &'a MachineFigures, steps: &'a [Step]) -> Self {
        let shards = scenario.shards as usize;
        let cores = scenario.placement.cores() as usize;
        let groups = shards.min(MOST_GROUPS);
        // So many that even a single shard keeps all cores busy.
        let pieces = (2 * cores).div_ceil(groups);
        let members = |group: usize| (group..shards).step_by(groups).count();
        let to_send = steps.iter().map(|_| (0..groups).map(members).collect()).collect();
        let to_take = steps.iter().map(|step| {
            let taken = if step.crosses { groups * pieces } else { 2 * cores };
            vec![taken; shards]
        });
        Self {
            scenario,
            figures,
            steps,
            cores,
            free: cores,
            now: 0.0,
            queue: VecDeque::new(),
            events: BinaryHeap::new(),
            numbers: 0,
            groups,
            pieces,
            to_send,
            to_take: to_take.collect(),
            taken: vec![0.0; steps.len()],
            closed: vec![0.0; steps.len()],
            busy: 0.0,
            draws: Draws::new(scenario.seed),
        }
    }

    fn run(&mut self) -> Vec<StepTime> {
        for shard in 0..self.scenario.shards as usize {
            self.start(shard, 0);
        }
        self.work();
        while let Some(event) = self.events.pop() {
            self.now = event.at;
            match event.what {
                What::Woken { shard, step } => {
                    let whole = &self.steps[step];
                    // Closing that could be shared out shortens nothing where all cores are busy.
                    let seconds = whole.closing_alone + whole.closing;
                    self.queue.push_back(Task { shard, step, kind: Kind::Close, seconds });
                }
                What::Done(task) => {
                    // Its core is free before what the task sets off is queued.
                    self.free += 1;
                    self.done(task);
                }
            }
            self.work();
        }
        self.times()
    }

    /// Gives free cores what waits.
    fn work(&mut self) {
        while self.free > 0
            && let Some(task) = self.queue.pop_front()
        {
            self.free -= 1;
            let uneven = match task.kind {
                Kind::Take => self.size_of(task.step),
                Kind::Close => 1.0,
            };
            let seconds = task.seconds * uneven / self.figures.core_scaling;
            self.busy += seconds;
            self.happens(self.now + seconds, What::Done(task));
        }
    }

    /// By how much a batch differs from the usual.
    fn size_of(&mut self, step: usize) -> f64 {
        let items = self.steps[step].items / (self.groups * self.pieces) as f64;
        if self.scenario.is_uneven() && items > 0.0 { self.draws.share(items) } else { 1.0 }
    }

    fn happens(&mut self, at: f64, what: What) {
        self.numbers += 1;
        self.events.push(Event { at, number: self.numbers, what });
    }

    fn done(&mut self, task: Task) {
        let Task { shard, step, kind, .. } = task;
        match kind {
            Kind::Take => {
                self.taken[step] = self.now;
                self.to_take[step][shard] -= 1;
                if self.to_take[step][shard] == 0 {
                    let wake = self.figures.overheads.step_us * 1e-6;
                    self.happens(self.now + wake, What::Woken { shard, step });
                }
            }
            Kind::Close => {
                self.closed[step] = self.now;
                // Shards do not wait for each other here: who is ready goes on, and receivers wait.
                if step + 1 < self.steps.len() {
                    self.start(shard, step + 1);
                }
            }
        }
    }

    /// `shard` has closed the step before `step`.
    fn start(&mut self, shard: usize, step: usize) {
        let whole = &self.steps[step];
        let seconds = whole.moving + whole.taking + whole.alone;
        let task = |shard, parts: usize| Task {
            shard,
            step,
            kind: Kind::Take,
            seconds: seconds / parts as f64,
        };
        if whole.crosses {
            let group = shard % self.groups;
            self.to_send[step][group] -= 1;
            // A group's batches count as one, which is there when its last shard has sent.
            if self.to_send[step][group] == 0 {
                let receivers = 0..self.scenario.shards as usize;
                let parts = self.groups * self.pieces;
                let tasks = receivers.flat_map(|to| iter::repeat_n(task(to, parts), self.pieces));
                self.queue.extend(tasks);
            }
        } else {
            // More parts than cores, so that other shards' work comes in between, as on a real machine.
            let parts = 2 * self.cores;
            self.queue.extend(iter::repeat_n(task(shard, parts), parts));
        }
    }

    /// Divides each step's time by what was worked on in it.
    fn times(&self) -> Vec<StepTime> {
        let mut before = 0.0;
        let time_of = |(number, step): (usize, &Step)| {
            let took = self.closed[number] - before;
            before = self.closed[number];
            let cpu = step.cpu();
            let of = |part: f64| if cpu > 0.0 { took * part / cpu } else { 0.0 };
            let close = of(step.closing + step.closing_alone);
            let take = of(step.taking);
            StepTime { delay: 0.0, transfer: took - take - close, take, close }
        };
        self.steps.iter().enumerate().map(time_of).collect()
    }
}
