//! Random networks in random trouble, one after the other, each from a number alone.
//!
//! A [`Plan`] is drawn from a seed: how many shards, operators and clients, links, who talks to whom,
//! what fails when, and what an adversary does meanwhile. A [`Swarm`] plays it. After every message
//! it sees that nothing was broken; then all trouble ends, and within a bounded
//! time rounds have to go on, every message has to be there once and in order, and nothing may go
//! wrong any more. The same seed gives the same run, bit for bit: [`Run::digest`] is over everything
//! that was sent.

mod calm;
mod draw;
mod fault;
mod flaw;
mod ledgers;
mod plan;
mod play;
mod talk;
mod trace;
mod watch;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use antiphon_wire::Digest;
use serde::Serialize;

pub use fault::{Fault, Kept};
pub use flaw::Flaw;
pub use plan::Plan;
pub use play::{Play, Span};
pub use watch::Broken;

use draw::Draw;
use world::World;

/// Result of a network that broke nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The hash of all that was sent, when and to whom.
    pub digest: Digest,
    /// Figures of the run.
    pub totals: Totals,
}

/// Figures of one network or of many, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Networks.
    pub networks: u64,
    /// Seconds of virtual time.
    pub virtual_seconds: u64,
    /// Messages between processes, and moments at which one was woken.
    pub steps: u64,
    /// Rounds that ended.
    pub rounds: u64,
    /// Those of them that were delivered.
    pub delivered: u64,
    /// Epochs published.
    pub epochs: u64,
    /// Faults.
    pub faults: u64,
    /// Messages of users that arrived.
    pub messages: u64,
    /// Units that clients were charged.
    pub charged: u64,
}

impl Totals {
    /// Adds what other networks did.
    pub fn add(&mut self, other: &Self) {
        self.networks += other.networks;
        self.virtual_seconds += other.virtual_seconds;
        self.steps += other.steps;
        self.rounds += other.rounds;
        self.delivered += other.delivered;
        self.epochs += other.epochs;
        self.faults += other.faults;
        self.messages += other.messages;
        self.charged += other.charged;
    }
}

/// The seeds of networks that follow from `seed`, one after the other, without end.
pub fn seeds(seed: u64) -> impl Iterator<Item = u64> {
    let mut draw = Draw::new(seed);
    std::iter::repeat_with(move || draw.seed())
}

/// A network of the swarm.
pub struct Swarm<'a>(World<'a>);

impl<'a> Swarm<'a> {
    /// The network of a plan, just started.
    pub fn new(plan: &'a Plan) -> Self {
        Self(World::new(plan))
    }

    /// The same with an error in the code of one shard and one client: it has to be noticed.
    #[must_use]
    pub fn with_flaw(mut self, flaw: Flaw) -> Self {
        self.0.set_flaw(flaw);
        self
    }

    /// Plays the plan to its end.
    ///
    /// # Errors
    /// If something was broken, or a machine panicked.
    pub fn play(&mut self) -> Result<Run, Broken> {
        let world = &mut self.0;
        let played = catch_unwind(AssertUnwindSafe(|| {
            world.trouble()?;
            world.heal();
            world.recover()?;
            world.calm()?;
            Ok(world.run())
        }));
        played.unwrap_or_else(|panic| Err(self.0.broken(format!("panic: {}", words(&*panic)))))
    }

    /// Reports of the coordinator and of shards on each other, one a line.
    pub fn log(&self) -> String {
        self.0.log()
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without words".to_owned())
}
