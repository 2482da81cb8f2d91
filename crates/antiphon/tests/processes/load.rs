use crate::done;
use crate::network::{Network, SHARDS};

#[test]
fn a_network_of_processes_carries_simulated_clients() {
    let network = Network::new();
    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    coordinator.wait_for_words(" published: ");
    let arguments = "load --network first.toml --clients 12 --rounds 3 --json -";
    let report: serde_json::Value =
        serde_json::from_str(&done(network.folder(), arguments)).unwrap();
    assert_eq!(report["embedded"], false);
    assert_eq!((&report["clients"], &report["shards"]), (&12.into(), &SHARDS.into()), "{report}");
    assert_eq!(report["lost_messages"], 0, "{report}");
    assert_eq!(report["connections"], 12, "each client has a connection of its own: {report}");
    // What happens inside the shards cannot be seen from here.
    for name in ["server_cpu_s", "peel_us_per_onion"] {
        assert!(report[name].is_null(), "{name}: {report}");
    }
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    let delivered: Vec<_> = rounds.iter().filter(|round| round["outcome"] == "delivered").collect();
    assert!(!delivered.is_empty(), "{report}");
    for round in delivered {
        assert!(round["phases"].is_null() && round["coordinator_latency_ms"].is_null(), "{round}");
        assert!(round["latency_ms"].as_f64().unwrap() > 0.0, "{round}");
    }
}
