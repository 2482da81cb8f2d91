//! States that are kept, lost and found again.

use std::fs;
use std::net::SocketAddr;

use antiphon_process::kept_file::FailingDisk;
use antiphon_wire::{
    BeatParameters, Epoch, EpochDocument, IdentityKey, OperatorIndex, PROTOCOL_VERSION, Parameters,
    Round, SUITE_1, ShardEntry, Signature, Timestamp,
};

use super::*;

/// Marks of a network in which so many epochs and rounds were begun.
fn marks(number: u64) -> Marks {
    let mut marks = serde_json::to_value(Marks::default()).unwrap();
    marks["last_epoch"] = number.into();
    marks["last_round"] = number.into();
    serde_json::from_value(marks).unwrap()
}

/// A document of so many shards.
fn document(epoch: u64, shards: u8) -> Arc<SignedDocument> {
    let entry = |number: u8| ShardEntry {
        operator: OperatorIndex(number.into()),
        identity: IdentityKey([number; 32]),
        peer_addresses: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        client_addresses: SocketAddr::from(([127, 0, 0, 1], 2)).into(),
        onion_key: [number; 32],
        kem_key: None,
        noise_volume: 1,
        noise_sigma: 1,
    };
    let parameters = Parameters {
        suite: SUITE_1,
        service: 0,
        layers: 3,
        body: 256,
        pairs_per_client: 1,
        filter_bits: 20,
        interval_ms: 1000,
        submit_ms: 1,
        layer_ms: 1,
        verify_ms: 1,
        reply_ms: 1,
        beats: BeatParameters::CLASSIC,
    };
    let document = EpochDocument {
        version: PROTOCOL_VERSION,
        network: Digest::default(),
        epoch: Epoch(epoch),
        first_round: Round(1),
        last_round: Round(9),
        starts_at: Timestamp(1),
        expires_at: Timestamp(2),
        previous: Digest::default(),
        parameters,
        operators: Vec::new(),
        shards: (0..shards).map(entry).collect(),
        joint_seal_keys: vec![[7; 32]; 9],
    };
    let signatures = vec![Signature([3; 64]); shards.into()];
    Arc::new(SignedDocument { document, signatures })
}

/// A state in which a new epoch begins every three rounds, and the next is known a round ahead.
fn state(number: u64, documents: &[Arc<SignedDocument>]) -> State {
    let at = |epoch: u64| documents.get(epoch as usize).cloned();
    let epoch = number / 3;
    State::new(marks(number), at(epoch), at(epoch + 1).filter(|_| number % 3 == 2))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_missing_file_is_a_new_network_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::take(&folder.path().join("state.json")).unwrap();
    assert_eq!(store.load().unwrap(), State::default());
    store.save(&State::default()).unwrap();
    assert_eq!(store.load().unwrap(), State::default());
    for broken in ["{", "{}", r#"{"marks":{}}"#, r#"{"current":"zz","next":null}"#] {
        fs::write(folder.path().join("state.json"), broken).unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, StoreError::Content { .. }), "{broken}");
        assert!(error.to_string().contains("remove it"));
    }
}

#[test]
fn a_second_coordinator_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let _first = Store::take(&file).unwrap();
    assert!(matches!(Store::take(&file), Err(StoreError::Lock(LockError::InUse { .. }))));
}

#[test]
fn no_power_cut_gives_out_a_number_again_or_loses_a_document_that_was_kept() {
    let documents: Vec<_> = (0..20).map(|epoch| document(epoch, 3)).collect();
    for (steps, seed) in (0..50).flat_map(|steps| (0..8).map(move |seed| (steps, seed))) {
        let disk = FailingDisk::new(seed);
        let mut store = Store { file: KeptFile::on(disk.clone()), kept: Vec::new() };
        store.save(&state(1, &documents)).unwrap();
        disk.power_for(Some(steps));
        let kept = |number: &u64| store.save(&state(*number, &documents)).is_ok();
        let kept = (2..).take_while(kept).last().unwrap_or(1);
        disk.crash(None);
        let mut store = Store { file: KeptFile::on(disk.clone()), kept: Vec::new() };
        let found = store.load().unwrap();
        let number = found.last_round().0;
        assert!((kept..=kept + 1).contains(&number), "{steps} steps: {number}, not {kept}");
        assert_eq!(found, state(number, &documents), "{steps} steps");
        // What was left behind is gone, and it goes on.
        assert!(disk.suffixes(EPOCH).unwrap().len() <= 2, "{steps} steps");
        store.save(&state(number + 1, &documents)).unwrap();
        assert_eq!(store.load().unwrap(), state(number + 1, &documents));
    }
}

#[test]
fn what_a_round_writes_does_not_grow_with_the_number_of_shards() {
    let written_in_a_round = |shards| {
        let disk = FailingDisk::new(1);
        let mut store = Store { file: KeptFile::on(disk.clone()), kept: Vec::new() };
        let (current, next) = (document(1, shards), document(2, shards));
        let mut save = |number| {
            let state = State::new(marks(number), Some(current.clone()), Some(next.clone()));
            store.save(&state).unwrap();
            disk.written()
        };
        let first = save(100);
        let second = save(101);
        assert!(first > u64::from(shards) * 200, "documents are written once");
        second - first
    };
    assert_eq!(written_in_a_round(3), written_in_a_round(250));
    assert!(written_in_a_round(250) < 1000);
}

#[test]
fn documents_that_no_marks_name_are_removed_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let documents: Vec<_> = (0..4).map(|epoch| document(epoch, 3)).collect();
    let mut store = Store::take(&file).unwrap();
    for number in 0..6 {
        store.save(&state(number, &documents)).unwrap();
    }
    fs::write(folder.path().join("state.json.epoch-9-left.new"), b"behind").unwrap();
    fs::write(folder.path().join("mine.epoch-9"), b"not the coordinator's").unwrap();
    drop(store);
    let mut store = Store::take(&file).unwrap();
    assert_eq!(store.load().unwrap(), state(5, &documents));
    let files = files(folder.path());
    let starts = ["mine.epoch-9", "state.json", "state.json.epoch-1-", "state.json.epoch-2-"];
    assert_eq!(files.len(), starts.len() + 1, "{files:?}");
    assert!(starts.iter().all(|start| files.iter().any(|file| file.starts_with(start))));
}

#[test]
fn a_document_that_is_gone_or_damaged_costs_an_epoch_and_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let documents: Vec<_> = (0..4).map(|epoch| document(epoch, 3)).collect();
    let mut store = Store::take(&file).unwrap();
    store.save(&state(5, &documents)).unwrap();
    let names = files(folder.path()).into_iter().filter(|name| name.contains(EPOCH));
    for name in names {
        let path = folder.path().join(name);
        if path.to_str().unwrap().contains(".epoch-1-") {
            fs::remove_file(path).unwrap();
        } else {
            let mut bytes = fs::read(&path).unwrap();
            bytes[40] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }
    store.kept.clear();
    assert_eq!(store.load().unwrap(), State::new(marks(5), None, None));
}

#[test]
fn the_form_that_was_written_before_is_read_once_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let (current, next) = (document(4, 3), document(5, 3));
    let mut former = serde_json::to_value(marks(17)).unwrap();
    former["current"] = hex::encode(current.to_bytes()).into();
    former["next"] = hex::encode(next.to_bytes()).into();
    former["suspensions"][IdentityKey([9; 32]).to_hex()] =
        serde_json::json!({ "left": 2, "next": 4, "failed": true });
    fs::write(&file, serde_json::to_vec(&former).unwrap()).unwrap();
    let mut store = Store::take(&file).unwrap();
    let state = store.load().unwrap();
    assert_eq!((state.last_epoch(), state.last_round()), (Epoch(17), Round(17)));
    assert_eq!((state.current(), state.next()), (Some(&current), Some(&next)));
    let kept = serde_json::to_value(state.marks()).unwrap();
    assert_eq!(kept["suspensions"], former["suspensions"]);
    store.save(&state).unwrap();
    assert_eq!(store.load().unwrap(), state);
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(written.get("marks").is_some(), "it is not read that way again");
}
