//! A gateway may say anything, in any order.

use std::sync::LazyLock;

use antiphon_mock_mix::Mix;
use proptest::prelude::*;

use super::*;

static MIXES: LazyLock<[Mix; 2]> = LazyLock::new(|| [mix(1, 5, 1), mix(2, 12, 1)]);

fn input() -> impl Strategy<Value = Input> {
    let round = || (0u64..4, 0u64..30).prop_map(|(epoch, round)| (Epoch(epoch), Round(round)));
    prop_oneof![
        1 => (0usize..2).prop_map(|i| Input::from(ToClient::Document { document: MIXES[i].signed.clone() })),
        6 => (round(), any::<u32>())
            .prop_map(|((epoch, round), closes_in_ms)| Input::from(ToClient::Opened { epoch, round, closes_in_ms })),
        3 => (round(), prop_oneof![Just(512usize), 0usize..600])
            .prop_map(|((epoch, round), n)| Input::from(ToClient::Replies { epoch, round, replies: Blob(vec![0; n]) })),
        2 => round().prop_map(|(epoch, round)| {
            let statements = (0..3).map(|shard| MIXES[0].withheld(round, shard)).collect();
            Input::from(ToClient::Aborted { epoch, round, statements })
        }),
        1 => round().prop_map(|(epoch, round)| Input::from(ToClient::Refused { epoch, round, reason: Blob(Vec::new()) })),
        1 => Just(Input::LinkLost),
        1 => Just(Input::Linked),
        1 => Just(Input::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_round_is_built_twice_and_none_without_a_checkpoint(
        inputs in prop::collection::vec((0u64..4000, input()), 0..60),
    ) {
        let mut client = client(&MIXES[0], 1, None);
        document(&mut client, &MIXES[0]);
        client.open_conversation(&opening(Role::First)).unwrap();
        let mut now = STARTS_AT;
        let mut submitted: Vec<(Round, Vec<u8>)> = Vec::new();
        let mut mark = None;
        for (passed, input) in inputs {
            now = now.plus_ms(passed);
            client.handle(now, input);
            for output in drain(&mut client) {
                match output {
                    Output::Persist(checkpoint) => {
                        prop_assert!(Some(checkpoint.mark.round) > mark);
                        mark = Some(checkpoint.mark.round);
                    }
                    Output::Submit { round, onions, .. } => {
                        prop_assert!(mark >= Some(round));
                        match submitted.iter().find(|(of, _)| *of == round) {
                            Some((_, before)) => prop_assert_eq!(before, &onions),
                            None => {
                                prop_assert_eq!(mark, Some(round));
                                submitted.push((round, onions));
                            }
                        }
                    }
                    Output::Cells { .. }
                    | Output::Leave { .. }
                    | Output::Resume { .. }
                    | Output::AskBoxes { .. }
                    | Output::Event(_) => {}
                }
            }
            prop_assert!(client.ledger().charged() as usize <= submitted.len());
            prop_assert!(client.in_flight.len() <= 8);
        }
    }
}
