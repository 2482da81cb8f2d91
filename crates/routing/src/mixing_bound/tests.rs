mod exact;
mod halfway;
mod squares;

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn population(f: u32, onions: u64, honest_shards: u32) -> MixingPopulation {
    MixingPopulation { f: Ppm::new(f).unwrap(), onions, honest_shards }
}

/// The honest noise of the five networks in the documentation's table, one fifth malicious.
fn reference_rows() -> [MixingPopulation; 5] {
    [(1216, 4), (6464, 4), (9152, 8), (5440, 80), (29_120, 80)]
        .map(|(onions, shards)| population(200_000, onions, shards))
}

#[test]
fn default_networks_prove_less_than_one_in_a_billion_a_round() {
    // The defaults: five and ten shards, at Karaoke's path length.
    for row in [population(200_000, 6464, 4), population(200_000, 9152, 8)] {
        assert!(row.conversation(14).proven < 1e-9, "{row:?}");
    }
}

#[test]
fn the_documented_table_is_what_is_computed() {
    let table = [
        (6.4e-6, 3.4e-9, 7.3e-10, 15),
        (2.1e-6, 2.3e-10, 7.5e-11, 14),
        (3.5e-6, 6.3e-10, 2.0e-10, 15),
        (1.0e-4, 1.1e-6, 1.8e-7, 19),
        (2.0e-5, 2.4e-8, 6.6e-9, 16),
    ];
    for (row, (one, proven, conjectured, hops)) in reference_rows().into_iter().zip(table) {
        let bound = row.conversation(14);
        for (found, written) in [
            (row.one_onion(14).proven, one),
            (bound.proven, proven),
            (bound.conjectured, conjectured),
        ] {
            assert!((found / written - 1.0).abs() < 0.05, "{row:?}: {found:e}, not {written:e}");
        }
        assert_eq!(row.least_mixing_hops(1e-9, BoundKind::Proven), Ok(hops), "{row:?}");
    }
}

#[test]
fn theorem_two_agrees_with_its_sums_written_out() {
    // The double sums over first and last honest hops, as in the proof, in double precision by
    // another program: split after seven layers.
    for (honest_shards, places, p, written) in [
        (4, 612.0, 1.75, 2.344_288_885e-9),
        (4, 3236.0, 1.65, 1.791_852_684e-10),
        (8, 9156.0, 1.6, 2.027_639_005e-10),
        (80, 2724.0, 1.9, 1.006_363_929e-6),
        (80, 29_124.0, 1.65, 6.568_071_724e-9),
    ] {
        let moments = Moments { f: 0.2, honest_shards: f64::from(honest_shards), places, p };
        let found = joint::bound(moments, 14);
        assert!((found / written - 1.0).abs() < 1e-6, "{moments:?}: {found:e}, not {written:e}");
    }
}

#[test]
fn squares_shrink_by_f_and_the_honest_shards_over_the_places() {
    let moments = Moments { f: 0.2, honest_shards: 4.0, places: 1000.0, p: 2.0 };
    assert!((moments.layer(1, 1000.0) - 0.204).abs() < 1e-12);
    let couples = 0.04 + 2.0 * 0.2 * 4.0 / 999.0 + 20.0 / (1000.0 * 997.0);
    assert!((moments.layer(2, 1000.0) - couples).abs() < 1e-12);
    assert!((moments.theta() - 1.0).abs() < 1e-9);
}

#[test]
fn theta_covers_every_share_of_the_places() {
    for p in [1.05, 1.3, 1.6, 1.9, 2.0] {
        let theta = Moments { f: 0.2, honest_shards: 4.0, places: 100.0, p }.theta();
        for x in (0..=1000).map(|x| f64::from(x) / 1000.0) {
            let rest = 1.0 - x;
            assert!(rest.powf(p) + rest * x.powf(p - 1.0) <= theta + 1e-9, "p={p} x={x}");
        }
    }
}

#[test]
fn what_hides_better_has_the_smaller_figure() {
    let figure = |f, onions, shards, hops| population(f, onions, shards).conversation(hops).proven;
    let base = figure(200_000, 4000, 8, 14);
    assert!(figure(200_000, 4000, 8, 15) < base);
    assert!(figure(200_000, 5000, 8, 14) < base);
    assert!(figure(200_000, 4000, 7, 14) < base);
    assert!(figure(190_000, 4000, 8, 14) < base);
}

#[test]
fn an_unsteady_number_of_pairs_costs_something_and_none_hides_nothing() {
    let row = population(200_000, 6464, 4);
    let [steady, drawn, wild] =
        [0.0, 202.0, 2000.0].map(|sd| row.conversation_given(sd, 14).proven);
    assert!(row.pairing(3232, 14) <= steady && steady < drawn && drawn < wild);
    assert!(drawn < 1.5 * steady && wild <= row.pairing(6464 / 9, 14));
    assert_eq!(row.pairing(0, 14), 1.0);
}

#[test]
fn a_disturbed_round_tells_what_following_four_onions_tells() {
    for row in reference_rows() {
        let (disturbed, undisturbed) = (row.disturbed(14), row.conversation(14));
        assert!(disturbed.proven >= 4.0 * row.one_onion(14).proven * (1.0 - 1e-3));
        assert!(disturbed.proven > 100.0 * undisturbed.proven, "first order: {disturbed:?}");
    }
}

#[test]
fn dropping_half_way_costs_a_few_times_what_dropping_at_the_gateway_does() {
    let table = [7.3e-4, 1.34e-4, 2.04e-4, 1.86e-2, 1.13e-3];
    for (row, written) in reference_rows().into_iter().zip(table) {
        let (halfway, gateway) = (row.disturbed_halfway(14), row.disturbed(14));
        assert!(halfway.proven > gateway.proven && halfway.proven < 18.0 * gateway.proven);
        let found = halfway.proven;
        assert!((found / written - 1.0).abs() < 0.05, "{row:?}: {found:e}, not {written:e}");
        assert!(row.disturbed_halfway(16).proven < halfway.proven);
    }
    assert_eq!(population(200_000, 100, 4).disturbed_halfway(14).proven, 1.0);
}

#[test]
fn one_of_each_pair_counts_double_when_a_round_is_disturbed() {
    // Draws so wild that single noise is never certain: the couple that is not paired stands out.
    let row = population(200_000, 6464, 1);
    let (fewest, hops) = (6464 / 3, 24);
    let among = |onions| MixingPopulation { onions, ..row }.one_onion(hops).proven;
    let least = 4.0 * (among(fewest + 1) + among(fewest + 2));
    let found = row.disturbed_given(1e9, hops).proven;
    assert!((found / least - 1.0).abs() < 1e-9, "{found:e} {least:e}");
}

#[test]
fn an_onion_is_followed_to_its_end_as_often_as_all_hops_of_one_of_four_are_malicious() {
    let row = population(200_000, 6464, 4);
    assert!((row.peek(14) / (4.0 * 0.2_f64.powi(14)) - 1.0).abs() < 1e-12);
    assert!(row.peek(14) > 2.0 * row.conversation(14).proven, "more than what stood there alone");
    assert_eq!(population(1_000_000, 6464, 4).peek(14), 1.0);
    assert_eq!(population(0, 6464, 5).peek(14), 0.0);
}

#[test]
fn rounds_and_patterns_add_up_to_at_most_one() {
    let row = population(200_000, 6464, 4);
    let one = row.conversation(14);
    assert!((row.between_patterns(14).proven / one.proven - 2.0).abs() < 1e-12);
    assert!((one.over_rounds(720).conjectured / one.conjectured - 720.0).abs() < 1e-6);
    let year = one.over_time(YEAR, Duration::from_secs(5));
    assert_eq!(year, one.over_rounds(6_307_200));
    assert!(year.proven < 2e-3);
    assert_eq!(one.over_rounds(u64::MAX).proven, 1.0);
    assert_eq!(one.over_rounds(0).proven, 0.0);
    assert_eq!(one.over_time(YEAR, Duration::ZERO).proven, 1.0);
}

#[test]
fn a_target_is_met_by_the_least_number_of_hops() {
    let population = population(200_000, 6464, 4);
    let mut fewest = 99;
    for kind in [BoundKind::Proven, BoundKind::Conjectured] {
        let hops = population.least_mixing_hops(1e-14, kind).unwrap();
        let together = |hops| population.conversation(hops).of_kind(kind) + population.peek(hops);
        assert!(together(hops) <= 1e-14 && together(hops - 1) > 1e-14);
        assert!(hops <= fewest, "the conjectured figure asks for no more hops");
        fewest = hops;
    }
}

#[test]
fn no_number_of_hops_helps_without_honest_noise_or_honest_shards() {
    for hopeless in
        [population(200_000, 0, 4), population(1_000_000, 1000, 0), population(1_000_000, 1000, 4)]
    {
        for kind in [BoundKind::Proven, BoundKind::Conjectured] {
            assert!(hopeless.least_mixing_hops(1e-30, kind).is_err(), "{hopeless:?}");
        }
        assert_eq!(hopeless.disturbed_halfway(14).proven, 1.0);
    }
}

#[test]
fn a_call_that_is_followed_from_its_client_to_its_box_costs_what_the_page_on_contacts_says() {
    // Five operators at the default volume of 1616 each, of which a box has half.
    let one = population(200_000, 4 * 1616 / 2, 4).one_onion(14).proven;
    assert!((one / 3.2e-6 - 1.0).abs() < 0.02, "{one:e}");
}
