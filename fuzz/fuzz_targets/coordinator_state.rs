//! A coordinator's state: any text is refused, or gives marks that are written and read again unchanged,
//! and with which, and any document, a coordinator starts.
#![no_main]

use std::sync::{Arc, LazyLock};

use antiphon_coordinator_core::{
    Coordinator, CoordinatorConfig, Input as CoordinatorInput, Marks, State,
};
use antiphon_wire::{
    Decode as _, IdentityKey, NetworkFile, Operator, Policy, SignedDocument, Timestamp,
};
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;

static NETWORK: LazyLock<NetworkFile> = LazyLock::new(|| {
    let key = IdentityKey::of(&SigningKey::from_bytes(&[1; 32]));
    let operator = Operator { name: "operator".to_owned(), key, weight: 1 };
    let policy = Policy { trusts_heavy_operators: true, ..Policy::default() };
    NetworkFile::new(vec![operator], policy).expect("a policy that makes sense")
});

/// Marks with these numbers and these texts for their suspensions and for who may have garbled cells.
fn marks(numbers: [u64; 3], suspensions: &str, garbled: &str) -> String {
    let [epoch, round, open_ms] = numbers;
    format!(
        r#"{{"last_epoch":{epoch},"last_round":{round},"last_open_ms":{open_ms},"previous":"{}",
            "suspensions":{suspensions},"garbled":{garbled}}}"#,
        "00".repeat(32)
    )
}

/// Marks of shards whose keys are these bytes, in these sets.
fn garbled(shards: &[(u8, u16)], sets: &[Vec<u8>]) -> String {
    let shards = shards.iter().map(|(key, operator)| (hex::encode([*key; 32]), operator));
    serde_json::json!({ "shards": shards.collect::<Vec<_>>(), "sets": sets }).to_string()
}

type Input<'a> = (u64, [u64; 3], &'a str, Vec<(u8, u16)>, Vec<Vec<u8>>, &'a [u8]);

fuzz_target!(|input: Input<'_>| {
    let (now, numbers, text, shards, sets, document) = input;
    let document = SignedDocument::from_bytes(document).ok().map(Arc::new);
    start(now, text, document.clone());
    start(now, &marks(numbers, text, "{\"shards\":[],\"sets\":[]}"), document.clone());
    start(now, &marks(numbers, "{}", text), document.clone());
    start(now, &marks(numbers, "{}", &garbled(&shards, &sets)), document);
});

fn start(now: u64, text: &str, next: Option<Arc<SignedDocument>>) {
    let Ok(marks) = serde_json::from_str::<Marks>(text) else { return };
    let again = serde_json::to_string(&marks).expect("marks are always written");
    assert_eq!(serde_json::from_str::<Marks>(&again).ok().as_ref(), Some(&marks));
    let state = State::new(marks, None, next);
    let config = CoordinatorConfig::default();
    let mut coordinator = Coordinator::new(config, NETWORK.clone(), state, Timestamp(now));
    while coordinator.poll().is_some() {}
    coordinator.handle(Timestamp(now.saturating_add(60_000)), CoordinatorInput::Tick);
    while coordinator.poll().is_some() {}
    let _ = coordinator.next_deadline();
}
