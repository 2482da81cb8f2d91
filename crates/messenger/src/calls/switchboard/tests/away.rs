//! What it costs that a partner is away for a month, and how soon it has what was said on the first day: whole clients with
//! real onions while a session stands, and call rounds alone while none does, as idle rounds cost nothing.

use std::collections::BTreeMap;

use antiphon_client::{ConversationId, ConversationSecret, CoreEvent, Role, Start};
use antiphon_client_core::{
    Client, ClientConfig, EntropySource, Event, Input, Level, Opening, Output,
};
use antiphon_mock_mix::{Mix, Plan};
use antiphon_wire::{Blob, ToClient};

use super::super::super::rhythm::{Rhythm, Step};
use super::*;

const BEGINS: Timestamp = Timestamp(1_000_000_000);
const ROUND_MS: u64 = 5000;
const EPOCH_ROUNDS: u64 = 150;
const DAY: u64 = 17_280;

fn time(round: Round) -> Timestamp {
    BEGINS.plus_ms(round.0 * ROUND_MS)
}

/// A whole end: the calls, a client, and the session that stands.
struct User {
    end: End,
    client: Client,
    role: Role,
    session: Option<Talking>,
    /// What is to be said as soon as there is a session.
    says: Option<Vec<u8>>,
    received: Vec<(Round, Vec<u8>)>,
    epoch: Option<u64>,
}

struct Talking {
    id: ConversationId,
    call: CallRound,
    rhythm: Rhythm,
    level: Level,
}

impl User {
    fn new(mix: &Mix, line: Line, role: Role, seed: u64) -> Self {
        let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(seed));
        let mut client = Client::new(ClientConfig::new(mix.network.clone()), None, entropy);
        client.continue_at_a_price(100);
        let mut end = End::new(1);
        end.board.add(contact(0), line);
        let (session, says, received) = (None, None, Vec::new());
        Self { end, client, role, session, says, received, epoch: None }
    }

    fn drain(&mut self, round: Round) -> Vec<Output> {
        let outputs: Vec<_> = std::iter::from_fn(|| self.client.poll()).collect();
        for output in &outputs {
            let Output::Event(event) = output else { continue };
            if let Event::Received { message, .. } = event {
                self.received.push((round, message.clone()));
            }
            let Some(talking) = &mut self.session else { continue };
            match event {
                CoreEvent::Met { .. } => talking.rhythm.heard(),
                CoreEvent::Rhythm { level, .. } => {
                    talking.rhythm.at_level(time(round), talking.level, *level);
                    talking.level = *level;
                }
                _ => {}
            }
        }
        outputs
    }

    /// Opens the session that stands by the calls, if the client has not.
    fn follow(&mut self, round: Round) {
        let Some(&(_, call, first)) = self.end.opened.last() else { return };
        if self.session.is_some() || self.end.session(0) != Some(call) {
            return;
        }
        let secret = self.end.board.line(contact(0)).unwrap().roots.session(call).unwrap();
        let opening = Opening::new(ConversationSecret(secret.0), self.role, Start::Dense);
        let id = self.client.open_conversation(&Opening { first, ..opening }).unwrap();
        let rhythm = Rhythm::new(time(round), false);
        self.session = Some(Talking { id, call, rhythm, level: Level::DENSEST });
    }

    /// Ends the session if that is due.
    fn keep_time(&mut self, round: Round) {
        let now = time(round);
        let Some(talking) = &mut self.session else { return };
        if let Some(says) = self.says.take() {
            self.client.send(talking.id, says).unwrap();
        }
        if talking.rhythm.due(now, false) == Some(Step::Sleep) {
            self.client.end_conversation(talking.id);
            self.end.board.over(now, contact(0), talking.call, true);
            self.session = None;
        }
    }

    fn onions(&mut self, mix: &Mix, round: Round) -> Vec<u8> {
        let (now, epoch) = (time(round), mix.signed.document.epoch);
        if self.epoch != Some(epoch.0) {
            let document = mix.signed.clone();
            self.client.handle(now, Input::from(ToClient::Document { document }));
            self.epoch = Some(epoch.0);
        }
        let opened = ToClient::Opened { epoch, round, closes_in_ms: 500 };
        self.client.handle(now, Input::from(opened));
        let onions = self.drain(round).into_iter().find_map(|output| match output {
            Output::Submit { onions, .. } => Some(onions),
            _ => None,
        });
        onions.expect("a client submits in each round that it is there")
    }
}

/// The network's epochs, made as they are needed.
#[derive(Default)]
struct Epochs(BTreeMap<u64, Mix>);

impl Epochs {
    fn of(&mut self, round: Round) -> &Mix {
        let number = round.0 / EPOCH_ROUNDS;
        let made = self.0.len() as u64;
        self.0.entry(number).or_insert_with(|| {
            let first = number * EPOCH_ROUNDS;
            // Operators' lists of shards end after a thousand epochs.
            let mut plan = Plan::new(made + 1, first, time(Round(first)));
            plan.policy.services = SERVICES;
            plan.interval_ms = ROUND_MS as u32;
            Mix::new(&plan)
        })
    }
}

/// Plays a round for those who are there.
fn round(users: &mut [&mut User], epochs: &mut Epochs, round: Round) {
    match SERVICES.of(round) {
        RoundKind::Calls => {
            let mut ends: Vec<&mut End> = users.iter_mut().map(|user| &mut user.end).collect();
            play(&mut ends, time(round), round, false);
            users.iter_mut().for_each(|user| user.follow(round));
        }
        RoundKind::DeadDrops if users.iter().any(|user| user.session.is_some()) => {
            let mix = epochs.of(round);
            users.iter_mut().for_each(|user| user.keep_time(round));
            let submitted: Vec<_> = users.iter_mut().map(|user| user.onions(mix, round)).collect();
            let replies = mix.exchange(round, &submitted);
            for (user, replies) in users.iter_mut().zip(replies) {
                let epoch = mix.signed.document.epoch;
                let replies = ToClient::Replies { epoch, round, replies: Blob(replies) };
                user.client.handle(time(round), Input::from(replies));
                user.drain(round);
            }
        }
        RoundKind::DeadDrops | RoundKind::Invitations => {}
    }
}

#[test]
fn thirty_days_of_absence_cost_16_units_at_most_and_end_three_call_rounds_and_three_rounds_after_return()
 {
    let mut epochs = Epochs::default();
    let mix = epochs.of(Round(0));
    let [mine, theirs] = lines(7);
    let mut waits = User::new(mix, mine, Role::First, 1);
    let mut away = User::new(mix, theirs, Role::Second, 2);
    waits.end.board.wants(contact(0), true);
    waits.says = Some(b"hello".to_vec());
    for number in 0..60 {
        round(&mut [&mut waits, &mut away], &mut epochs, Round(number));
    }
    assert_eq!(away.received.len(), 1, "they talk");
    assert_eq!(waits.client.ledger().charged(), 0);

    // Said on the first day, to nobody.
    waits.says = Some(b"are you there".to_vec());
    let back = 30 * DAY;
    for number in 60..back {
        round(&mut [&mut waits], &mut epochs, Round(number));
    }
    let charged = waits.client.ledger().charged();
    assert!((1..=16).contains(&charged), "{charged} units");
    assert!(waits.session.is_none() && waits.end.calls < 60, "{} calls", waits.end.calls);

    // What has no receipt is said again in the next session.
    waits.says = Some(b"are you there".to_vec());
    let [_, mut line] = lines(7);
    line.begin(false);
    let mut away = User::new(epochs.of(Round(back)), line, Role::Second, 3);
    let soon = back + 3 * 12 + 3;
    for number in back..soon {
        round(&mut [&mut waits, &mut away], &mut epochs, Round(number));
    }
    let came: Vec<_> = away.received.iter().map(|(_, message)| &message[..]).collect();
    assert_eq!(came, [b"are you there"]);
    assert_eq!(waits.client.ledger().charged(), charged);
}
