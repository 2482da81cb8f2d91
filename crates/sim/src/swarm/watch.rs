//! Invariants that are checked after every message.

use std::collections::BTreeMap;
use std::fmt;

use antiphon_client_core::{Checkpoint, Event, Outcome};
use antiphon_coordinator_core::Notice;
use antiphon_wire::{IdentityKey, Round, RoundOutcome, Timestamp};

use super::ledgers::LedgerModel;
use super::talk::Talk;
use crate::{Network, START, Setup};

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// When, in milliseconds from the network's start.
    pub at_ms: u64,
    /// The invariant and how it broke, in words.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms: {}", self.at_ms, self.what)
    }
}

/// Reports on one round that must not contradict each other.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// An honest shard that has opened deposits.
    opened: Option<usize>,
    /// An honest shard that has withheld its key.
    withheld: Option<usize>,
    /// A client for which it was aborted with nothing revealed.
    free: Option<usize>,
    /// A client that was not disturbed.
    undisturbed: Option<usize>,
}

/// Looks at everything that is new.
#[derive(Debug)]
pub(super) struct Watch {
    malicious: Option<usize>,
    most_under_way: usize,
    most_steps: u64,
    most_open: usize,
    ledgers: Vec<LedgerModel>,
    rounds: BTreeMap<Round, Known>,
    /// Events of each client that were checked already.
    events: Vec<usize>,
    persisted: Vec<usize>,
    ended: usize,
    /// Reports of the coordinator that were looked at.
    reported: usize,
    /// The second that is being looked at, and the steps before it.
    second: (u64, u64),
    pub(super) messages: u64,
    restarts: u64,
}

impl Watch {
    pub(super) fn new(setup: &Setup, malicious: Option<usize>) -> Self {
        let clients = setup.clients;
        let in_flight = usize::from(setup.coordinator.rounds_in_flight);
        let most_under_way = most_under_way(setup);
        Self {
            malicious,
            most_under_way,
            // Each wakes a process or two.
            most_steps: 4 * most_under_way as u64,
            most_open: if in_flight > 1 { 2 * in_flight } else { 1 },
            ledgers: vec![LedgerModel::default(); clients],
            rounds: BTreeMap::new(),
            events: vec![0; clients],
            persisted: vec![0; clients],
            ended: 0,
            reported: 0,
            second: (0, 0),
            messages: 0,
            restarts: 0,
        }
    }

    /// Looks at what is new.
    pub(super) fn step(&mut self, network: &Network, talks: &mut [Talk]) -> Result<(), Broken> {
        self.look(network, talks)
            .map_err(|what| Broken { at_ms: network.now().ms_since(START), what })
    }

    fn look(&mut self, network: &Network, talks: &mut [Talk]) -> Result<(), String> {
        if let Some(broken) = network.record.promises.broken() {
            return Err(broken.to_owned());
        }
        for client in 0..self.events.len() {
            self.look_at_client(client, network, talks)?;
        }
        self.look_at_shards(network)?;
        self.look_at_coordinator(network)?;
        self.look_at_queues(network)
    }

    fn look_at_client(
        &mut self,
        client: usize,
        network: &Network,
        talks: &mut [Talk],
    ) -> Result<(), String> {
        let (events, persisted) =
            (&network.record.events[client], &network.record.persisted[client]);
        let in_words = |what: String| format!("client {client}: {what}");
        // In the order in which things happened: what was made durable comes before the events that were told
        // after it.
        loop {
            let next = persisted.get(self.persisted[client]);
            if let Some((_, kept)) = next.filter(|(told, _)| *told <= self.events[client]) {
                self.persisted[client] += 1;
                self.ledgers[client].persisted(kept).map_err(in_words)?;
            } else if let Some((_, event)) = events.get(self.events[client]) {
                self.events[client] += 1;
                self.event(client, event, network, talks)?;
            } else {
                return Ok(());
            }
        }
    }

    fn event(
        &mut self,
        client: usize,
        event: &Event,
        network: &Network,
        talks: &mut [Talk],
    ) -> Result<(), String> {
        for talk in &mut *talks {
            self.messages += u64::from(talk.told(client, event)?);
        }
        let met = self.ledgers[client].told(event);
        if let Some((round, Outcome::Undisturbed)) = met {
            // Nobody can have been met in a round that no partner sent onions for.
            let promises = &network.record.promises;
            let mut partners = talks.iter().filter_map(|talk| talk.partner_of(client));
            if !partners.any(|partner| promises.onion_sets(partner, round) > 0) {
                return Err(format!("client {client} met somebody in round {round}: nobody came"));
            }
        }
        let Event::RoundEnded { round, outcome } = event else { return Ok(()) };
        let known = self.rounds.entry(*round).or_default();
        match outcome {
            Outcome::FreeAbort => known.free = Some(client),
            Outcome::Undisturbed => known.undisturbed = Some(client),
            Outcome::Disturbed | Outcome::ChargedAbort => {}
        }
        known.judge(*round)
    }

    fn look_at_shards(&mut self, network: &Network) -> Result<(), String> {
        let ended = &network.record.ended;
        for (_, shard, round, outcome, counts) in &ended[self.ended..] {
            // A shard that lies may count and report as it likes.
            if Some(*shard) == self.malicious {
                continue;
            }
            let known = self.rounds.entry(*round).or_default();
            if counts.pairs + counts.singles > 0 {
                known.opened = Some(*shard);
            }
            if matches!(outcome, RoundOutcome::Withheld { .. }) {
                known.withheld = Some(*shard);
            }
            known.judge(*round)?;
        }
        self.ended = ended.len();
        Ok(())
    }

    /// Who is named for garbled cells may be the shard that is not honest, and nobody else.
    fn look_at_coordinator(&mut self, network: &Network) -> Result<(), String> {
        let reports = &network.record.coordinator;
        let honest = |identity: &IdentityKey| {
            let malicious = self.malicious.map(|shard| network.identity(shard));
            malicious.as_ref() != Some(identity)
        };
        let named = reports[self.reported..].iter().find_map(|(_, notice)| match notice {
            Notice::ShardNamed { shard, .. } if honest(shard) => Some(notice),
            _ => None,
        });
        self.reported = reports.len();
        named.map_or(Ok(()), |notice| Err(format!("an honest shard is named: {notice}")))
    }

    fn look_at_queues(&mut self, network: &Network) -> Result<(), String> {
        let (under_way, open) = (network.under_way(), network.open_rounds());
        if under_way > self.most_under_way {
            return Err(format!("{under_way} messages are under way"));
        }
        if open > self.most_open {
            return Err(format!("{open} rounds are open"));
        }
        // Steps are counted by the second, so that a loop which never waits shows.
        let second = network.now().ms_since(START) / 1000;
        let (of, before) = self.second;
        if second != of {
            self.second = (second, network.steps());
        } else if network.steps() - before > self.most_steps {
            return Err(format!("{} steps in a second", network.steps() - before));
        }
        Ok(())
    }

    /// A client is started again with what it had made durable.
    pub(super) fn restarted(
        &mut self,
        client: usize,
        kept: Option<Checkpoint>,
        now: Timestamp,
    ) -> Result<(), Broken> {
        self.restarts += 1;
        self.ledgers[client].restarted(kept).map_err(|what| Broken {
            at_ms: now.ms_since(START),
            what: format!("client {client}: {what}"),
        })
    }

    /// Compares the ledgers of all clients, and says what they were charged.
    pub(super) fn compare_ledgers(&self, network: &mut Network) -> Result<u64, Broken> {
        let at_ms = network.now().ms_since(START);
        for (client, ledger) in self.ledgers.iter().enumerate() {
            let own = network.client(client);
            ledger
                .compare(own.budget(), own.attempts())
                .map_err(|what| Broken { at_ms, what: format!("client {client}: {what}") })?;
        }
        Ok(self.ledgers.iter().map(|ledger| u64::from(ledger.charged())).sum())
    }
}

impl Known {
    /// Sees that what is known of a round can be true together.
    fn judge(&self, round: Round) -> Result<(), String> {
        if let (Some(client), Some(shard)) = (self.free, self.opened) {
            return Err(format!("round {round}, free for client {client}, opened at {shard}"));
        }
        if let (Some(by), Some(shard)) = (self.withheld, self.opened) {
            return Err(format!("round {round}, withheld by shard {by}, opened at {shard}"));
        }
        if let (Some(by), Some(client)) = (self.withheld, self.undisturbed) {
            return Err(format!("round {round}, withheld by {by}, undisturbed for {client}"));
        }
        Ok(())
    }
}

/// The most messages that may be under way: for all rounds that can be open, everything that is sent
/// in one, and as much for epochs.
fn most_under_way(setup: &Setup) -> usize {
    let layers = usize::from(setup.policy.least_mixing_hops) + 12;
    let of_a_round = setup.shards * setup.shards * (2 * layers + 6) + 64 * setup.clients;
    of_a_round * (2 * usize::from(setup.coordinator.rounds_in_flight) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_true_of_a_round_together_is_noticed() {
        let (some, none) = (Some(1), None);
        let of = |opened, withheld, free, undisturbed| {
            Known { opened, withheld, free, undisturbed }.judge(Round(1)).is_ok()
        };
        assert!(of(some, none, none, some));
        assert!(of(none, some, some, none));
        assert!(!of(some, none, some, none));
        assert!(!of(some, some, none, none));
        assert!(!of(none, some, none, some));
    }
}
