//! A coordinator's state file: any text is refused, or gives a state that is written and read again
//! unchanged, and with which a coordinator starts.
#![no_main]

use std::sync::LazyLock;

use antiphon_coordinator_core::{Coordinator, CoordinatorConfig, Input, State};
use antiphon_wire::{IdentityKey, NetworkFile, Operator, Policy, Timestamp};
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;

static NETWORK: LazyLock<NetworkFile> = LazyLock::new(|| {
    let key = IdentityKey::of(&SigningKey::from_bytes(&[1; 32]));
    let operator = Operator { name: "operator".to_owned(), key, weight: 1 };
    let policy = Policy { trusts_heavy_operators: true, ..Policy::default() };
    NetworkFile::new(vec![operator], policy).expect("a policy that makes sense")
});

/// A state with these numbers and this text for its suspensions and the document that follows.
fn state(numbers: [u64; 3], more: &str) -> String {
    let [epoch, round, open_ms] = numbers;
    let (suspensions, next) = more.split_once('\n').unwrap_or((more, "null"));
    format!(
        r#"{{"last_epoch":{epoch},"last_round":{round},"last_open_ms":{open_ms},"previous":"{}",
            "current":null,"next":{next},"suspensions":{suspensions}}}"#,
        "00".repeat(32)
    )
}

fuzz_target!(|input: (u64, [u64; 3], &str)| {
    let (now, numbers, text) = input;
    start(now, text);
    start(now, &state(numbers, text));
});

fn start(now: u64, text: &str) {
    let Ok(state) = serde_json::from_str::<State>(text) else { return };
    let again = serde_json::to_string(&state).expect("a state is always written");
    assert_eq!(serde_json::from_str::<State>(&again).ok().as_ref(), Some(&state));
    let config = CoordinatorConfig::default();
    let mut coordinator = Coordinator::new(config, NETWORK.clone(), state, Timestamp(now));
    while coordinator.poll().is_some() {}
    coordinator.handle(Timestamp(now.saturating_add(60_000)), Input::Tick);
    while coordinator.poll().is_some() {}
    let _ = coordinator.next_deadline();
}
