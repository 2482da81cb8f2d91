//! Random networks in random trouble: the same number gives the same run.

use antiphon_sim::LinkModel;
use antiphon_sim::adversary::CellPlay;
use antiphon_sim::swarm::{Flaw, Plan, Play, Run, Span, Swarm, seeds};

/// Plays the network of a seed.
fn play(seed: u64) -> Run {
    let plan = Plan::new(seed);
    let played = Swarm::new(&plan).play();
    played.unwrap_or_else(|broken| panic!("seed {seed}: {broken}\n{plan}"))
}

#[test]
fn the_same_seed_gives_the_same_run_bit_for_bit() {
    let first = play(1);
    assert_eq!(play(1), first);
    assert!(first.totals.delivered > 10, "{first:?}");
    assert_ne!(play(2).digest, first.digest);
}

#[test]
fn seeds_of_networks_follow_from_one_and_differ() {
    let of = |seed| seeds(seed).take(100).collect::<Vec<_>>();
    assert_eq!(of(7), of(7));
    let mut all = [of(7), of(8)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 200);
}

/// A network with beats in which nothing goes wrong, and cells are in time.
fn quiet() -> Plan {
    let with_beats = |plan: &Plan| plan.setup.coordinator.beats > 0;
    let mut plan = (1..).map(Plan::new).find(with_beats).expect("half of all have beats");
    plan.setup.link = LinkModel { delay_ms: 10, jitter_ms: 5, loss_ppm: 0 };
    plan.setup.coordinator.interval_ms = 4000;
    plan.setup.coordinator.beat_ms = 1000;
    plan.setup.coordinator.beats = 8;
    plan.setup.coordinator.beat_layer_ms = 100;
    // Whoever idles is looked at most closely.
    plan.setup.clients = 4;
    plan.talks = vec![(2, 3, 2)];
    plan.trouble_ms = 8000;
    (plan.faults, plan.plays, plan.malicious, plan.leaves) = (vec![], vec![], None, None);
    plan
}

#[test]
fn about_half_of_all_networks_have_beats_and_some_have_their_cells_spoilt() {
    let plans: Vec<_> = (1..=200).map(Plan::new).collect();
    let beats = plans.iter().filter(|plan| plan.setup.coordinator.beats > 0);
    let spoilt = |plan: &&Plan| plan.plays.iter().any(|span| matches!(span.play, Play::Cells(..)));
    let (beats, spoilt) = (beats.clone().count(), beats.filter(spoilt).count());
    assert!((70..130).contains(&beats), "{beats}");
    assert!(spoilt > beats / 3, "{spoilt} of {beats}");
}

#[test]
fn an_error_in_how_beats_are_sent_is_noticed() {
    let plan = quiet();
    let played = Swarm::new(&plan).play();
    assert!(played.is_ok(), "{played:?}\n{plan}");
    let flaws = [
        (Flaw::ProcessesTwice, "twice"),
        (Flaw::SizeFollowsPresence, "bytes, and"),
        (Flaw::NoFill, "spoilt"),
        (Flaw::SilentWhenIdle, "sent no cells in beat"),
        (Flaw::CellsAnew, "made two cells"),
        (Flaw::CellsOfOtherSize, "bytes, and others"),
    ];
    for (flaw, noticed_as) in flaws {
        let broken = Swarm::new(&plan).with_flaw(flaw).play();
        let what = broken.expect_err("the flaw is not noticed").what;
        assert!(what.contains(noticed_as), "{flaw:?}: {what}");
    }
}

#[test]
fn who_is_named_for_garbled_cells_though_nobody_called_it_dishonest_is_noticed() {
    let mut plan = quiet();
    plan.trouble_ms = 80_000;
    let play = Play::Cells(1, CellPlay::Garble(2), usize::from(plan.setup.coordinator.cell_bytes));
    plan.plays = vec![Span { from_ms: 0, until_ms: plan.trouble_ms, play, seed: 1 }];
    let broken = Swarm::new(&plan).play().expect_err("it is named");
    assert!(broken.what.contains("an honest shard is named"), "{broken}");
    // Whoever is known for it may be.
    plan.malicious = Some(1);
    let played = Swarm::new(&plan).play();
    assert!(played.is_ok(), "{played:?}");
}
