//! A coordinator that proposes what it must not.

use antiphon_fixture::Scripted;
use antiphon_routing::Offer;
use antiphon_sim::Setup;
use antiphon_wire::{
    Contribution, Epoch, EpochDocument, NetworkFile, OperatorIndex, Policy, ToCoordinator,
};

const ROUNDS: (u64, u64) = (1, 3);

type Change = fn(&mut EpochDocument);

#[test]
fn no_honest_shard_signs_parameters_weaker_than_the_policy() {
    let day_ms = 24 * 3600 * 1000;
    assert_eq!(day_ms, 86_400_000);
    let changes: [(&str, Change, &str); 27] = [
        ("fewer layers", |d| d.parameters.layers -= 1, "mixing hops"),
        ("less noise", |d| for_operator(d, 0, |s| s.noise_volume /= 2), "noise is weaker"),
        ("no noise", |d| for_operator(d, 0, |s| s.noise_volume = 0), "noise"),
        ("narrow noise", |d| for_operator(d, 0, |s| s.noise_sigma /= 2), "noise is weaker"),
        ("one shard's noise", |d| d.shards[1].noise_volume += 2, "has other noise"),
        ("haste", |d| d.parameters.interval_ms = 499, "a round every 499 ms"),
        ("an epoch of months", |d| d.parameters.interval_ms = u32::MAX, "allows 21600 an epoch"),
        ("patience", |d| d.parameters.layer_ms = 30_001, "30001 ms for a layer's batches"),
        ("more pairs", |d| d.parameters.pairs_per_client = 2, "2 pairs of onions a client"),
        ("one operator's noise", |d| for_operator(d, 1, double_noise), "not divided"),
        ("gathered noise", gather_noise, "not divided"),
        ("noise that is wide on paper", state_much_noise, "not divided"),
        ("lax filters", |d| d.parameters.filter_bits = 19, "false-positive"),
        ("no pairs", |d| d.parameters.pairs_per_client = 0, "pairs per client"),
        ("no time", |d| d.parameters.layer_ms = 0, "deadline"),
        ("another suite", |d| d.parameters.suite = 2, "suite 2"),
        ("another service", |d| d.parameters.service = 9, "service 9"),
        ("another version", |d| d.version += 1, "of the protocol instead"),
        ("another network", |d| d.network.0[0] ^= 1, "another network"),
        ("expired", |d| d.expires_at = d.starts_at, "clock"),
        ("far ahead", |d| d.starts_at = d.starts_at.plus_ms(90_000_000), "clock"),
        ("valid for too long", |d| d.expires_at = d.expires_at.plus_ms(1), "expiry"),
        ("fewer rounds", |d| d.last_round.0 -= 1, "joint seal keys"),
        ("other rounds", shift_rounds, "contribution for shard"),
        ("another joint key", |d| d.joint_seal_keys.swap(0, 1), "joint seal key of round 1"),
        ("no joint key", |d| d.joint_seal_keys[1] = identity_point(), "joint seal key of round 2"),
        ("shards in disorder", |d| d.shards.swap(2, 3), "out of order"),
    ];
    let mut shards = Scripted::of_five_operators();
    let (document, contributions) = shards.honest(1, ROUNDS);
    for (name, change, reason) in changes {
        println!("{name}");
        let mut weaker = document.clone();
        change(&mut weaker);
        let position = |keys: &Contribution| {
            weaker.shards.iter().position(|shard| shard.identity == keys.identity)
        };
        let mut contributions = contributions.clone();
        contributions.sort_by_key(position);
        shards.all_refuse(&weaker, &contributions, reason, &[]);
    }
    // None of this keeps them from signing an honest proposal.
    assert!(shards.propose_to_all(&document, &contributions).iter().all(|(_, a)| a.is_ok()));
}

#[test]
fn hops_follow_the_total_and_a_document_above_it_is_refused() {
    let hops = |total_delta| {
        let mut setup = Setup::small(5, 0);
        setup.policy = Policy { total_delta, least_mixing_hops: 2, ..Policy::DEFAULT };
        let mut shards = Scripted::new(setup);
        let (document, contributions) = shards.honest(1, ROUNDS);
        let answers = shards.propose_to_all(&document, &contributions);
        assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{answers:?}");
        // One hop less leaves more.
        let mut weaker = document.clone();
        weaker.parameters.layers -= 1;
        let reason = if total_delta < 0.1 { "add up to" } else { "mixing hops" };
        shards.all_refuse(&weaker, &contributions, reason, &[]);
        document.parameters.layers - 1
    };
    // What the default network keeps at the hops that its f asks for anyway, and what it does not.
    assert_eq!(hops(0.3), 14);
    assert_eq!(hops(0.01), 18);
}

fn for_operator(
    document: &mut EpochDocument,
    operator: u16,
    change: impl Fn(&mut antiphon_wire::ShardEntry),
) {
    let of = |shard: &&mut antiphon_wire::ShardEntry| shard.operator == OperatorIndex(operator);
    document.shards.iter_mut().filter(of).for_each(change);
}

fn double_noise(shard: &mut antiphon_wire::ShardEntry) {
    shard.noise_volume *= 2;
    shard.noise_sigma *= 2;
}

/// As much variance as before, but two operators have all of it: fewer onions, and none that enter elsewhere.
fn gather_noise(document: &mut EpochDocument) {
    for shard in &mut document.shards {
        if shard.operator < OperatorIndex(2) {
            double_noise(shard);
        } else {
            (shard.noise_volume, shard.noise_sigma) = (4, 64);
        }
    }
}

/// One operator has all that is wider than a pair, and the others state widths that whole pairs hardly show.
fn state_much_noise(document: &mut EpochDocument) {
    for shard in &mut document.shards {
        if shard.operator != OperatorIndex(0) {
            (shard.noise_volume, shard.noise_sigma) = (4, 256);
        }
    }
}

fn shift_rounds(document: &mut EpochDocument) {
    document.first_round.0 += 1;
    document.last_round.0 += 1;
}

fn identity_point() -> [u8; 32] {
    let mut identity = [0; 32];
    identity[0] = 1;
    identity
}

#[test]
fn a_shard_signs_its_own_keys_and_addresses_only() {
    let mut shards = Scripted::of_five_operators();
    let (document, contributions) = shards.honest(1, ROUNDS);
    let owner = shards.position(&document.shards[0].identity);
    let other = shards.position(&document.shards[1].identity);

    let mut swapped = document.clone();
    swapped.shards[0].onion_key = document.shards[1].onion_key;
    let why = shards.propose(owner, &swapped, &contributions).unwrap_err();
    assert!(why.contains("keys are not in the document as they were offered"), "{why}");
    let why = shards.propose(other, &swapped, &contributions).unwrap_err();
    assert!(why.contains("contribution for shard 0"), "{why}");

    let mut moved = document.clone();
    moved.shards[0].client_addresses = document.shards[1].client_addresses.clone();
    let why = shards.propose(owner, &moved, &contributions).unwrap_err();
    assert!(why.contains("addresses"), "{why}");

    // A document that was composed before the coordinator heard of new addresses is as good as any.
    let address = std::net::SocketAddr::from(([192, 0, 2, 7], 7));
    let said = shards.move_to(owner, address);
    assert!(matches!(said[..], [ToCoordinator::Register { .. }]), "{said:?}");
    assert_eq!(shards.move_to(owner, address), [], "they are not new");
    let mut elsewhere = document.clone();
    elsewhere.shards[0].peer_addresses = address.into();
    elsewhere.shards[0].client_addresses = document.shards[1].client_addresses.clone();
    let why = shards.propose(owner, &elsewhere, &contributions).unwrap_err();
    assert!(why.contains("addresses"), "{why}");

    // The keys that others are shown as its own.
    let mut shown = contributions.clone();
    shown[0].seal_keys = contributions[1].seal_keys.clone();
    shown[0].proof = contributions[1].proof;
    let why = shards.propose(owner, &document, &shown).unwrap_err();
    assert!(why.contains("keys are not in the document as they were offered"), "{why}");
    let why = shards.propose(other, &document, &shown).unwrap_err();
    assert!(why.contains("shard 0: it has no valid proof of possession"), "{why}");
}

/// The network file as somebody would like it who is content with less.
fn lax(file: &NetworkFile) -> NetworkFile {
    let mut policy = file.policy.clone();
    policy.malicious_ppm = 0;
    NetworkFile::new(file.operators.clone(), policy).expect("f = 0 is in range")
}

#[test]
fn rosters_below_the_quorum_are_refused() {
    let mut shards = Scripted::of_five_operators();
    let offers = shards.call(1, ROUNDS);
    // Three of five operators: more than half, but not more than (1+f)/2.
    let few: Vec<Offer> = offers
        .iter()
        .filter(|offer| offer.registration.list.claimed().operator < OperatorIndex(3))
        .cloned()
        .collect();
    let mut document = shards.assemble_for(&lax(&shards.file), 1, ROUNDS, &few);
    document.network = shards.file.id();
    let contributions = Scripted::in_order(&document, &few);
    shards.all_refuse(&document, &contributions, "more than 3 is needed", &[]);

    // An operator with one of its three shards would make the quorum.
    let mut four: Vec<Offer> = offers
        .iter()
        .filter(|offer| offer.registration.list.claimed().operator < OperatorIndex(4))
        .cloned()
        .collect();
    let document = shards.assemble(1, ROUNDS, &four);
    let mut thin = document.clone();
    thin.shards.truncate(thin.shards.len() - 2);
    four.truncate(four.len());
    let contributions = Scripted::in_order(&thin, &four);
    shards.all_refuse(&thin, &contributions, "no more than half of its shards", &[]);
    // Nor does leaving its list out help.
    thin.operators.pop();
    shards.all_refuse(&thin, &contributions, "is not on its operator's list", &[]);
}

#[test]
fn lists_that_are_not_the_operators_own_for_this_epoch_are_refused() {
    let mut shards = Scripted::of_five_operators();
    let (document, contributions) = shards.honest(1, ROUNDS);
    let list = document.operators[0].claimed().clone();

    let with = |list| {
        let mut other = document.clone();
        other.operators[0] = list;
        other
    };
    let forged = with(Scripted::list(list.clone(), 1));
    shards.all_refuse(&forged, &contributions, "is not signed by the operator", &[]);

    let mut over = list.clone();
    over.last_epoch = Epoch(0);
    let over = with(Scripted::list(over, 0));
    shards.all_refuse(&over, &contributions, "does not hold for this epoch", &[]);

    let mut short = list.clone();
    short.shards.pop();
    let short = with(Scripted::list(short, 0));
    shards.all_refuse(&short, &contributions, "is not on its operator's list", &[]);

    let mut twice = list.clone();
    twice.shards.push(twice.shards[0]);
    let twice = with(Scripted::list(twice, 0));
    shards.all_refuse(&twice, &contributions, "names a shard twice", &[]);

    let mut elsewhere = list.clone();
    elsewhere.network.0[0] ^= 1;
    let elsewhere = with(Scripted::list(elsewhere, 0));
    shards.all_refuse(&elsewhere, &contributions, "is for another network", &[]);
}

#[test]
fn no_operator_gains_a_shard_by_claiming_another_ones() {
    let mut shards = Scripted::of_five_operators();
    let mut offers = shards.call(1, ROUNDS);
    let stolen = offers[0].contribution.identity;
    let thief = offers[1].registration.list.claimed().operator;
    let mut list = offers[1].registration.list.claimed().clone();
    list.shards.push(stolen);
    let list = Scripted::list(list, 1);
    let honest = offers.clone();
    for offer in &mut offers {
        let of = offer.registration.list.claimed().operator;
        if of == thief || offer.contribution.identity == stolen {
            offer.registration.list = list.clone();
        }
    }
    // The shard made its proofs as its own operator's.
    let document = shards.assemble(1, ROUNDS, &offers);
    let contributions = Scripted::in_order(&document, &offers);
    shards.all_refuse(&document, &contributions, "no valid proof of possession", &[]);

    // Under both operators at once.
    let mut twice = shards.assemble(1, ROUNDS, &honest);
    twice.operators[1] = list;
    let entry = twice.shards.iter().find(|shard| shard.identity == stolen).unwrap().clone();
    let mut entry = antiphon_wire::ShardEntry { operator: thief, ..entry };
    let at = twice.shards.iter().position(|shard| shard.operator == thief).unwrap();
    entry.noise_volume = twice.shards[at].noise_volume;
    twice.shards.insert(at, entry);
    // Its one contribution would count twice.
    let contributions = Scripted::in_order(&twice, &honest);
    shards.all_refuse(&twice, &contributions, "the list of contributions does not fit it", &[]);
}
