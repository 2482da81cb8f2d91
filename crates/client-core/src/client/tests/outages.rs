//! What a partner's absence costs, and that it ends.

use antiphon_mock_mix::Mix;

use super::*;

const EPOCHS: u64 = 7;
/// An hour of 5-second rounds.
const HOUR: u64 = 720;

/// A document for the epoch that `round` is in, whenever one begins.
fn enter(client: &mut Client, mixes: &[Mix], round: u64) {
    let mix = &mixes[(round / mix::ROUNDS) as usize];
    if round.is_multiple_of(mix::ROUNDS) {
        document(client, mix);
        // Epochs of this test all begin at one time.
        client.clock = RoundClock::new(0);
    }
}

#[test]
fn an_hours_absence_costs_fewer_than_20_units_and_messages_arrive_soon_after_it() {
    let mixes: Vec<_> = (0..EPOCHS).map(|i| mix(1 + i, i * mix::ROUNDS, 1)).collect();
    let mix = |round: u64| &mixes[(round / mix::ROUNDS) as usize];
    for start in [Start::Dense, Start::Sparse] {
        let mut waits = client(&mixes[0], 1, None);
        let opened = Opening { start, ..opening(Role::First) };
        let first = waits.open_conversation(&opened).unwrap();
        waits.continue_at_a_price(90);
        waits.send(first, b"are you there".to_vec()).unwrap();
        for round in 0..HOUR {
            enter(&mut waits, &mixes, round);
            let submitted = onions(&open(&mut waits, mix(round), round));
            let replies = mix(round).exchange(Round(round), &[submitted]).remove(0);
            reply(&mut waits, mix(round), round, replies);
        }
        let spent = waits.budget().spent;
        assert!((1..20).contains(&spent), "{spent} units, {start:?}");

        let mut comes = client(&mixes[0], 2, None);
        let second = comes.open_conversation(&Opening { role: Role::Second, ..opened }).unwrap();
        document(&mut comes, mix(HOUR));
        let mut clients = [waits, comes];
        let arrived = (HOUR..HOUR + 256).find(|&round| {
            clients.iter_mut().for_each(|client| enter(client, &mixes, round));
            let outputs = play(&mut clients, mix(round), round);
            outputs[1].iter().any(|output| {
                matches!(output, Output::Event(Event::Received { conversation, message })
                    if *conversation == second && message == b"are you there")
            })
        });
        assert!(arrived.is_some(), "{start:?}");
        for client in &clients {
            let Budget { total, spent, reserved, left } = client.budget();
            assert_eq!(total, spent + reserved + left);
            assert!(spent < 40, "{spent} units, {start:?}");
        }
    }
}
