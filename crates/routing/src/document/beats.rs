//! What a document may ask for in beats.

use antiphon_onion::CellBytes;
use antiphon_wire::{MOST_BEATS_IN_FLIGHT, Parameters, Policy};

use super::DocumentError;

/// Checks that the beats of an epoch's rounds are possible, and within the policy's bounds: layers close within its
/// longest deadline, and a round's tables are needed for no longer than keys may be.
///
/// Public, so that whoever configures a network hears of it before shards refuse.
///
/// # Errors
/// Names the bound that is broken.
pub fn beat_bounds(p: &Parameters, policy: &Policy) -> Result<(), DocumentError> {
    let beats = &p.beats;
    let out_of_range = |what| Err(DocumentError::OutOfRange { what });
    if beats.is_classic() {
        // One way to say it, so that equal documents have equal bytes.
        return if *beats == Default::default() { Ok(()) } else { out_of_range("number of beats") };
    }
    if CellBytes::new(beats.cell_bytes).is_err() {
        return out_of_range("size of a cell");
    }
    if beats.beat_ms == 0 || beats.layer_ms == 0 {
        return out_of_range("interval of beats or of their layers");
    }
    if beats.layer_ms > policy.longest_deadline_ms {
        let (found, allowed) = (beats.layer_ms, policy.longest_deadline_ms);
        return Err(DocumentError::LongDeadline { what: "a layer of a beat", found, allowed });
    }
    if beats.in_flight(p.layers) > MOST_BEATS_IN_FLIGHT {
        return out_of_range("number of beats under way at once");
    }
    // One aborted round is not to be silence. Mailbox rounds set no circuits up.
    let apart_ms = u64::from(p.interval_ms) * policy.services.rounds_apart();
    if beats.span_ms() < 2 * apart_ms {
        return out_of_range(
            "number of beats, which cover less than two intervals of rounds with dead drops,",
        );
    }
    let span_s = beats.span_ms().div_ceil(1000);
    if span_s > policy.longest_epoch_s.into() {
        return Err(DocumentError::TooLong { found: span_s, allowed: policy.longest_epoch_s });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{BeatParameters, Services};

    use super::*;

    const BEATS: BeatParameters =
        BeatParameters { beats: 150, beat_ms: 4000, layer_ms: 250, cell_bytes: 256 };

    fn check(beats: BeatParameters) -> Result<(), DocumentError> {
        beat_bounds(&parameters(beats), &Policy::default())
    }

    fn parameters(beats: BeatParameters) -> Parameters {
        Parameters {
            suite: 1,
            service: 0,
            layers: 15,
            body: 256,
            pairs_per_client: 1,
            filter_bits: 20,
            interval_ms: 300_000,
            submit_ms: 1500,
            layer_ms: 3000,
            verify_ms: 3000,
            reply_ms: 3000,
            beats,
        }
    }

    #[test]
    fn beats_that_no_machine_could_run_are_refused() {
        assert_eq!(check(BeatParameters::CLASSIC), Ok(()));
        assert_eq!(check(BEATS), Ok(()));
        let refused = [
            BeatParameters { beat_ms: 4000, ..BeatParameters::CLASSIC },
            BeatParameters { beats: 149, ..BEATS },
            BeatParameters { beats: 5401, ..BEATS },
            BeatParameters { beat_ms: 0, ..BEATS },
            BeatParameters { layer_ms: 0, ..BEATS },
            BeatParameters { layer_ms: 30_001, ..BEATS },
            BeatParameters { layer_ms: 4134, ..BEATS },
            BeatParameters { cell_bytes: 48, ..BEATS },
            BeatParameters { cell_bytes: 257, ..BEATS },
        ];
        for beats in refused {
            assert!(check(beats).is_err(), "{beats:?}");
        }
        check(BeatParameters { beats: 5400, layer_ms: 4133, ..BEATS }).unwrap();
    }

    #[test]
    fn beats_go_on_over_the_mailbox_rounds_between_rounds_with_dead_drops() {
        let services = Services { dead_drop_rounds: 1, mailbox_rounds: 4, ..Services::USUAL };
        let policy = Policy { services, ..Policy::default() };
        let parameters = Parameters { interval_ms: 60_000, ..parameters(BEATS) };
        assert_eq!(beat_bounds(&parameters, &policy), Ok(()));
        let services = Services { mailbox_rounds: 5, ..services };
        assert!(beat_bounds(&parameters, &Policy { services, ..policy }).is_err());
    }
}
