//! The policy's bounds on an epoch's demands, and on its duration.

use antiphon_wire::{INVITATION_BYTES, Parameters, Policy};

use super::DocumentError;

/// Checks that an epoch's demands are within the policy's bounds.
///
/// Public, so that whoever configures a network hears of it before shards refuse.
///
/// # Errors
/// Names the bound that is broken.
pub fn bounds(p: &Parameters, rounds: u64, policy: &Policy) -> Result<(), DocumentError> {
    if p.interval_ms < policy.least_round_interval_ms {
        let needed = policy.least_round_interval_ms;
        return Err(DocumentError::TooFast { found: p.interval_ms, needed });
    }
    let nominal_s = rounds.saturating_mul(p.interval_ms.into()).div_ceil(1000);
    if nominal_s > policy.longest_epoch_s.into() {
        let allowed = policy.longest_epoch_s;
        return Err(DocumentError::TooLong { found: nominal_s, allowed });
    }
    let deadlines = [
        ("submissions", p.submit_ms),
        ("a layer's batches", p.layer_ms),
        ("filters, verdicts and seal keys", p.verify_ms),
        ("a layer's replies", p.reply_ms),
    ];
    if let Some((what, found)) =
        deadlines.into_iter().find(|each| each.1 > policy.longest_deadline_ms)
    {
        let allowed = policy.longest_deadline_ms;
        return Err(DocumentError::LongDeadline { what, found, allowed });
    }
    if p.pairs_per_client > policy.most_pairs {
        let allowed = policy.most_pairs;
        return Err(DocumentError::TooManyPairs { found: p.pairs_per_client, allowed });
    }
    if policy.services.has_mailboxes() && usize::from(p.body) < INVITATION_BYTES {
        return Err(DocumentError::OutOfRange {
            what: "size of a body, which holds an invitation,",
        });
    }
    super::beat_bounds(p, policy)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::BeatParameters;

    use super::*;
    use crate::MAX_ROUNDS;

    const HOUR: Parameters = Parameters {
        suite: 1,
        service: 0,
        layers: 15,
        body: 256,
        pairs_per_client: 1,
        filter_bits: 20,
        interval_ms: 5000,
        submit_ms: 1500,
        layer_ms: 3000,
        verify_ms: 3000,
        reply_ms: 3000,
        beats: BeatParameters::CLASSIC,
    };

    /// Keys live as long as an epoch may last: seized after years, a shard would give all of it away.
    #[test]
    fn an_epoch_that_may_last_for_forty_years_is_refused() {
        let policy = Policy::default();
        assert_eq!(bounds(&HOUR, 720, &policy), Ok(()));
        let years = Parameters { interval_ms: 9_631_000, ..HOUR };
        // Twice the nominal length is what the expiry may be.
        let longest_s = 2 * MAX_ROUNDS * u64::from(years.interval_ms) / 1000;
        assert_eq!(longest_s / (365 * 24 * 3600), 40);
        let refused = bounds(&years, MAX_ROUNDS, &policy).unwrap_err();
        assert!(matches!(refused, DocumentError::TooLong { allowed: 21_600, .. }), "{refused}");
    }

    #[test]
    fn bodies_hold_invitations_where_there_are_any() {
        let short = Parameters { body: 128, ..HOUR };
        let services = antiphon_wire::Services::USUAL;
        let policy = Policy { services, ..Policy::default() };
        assert_eq!(bounds(&short, 720, &Policy::default()), Ok(()));
        assert!(bounds(&short, 720, &policy).is_err());
        assert_eq!(bounds(&Parameters { body: 144, ..HOUR }, 720, &policy), Ok(()));
    }

    #[test]
    fn each_bound_of_the_policy_is_kept_to_the_millisecond() {
        let policy = Policy { most_pairs: 3, ..Policy::default() };
        let longest = Parameters {
            pairs_per_client: 3,
            interval_ms: 1000,
            submit_ms: 30_000,
            layer_ms: 30_000,
            verify_ms: 30_000,
            reply_ms: 30_000,
            ..HOUR
        };
        assert_eq!(bounds(&longest, 21_600, &policy), Ok(()));
        assert!(bounds(&longest, 21_601, &policy).is_err());
        let beyond = [
            Parameters { interval_ms: 999, ..longest },
            Parameters { interval_ms: 1001, ..longest },
            Parameters { submit_ms: 30_001, ..longest },
            Parameters { layer_ms: 30_001, ..longest },
            Parameters { verify_ms: 30_001, ..longest },
            Parameters { reply_ms: 30_001, ..longest },
            Parameters { pairs_per_client: 4, ..longest },
        ];
        for parameters in beyond {
            assert!(bounds(&parameters, 21_600, &policy).is_err(), "{parameters:?}");
        }
    }
}
