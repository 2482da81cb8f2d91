//! Lists of an operator that replace each other while its shards run.

use antiphon_fixture::Scripted;
use antiphon_sim::Setup;
use antiphon_wire::ToCoordinator;

const ROUNDS: (u64, u64) = (1, 3);
const LATER: (u64, u64) = (4, 6);

/// Three shards of one operator, which have signed epoch 1.
fn three_shards() -> Scripted {
    let mut setup = Setup::small(3, 0);
    setup.operators = 1;
    let mut shards = Scripted::new(setup);
    shards.signed(1, ROUNDS);
    shards
}

#[test]
fn a_list_that_a_newer_one_replaces_is_signed_by_no_shard_that_knows() {
    let mut shards = three_shards();
    // Made while the list before was in use, and shown by a coordinator that hides the newer one.
    let offers = shards.call(2, LATER);
    let document = shards.assemble(2, LATER, &offers);
    let contributions = Scripted::in_order(&document, &offers);
    let newer = shards.next_list(0, (2, 2), &[0, 1, 2]);
    for i in 0..3 {
        shards.give_list(i, &newer).unwrap();
        assert_eq!(shards.saved(i).list.number, 2);
    }
    shards.all_refuse(&document, &contributions, "list 2 holds for its epoch", &[]);
    assert_eq!(shards.registration(0).list, newer);
}

#[test]
fn a_shard_registers_with_a_new_list_once_its_first_epoch_is_next() {
    let mut shards = three_shards();
    let later = shards.next_list(0, (2, 3), &[0, 1, 2]);
    for i in 0..3 {
        shards.give_list(i, &later).unwrap();
        assert_eq!(shards.registration(i).list.claimed().number, 1, "epoch 2 is next");
    }
    shards.signed(2, LATER);
    for i in 0..3 {
        assert_eq!(shards.registration(i).list, later);
    }
}

#[test]
fn a_list_for_an_epoch_that_is_signed_already_is_not_taken() {
    let mut shards = three_shards();
    let early = shards.next_list(0, (2, 1), &[0, 1, 2]);
    let why = shards.give_list(0, &early).unwrap_err();
    assert!(why.contains("has signed a document for epoch 1 already"), "{why}");
    let other = shards.next_list(0, (1, 1), &[0]);
    assert!(shards.give_list(0, &other).unwrap_err().contains("another list"));
    let newer = shards.next_list(0, (3, 4), &[0, 1, 2]);
    shards.give_list(0, &newer).unwrap();
    for (number, first, reason) in [(2, 5, "older than list 3"), (4, 5, "still to come")] {
        let list = shards.next_list(0, (number, first), &[0, 1, 2]);
        let why = shards.give_list(0, &list).unwrap_err();
        assert!(why.contains(reason), "{why}");
    }
    assert_eq!(shards.saved(0).list.number, 3);
}

#[test]
fn the_end_of_a_list_and_the_list_after_it_begin_together() {
    let mut shards = three_shards();
    let (end, after) = (shards.next_list(0, (2, 3), &[]), shards.next_list(0, (3, 3), &[0, 1, 2]));
    let other = shards.next_list(0, (3, 4), &[0, 1, 2]);
    let same_number = shards.next_list(0, (2, 3), &[0, 1, 2]);
    for i in 0..3 {
        assert!(shards.give_list(i, &end).unwrap().is_empty(), "nothing changes yet");
        assert!(shards.give_list(i, &same_number).unwrap_err().contains("another list"));
        assert!(shards.give_list(i, &other).unwrap_err().contains("still to come"));
        shards.give_list(i, &after).unwrap();
    }
    // The list before the end goes on until they begin.
    shards.signed(2, LATER);
    shards.signed(3, (7, 9));
    assert_eq!(shards.registration(0).list, after);
}

#[test]
fn a_shard_that_is_on_its_operators_list_no_more_leaves() {
    let mut shards = three_shards();
    let without = shards.next_list(0, (2, 2), &[0, 1]);
    let said = shards.give_list(2, &without).unwrap();
    assert!(matches!(said[..], [ToCoordinator::Leaving]), "{said:?}");
    let said = shards.give_list(1, &without).unwrap();
    assert!(matches!(said[..], [ToCoordinator::Register { .. }]), "{said:?}");
}
