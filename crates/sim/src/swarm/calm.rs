//! Beats while nothing is amiss: every client sends cells at the same beats, talking or not, and what it sent comes back.

use std::collections::BTreeSet;

use antiphon_client_core::Event;
use antiphon_wire::Round;

use crate::{Network, Setup};

/// A beat of a round.
type Beat = (Round, u64);

/// Sees that `clients` have sent cells in the same beats of rounds from `first` on.
pub(super) fn all_send_the_same(
    network: &Network,
    first: Round,
    clients: &[usize],
) -> Result<(), String> {
    let of = |client: usize| -> BTreeSet<Beat> {
        let sent = network.record.promises.beats_of(client);
        sent.into_iter().filter(|(round, _)| *round >= first).collect()
    };
    let sent: Vec<_> = clients.iter().map(|client| (*client, of(*client))).collect();
    same(&sent)
}

/// Compares the beats that all could have sent cells in: one may have begun later, and the last may not be sent by all yet.
fn same(sent: &[(usize, BTreeSet<Beat>)]) -> Result<(), String> {
    let begun = sent.iter().filter_map(|(_, beats)| beats.first()).max();
    let ended = sent.iter().filter_map(|(_, beats)| beats.last()).min();
    let (Some(begun), Some(ended)) = (begun, ended) else { return Ok(()) };
    let all: BTreeSet<_> = sent.iter().flat_map(|(_, beats)| beats).collect();
    let between = |beat: &&&Beat| (begun..=ended).contains(*beat);
    for (client, beats) in sent {
        if let Some((round, beat)) = all.iter().filter(between).find(|beat| !beats.contains(**beat))
        {
            return Err(format!(
                "with nothing amiss: client {client} sent no cells in beat {beat} of round {round}, and others did"
            ));
        }
    }
    Ok(())
}

/// Returns `true` if every cell is in time in a network in which nothing is lost. A client goes by the clock that its gateway
/// shows, which is as late as the message that shows it, so that its cells come later by two messages.
pub(super) fn is_in_time(setup: &Setup) -> bool {
    let most_ms = 2 * (setup.link.delay_ms + setup.link.jitter_ms);
    most_ms + MARGIN_MS <= u64::from(setup.coordinator.beat_layer_ms)
}

/// What a stop of a beat has in hand, in milliseconds.
const MARGIN_MS: u64 = 10;

/// Sees that all cells of a client came back in the beats of rounds from `first` on.
pub(super) fn all_come_back(network: &Network, first: Round, client: usize) -> Result<(), String> {
    let lost = network.record.events[client].iter().find_map(|(_, event)| match event {
        Event::BeatEnded { round, spoilt, .. } if *round >= first && *spoilt > 0 => Some(event),
        _ => None,
    });
    lost.map_or(Ok(()), |event| Err(format!("with nothing amiss: client {client}, {event:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(client: usize, beats: &[u64]) -> (usize, BTreeSet<Beat>) {
        (client, beats.iter().map(|beat| (Round(1), *beat)).collect())
    }

    #[test]
    fn a_beat_that_one_client_leaves_out_is_noticed_unless_it_came_later_or_is_not_over() {
        assert_eq!(same(&[sent(0, &[1, 2, 3]), sent(1, &[2, 3, 4])]), Ok(()));
        assert!(same(&[sent(0, &[1, 2, 3]), sent(1, &[1, 3])]).is_err());
        assert!(same(&[sent(0, &[1, 2, 3]), sent(1, &[])]).is_err(), "it sent none at all");
    }
}
