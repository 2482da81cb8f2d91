//! What a client takes from a gateway and a coordinator that cheat, and what it does not.

use antiphon_client_core::{
    Checkpoint, Client, ClientConfig, DocumentRefusal, EntropySource, Event, Input, Output,
    RoundRefusal,
};
use antiphon_fixture::Scripted;
use antiphon_routing::DocumentError;
use antiphon_sim::{START, Setup};
use antiphon_wire::{Epoch, NetworkFile, Round, SignedDocument, Timestamp, ToClient};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

/// A client by itself, and what it had made durable.
struct Alone {
    client: Client,
    file: NetworkFile,
    saved: Option<Checkpoint>,
    seed: u64,
}

impl Alone {
    fn new(file: &NetworkFile) -> Self {
        let mut alone =
            Self { client: client(file, None, 0), file: file.clone(), saved: None, seed: 0 };
        alone.restart();
        alone
    }

    /// Another process with other randomness.
    fn restart(&mut self) {
        self.seed += 1;
        self.client = client(&self.file, self.saved, self.seed);
    }

    fn tell(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.client.handle(now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.client.poll()).collect();
        for output in &outputs {
            match output {
                Output::Persist(checkpoint) => self.saved = Some(*checkpoint),
                Output::Submit { epoch, round, .. } => {
                    let mark = self.saved.expect("it persists before it submits").mark;
                    assert_eq!((mark.epoch, mark.round), (*epoch, *round));
                }
                Output::Cells { .. }
                | Output::Leave { .. }
                | Output::Resume { .. }
                | Output::AskBoxes { .. }
                | Output::Event(_) => {}
            }
        }
        outputs
    }

    fn offer(&mut self, now: Timestamp, signed: &SignedDocument) -> Result<(), DocumentRefusal> {
        for output in self.tell(now, Input::from(ToClient::Document { document: signed.clone() })) {
            if let Output::Event(Event::DocumentRefused { error }) = output {
                return Err(error);
            }
        }
        Ok(())
    }

    /// The onions submitted for a round, if any, or why there are none.
    fn open(&mut self, now: Timestamp, epoch: u64, round: u64) -> Result<Vec<u8>, RoundRefusal> {
        let (epoch, round) = (Epoch(epoch), Round(round));
        let mut onion_sets = Vec::new();
        for output in
            self.tell(now, Input::from(ToClient::Opened { epoch, round, closes_in_ms: 400 }))
        {
            match output {
                Output::Submit { onions, .. } => onion_sets.push(onions),
                Output::Event(Event::RoundRefused { error, .. }) => return Err(error),
                _ => {}
            }
        }
        assert!(onion_sets.len() <= 1);
        Ok(onion_sets.pop().unwrap_or_default())
    }

    fn newest(&self) -> Option<Epoch> {
        self.client.newest_epoch().map(|epoch| epoch.epoch())
    }
}

fn client(file: &NetworkFile, restored: Option<Checkpoint>, seed: u64) -> Client {
    let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(seed));
    Client::new(ClientConfig::new(file.clone()), restored, entropy)
}

fn shards() -> Scripted {
    Scripted::new(Setup::small(3, 0))
}

/// When a round of an epoch that starts with round 1 opens.
fn time(round: u64) -> Timestamp {
    START.plus_ms(1000 * (round - 1))
}

#[test]
fn documents_that_are_not_fully_signed_are_refused() {
    let mut shards = shards();
    let signed = shards.signed(1, (1, 20));
    let mut alone = Alone::new(&shards.file);

    let mut missing = signed.clone();
    missing.signatures.pop();
    let error = alone.offer(START, &missing).unwrap_err();
    let count = DocumentError::SignatureCount { found: 2, shards: 3 };
    assert_eq!(error, DocumentRefusal::Invalid(count));

    let mut forged = signed.clone();
    forged.signatures[1] = forged.signatures[0];
    let error = alone.offer(START, &forged).unwrap_err();
    let DocumentRefusal::Invalid(DocumentError::Signature { shard, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(shard.position(), 1);

    let mut changed = signed.clone();
    changed.document.shards.swap(0, 1);
    assert!(matches!(alone.offer(START, &changed), Err(DocumentRefusal::Invalid(_))));

    assert_eq!(alone.newest(), None);
    assert_eq!(alone.offer(START, &signed), Ok(()));
    assert_eq!(alone.newest(), Some(Epoch(1)));
}

#[test]
fn documents_weaker_than_the_policy_are_refused_even_if_all_shards_signed() {
    let mut shards = shards();
    let signed = shards.signed(1, (1, 20));
    let mut alone = Alone::new(&shards.file);
    type Change = fn(&mut antiphon_wire::EpochDocument);
    let changes: [Change; 7] = [
        |d| d.parameters.layers -= 1,
        |d| d.shards.iter_mut().for_each(|shard| shard.noise_volume /= 2),
        |d| d.shards.iter_mut().for_each(|shard| shard.noise_sigma /= 2),
        |d| d.parameters.filter_bits = 19,
        |d| d.parameters.interval_ms = 499,
        |d| d.expires_at = d.expires_at.plus_ms(1),
        |d| {
            d.shards.truncate(1);
            d.operators.truncate(1);
        },
    ];
    for change in changes {
        let mut weaker = signed.document.clone();
        change(&mut weaker);
        let weaker = Scripted::force(weaker);
        assert_eq!(weaker.signatures.len(), weaker.document.shards.len());
        let refused = alone.offer(START, &weaker);
        assert!(
            matches!(
                refused,
                Err(DocumentRefusal::Invalid(
                    DocumentError::TooFewHops { .. }
                        | DocumentError::WeakNoise(_)
                        | DocumentError::OutOfRange { .. }
                        | DocumentError::TooFast { .. }
                        | DocumentError::Rules(_)
                ))
            ),
            "{refused:?}"
        );
    }
    assert_eq!(alone.newest(), None);
}

#[test]
fn documents_of_another_network_and_expired_ones_are_refused() {
    let mut shards = shards();
    let signed = shards.signed(1, (1, 20));
    // The same operators under another policy are another network.
    let mut policy = shards.file.policy.clone();
    policy.disturbed_rounds += 1;
    let other = NetworkFile::new(shards.file.operators.clone(), policy).unwrap();
    let error = Alone::new(&other).offer(START, &signed).unwrap_err();
    assert_eq!(
        error,
        DocumentRefusal::Invalid(DocumentError::OtherNetwork {
            found: shards.file.id(),
            expected: other.id()
        })
    );

    let expiry = signed.document.expires_at;
    let mut alone = Alone::new(&shards.file);
    assert_eq!(alone.offer(expiry, &signed), Err(DocumentRefusal::Expired));
    assert_eq!(alone.offer(START, &signed), Ok(()));
    // It does not outlive its expiry in a client that has it, either.
    assert_eq!(alone.open(expiry, 1, 20), Err(RoundRefusal::Expired));
    assert!(!alone.open(START, 1, 1).unwrap().is_empty());
}

#[test]
fn clients_follow_the_highest_number_and_never_go_back() {
    let mut shards = shards();
    let first = shards.signed(1, (1, 20));
    // Epoch numbers are skipped when proposals fail; both documents cover rounds 11 to 20.
    let second = shards.signed(7, (11, 30));
    let mut one = Alone::new(&shards.file);
    let mut other = Alone::new(&shards.file);
    assert_eq!(one.offer(START, &first), Ok(()));
    assert_eq!(other.offer(START, &second), Ok(()));
    let older = DocumentRefusal::Older { offered: Epoch(1), known: Epoch(7) };
    assert_eq!(other.offer(START, &first), Err(older.clone()));
    assert_eq!(other.open(time(11), 1, 11), Err(RoundRefusal::UnknownEpoch));

    // One that has been shown the first takes the second as soon as it sees it.
    assert!(!one.open(time(1), 1, 1).unwrap().is_empty());
    assert_eq!(one.offer(time(2), &second), Ok(()));
    assert!(!one.open(time(2), 1, 2).unwrap().is_empty());
    assert_eq!(one.open(time(11), 1, 11), Err(RoundRefusal::Superseded));
    assert!(!one.open(time(11), 7, 11).unwrap().is_empty());
    assert_eq!(one.offer(time(12), &first), Err(older.clone()));
    assert_eq!(one.open(time(12), 1, 12), Err(RoundRefusal::UnknownEpoch));
    assert_eq!(one.open(time(12), 7, 31), Err(RoundRefusal::OutsideEpoch));
    // Nor does a restart make it forget.
    one.restart();
    assert_eq!(one.offer(time(13), &first), Err(older));
    assert_eq!(one.offer(time(13), &second), Ok(()));
}

#[test]
fn two_documents_for_one_epoch_are_kept_as_evidence_and_the_first_is_followed() {
    let mut shards = shards();
    let signed = shards.signed(1, (1, 20));
    let mut other = signed.document.clone();
    other.starts_at = other.starts_at.plus_ms(1);
    // It takes every shard to be malicious.
    let other = Scripted::force(other);
    let mut alone = Alone::new(&shards.file);
    alone.offer(START, &signed).unwrap();
    assert_eq!(alone.offer(START, &other), Err(DocumentRefusal::Conflict(Epoch(1))));
    assert_eq!(alone.offer(START, &signed), Ok(()));
    assert!(!alone.open(START, 1, 1).unwrap().is_empty());
}

#[test]
fn a_round_gets_the_same_bytes_again_or_nothing() {
    let mut shards = shards();
    let signed = shards.signed(1, (1, 20));
    let mut alone = Alone::new(&shards.file);
    alone.offer(START, &signed).unwrap();
    let onions = alone.open(time(3), 1, 3).unwrap();
    assert!(!onions.is_empty());
    // A gateway that lost them, or another one, asks again.
    for _ in 0..3 {
        assert_eq!(alone.open(time(3).plus_ms(50), 1, 3).unwrap(), onions);
    }
    // Rounds passed over are gone, and so is one whose outcome is known.
    assert!(alone.open(time(4), 1, 2).unwrap().is_empty());
    alone.tell(time(4), Input::LinkLost);
    assert!(alone.open(time(4), 1, 3).unwrap().is_empty());

    // After a restart the onions are not there any more, and others must not go.
    let next = alone.open(time(5), 1, 5).unwrap();
    alone.restart();
    alone.offer(time(5), &signed).unwrap();
    assert!(alone.open(time(5), 1, 5).unwrap().is_empty());
    assert!(alone.open(time(6), 1, 4).unwrap().is_empty());
    let after = alone.open(time(6), 1, 6).unwrap();
    assert_eq!(after.len(), next.len());
    assert_ne!(after, next);
}

#[test]
fn rounds_too_fast_or_out_of_their_time_get_nothing() {
    let mut shards = shards();
    let signed = shards.signed(1, (1, 2000));
    let mut alone = Alone::new(&shards.file);
    alone.offer(START, &signed).unwrap();
    // The policy's least interval is 500 ms.
    let mut served = 0;
    for (step, round) in (1..=200u64).enumerate() {
        match alone.open(START.plus_ms(100 * step as u64), 1, round) {
            Ok(onions) => served += usize::from(!onions.is_empty()),
            Err(RoundRefusal::TooSoon(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    // 20 seconds, a few at once, and four early ones.
    assert!((44..=49).contains(&served), "{served}");
    // A round refused for its haste was not used up, but those before are.
    assert!(matches!(
        alone.open(START.plus_ms(60_000), 1, 2000),
        Err(RoundRefusal::BeforeItsTime(_))
    ));
    assert!(matches!(
        alone.open(START.plus_ms(1_200_000), 1, 201),
        Err(RoundRefusal::AfterItsTime(_))
    ));
    assert!(!alone.open(START.plus_ms(230_000), 1, 230).unwrap().is_empty());
}

/// A coordinator that opens a round every ten seconds for an hour, in epochs whose rounds are five minutes apart and of
/// which a file allows so many early ones. Returns how many a client takes part in.
fn forced(an_hour: u16, a_day: u16) -> usize {
    const LAST: u64 = 70;
    let mut setup = Setup::small(3, 0);
    setup.policy.least_round_interval_ms = 300_000;
    setup.policy.early_rounds_an_hour = an_hour;
    setup.policy.early_rounds_a_day = a_day;
    setup.coordinator.interval_ms = 300_000;
    let mut shards = Scripted::new(setup);
    let signed = shards.signed(1, (1, LAST));
    let mut alone = Alone::new(&shards.file);
    alone.offer(START, &signed).expect("it is signed by all");
    let mut round = 1;
    for ten in 0..360 {
        if round > LAST {
            break;
        }
        match alone.open(START.plus_ms(10_000 * ten), 1, round) {
            Ok(onions) => {
                assert!(!onions.is_empty());
                round += 1;
            }
            Err(RoundRefusal::TooSoon(_) | RoundRefusal::BeforeItsTime(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    round as usize - 1
}

#[test]
fn forced_early_rounds_are_those_that_the_file_allows_and_no_more() {
    // Twelve that fit into the hour, and one at its begin.
    assert_eq!(forced(0, 0), 13);
    assert_eq!(forced(4, 24), 13 + 4);
    assert_eq!(forced(4, 3), 13 + 3);
    // A client that ignored the file's figures would take part in all that there are.
    assert_eq!(forced(1000, 1000), 70);
}

#[test]
fn an_epoch_that_is_handed_over_before_it_began_serves_its_rounds_until_then() {
    let mut shards = shards();
    let [first, second, third] = [(1, (1, 10)), (2, (11, 20)), (3, (14, 30))]
        .map(|(epoch, rounds)| shards.signed(epoch, rounds));
    let mut alone = Alone::new(&shards.file);
    for signed in [&first, &second] {
        assert_eq!(alone.offer(START, signed), Ok(()));
    }
    assert!(alone.open(time(10), 1, 10).is_ok_and(|onions| !onions.is_empty()));
    assert_eq!(alone.offer(time(11), &third), Ok(()));
    for round in 11..14 {
        let served = alone.open(time(round), 2, round);
        assert!(served.is_ok_and(|onions| !onions.is_empty()), "{round}");
    }
    assert_eq!(alone.open(time(14), 2, 14), Err(RoundRefusal::Superseded));
    assert!(alone.open(time(14), 3, 14).is_ok_and(|onions| !onions.is_empty()));
    // One that begins no later leaves the one before it nothing to serve.
    let (fourth, fifth) = (shards.signed(4, (20, 40)), shards.signed(5, (18, 40)));
    for signed in [&fourth, &fifth] {
        assert_eq!(alone.offer(time(15), signed), Ok(()));
    }
    assert_eq!(alone.open(time(20), 4, 20), Err(RoundRefusal::UnknownEpoch));
    assert!(alone.open(time(20), 5, 20).is_ok_and(|onions| !onions.is_empty()));
}
