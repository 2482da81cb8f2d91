//! Rows: idempotency keys, bounds, events for a consumer that is killed, and what is deleted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::event::{Event, EventId};
use crate::keepsake::{Keepsake, KeepsakeKind, SessionState};

fn store(seed: u64) -> (Machine, Store<Machine>, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let machine = Machine::new(seed);
    let store = create(&machine, &mut rng);
    (machine, store, rng)
}

fn submission<'a>(text: &'a str, key: Option<&'a str>) -> Submission<'a> {
    Submission { contact: CONTACT, body: text.as_bytes(), key }
}

#[test]
fn a_key_used_a_hundred_times_at_once_makes_one_message() {
    let (_, store, _) = store(1);
    let store = Mutex::new(store);
    let submit = |seed| {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        store.lock().unwrap().submit(NOW, submission("hello", Some("one")), &mut rng).unwrap()
    };
    let outcomes: Vec<Submitted> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100).map(|seed| scope.spawn(move || submit(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(outcomes.iter().all(|outcome| outcome.id == outcomes[0].id));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_new).count(), 1);
    let store = store.into_inner().unwrap();
    assert_eq!(texts(&store, CONTACT), ["hello"]);
    assert_eq!(store.events_after(EventId(0), 10).unwrap().len(), 1);
}

#[test]
fn a_key_is_remembered_for_90_days_over_restarts_and_deletions_and_serves_one_message() {
    let (machine, mut store, mut rng) = store(2);
    let first = store.submit(NOW, submission("hello", Some("one")), &mut rng).unwrap();
    let other = store.submit(NOW, submission("other", Some("one")), &mut rng);
    assert!(matches!(other, Err(SubmitError::KeyReused)), "{other:?}");
    drop(store);
    let mut store = open(&machine, &mut rng).unwrap();
    let again = Submitted { is_new: false, ..first };
    assert_eq!(store.submit(NOW, submission("hello", Some("one")), &mut rng).unwrap(), again);
    assert!(store.delete_message(NOW, first.id, &mut rng).unwrap());
    let days = |days: u64| NOW.plus_ms(days * DAY_MS);
    store.retain(days(89), Retention::default(), &mut rng).unwrap();
    let late = store.submit(days(89), submission("hello", Some("one")), &mut rng).unwrap();
    assert_eq!((late, texts(&store, CONTACT).len()), (again, 0));
    store.retain(days(91), Retention::default(), &mut rng).unwrap();
    assert!(store.submit(days(91), submission("hello", Some("one")), &mut rng).unwrap().is_new);
}

#[test]
fn ten_thousand_that_wait_end_in_a_refusal_and_no_growth() {
    let (machine, mut store, mut rng) = store(3);
    // The bound itself, at fewer messages: what is tested takes no notice of its size.
    store.set_limits(StoreLimits { open_messages: 50, open_bytes: 1000, records: 200 });
    assert_eq!(StoreLimits::default().open_messages, 10_000);
    let ids: Vec<_> = (0..50)
        .map(|i| store.submit(NOW, submission(&format!("{i}"), None), &mut rng).unwrap().id)
        .collect();
    let (counts, size) = (store.counts(), machine.copy()[0].len());
    for _ in 0..100 {
        let full = store.submit(NOW, submission("more", None), &mut rng).unwrap_err();
        assert!(full.to_string().starts_with("50 messages wait for their contacts"), "{full}");
    }
    assert_eq!((store.counts(), machine.copy()[0].len()), (counts, size));
    assert!(store.recall(NOW, ids[7], &mut rng).unwrap());
    assert!(!store.recall(NOW, ids[7], &mut rng).unwrap());
    let long = "x".repeat(950);
    let full = store.submit(NOW, submission(&long, None), &mut rng).unwrap_err();
    assert!(full.to_string().starts_with("messages of 1000 bytes wait"), "{full}");
    store.submit(NOW, submission("more", None), &mut rng).unwrap();
    let long = "x".repeat(crate::MOST_MESSAGE_BYTES + 1);
    let long = store.submit(NOW, submission(&long, None), &mut rng).unwrap_err();
    assert!(long.to_string().contains("at most 65536 bytes, and this one 65537"), "{long}");
    for id in ids {
        store.delete_message(NOW, id, &mut rng).unwrap();
    }
    let mut count = 0;
    let full = loop {
        count += 1;
        let sent = store.submit(NOW, submission("x", None), &mut rng);
        match sent {
            Ok(sent) => assert!(store.fail(NOW, sent.id, "no reason", &mut rng).unwrap()),
            Err(error) => break error,
        }
        assert!(count < 200);
    };
    assert!(full.to_string().starts_with("the store holds 200 records"), "{full}");
}

/// An application with a file of its own, in which it keeps what it did together with the last event's id.
#[derive(Clone, Default)]
struct Consumer {
    last: EventId,
    seen: BTreeMap<EventId, Event>,
}

#[test]
fn a_consumer_killed_a_thousand_times_sees_each_event_once() {
    let (machine, mut store, mut rng) = store(4);
    let mut kept = Consumer::default();
    let (mut kills, mut sent, mut told) = (0, 0, 0);
    while kills < 1000 {
        if sent < 250 && rng.random_ratio(1, 3) {
            store.submit(NOW, submission(&format!("{sent}"), None), &mut rng).unwrap();
            sent += 1;
        }
        // The store itself goes away now and then.
        if rng.random_ratio(1, 200) {
            drop(store);
            store = open(&machine, &mut rng).unwrap();
        }
        let mut working = kept.clone();
        for event in store.events_after(working.last, rng.random_range(1..10)).unwrap() {
            assert!(event.id > working.last);
            assert_eq!(working.seen.insert(event.id, event), None, "{event:?} came twice");
            working.last = event.id;
            told += 1;
        }
        // Killed before its file is in place, or after.
        if rng.random() {
            kept = working;
        }
        kills += 1;
    }
    while kept.last < store.last_event() {
        for event in store.events_after(kept.last, 100).unwrap() {
            assert_eq!(kept.seen.insert(event.id, event), None);
            kept.last = event.id;
        }
    }
    assert_eq!((kept.seen.len(), sent), (250, 250));
    assert!(told > 250, "no event was ever told again, so nothing was tested");
}

#[test]
fn events_are_dropped_by_age_alone_and_whoever_is_behind_is_told() {
    let (machine, mut store, mut rng) = store(5);
    let days = |days: u64| NOW.plus_ms(days * DAY_MS);
    for day in 0..40 {
        store.submit(days(day), submission(&format!("{day}"), None), &mut rng).unwrap();
    }
    let all = store.events_after(EventId(0), 100).unwrap();
    store.retain(days(39), Retention::default(), &mut rng).unwrap();
    drop(store);
    let mut store = open(&machine, &mut rng).unwrap();
    let dropped = match store.events_after(EventId(0), 100) {
        Err(EventsGone::Dropped { dropped }) => EventId(dropped),
        other => panic!("{other:?}"),
    };
    let left = store.events_after(dropped, 100).unwrap();
    assert_eq!(left, all[9..]);
    assert_eq!(texts(&store, CONTACT).len(), 40, "messages stay");
    let none = store.retain(days(39), Retention::default(), &mut rng).unwrap();
    assert_eq!(none, 0);
}

#[test]
fn keepsakes_and_sessions_are_kept_replaced_and_deleted_by_name() {
    let (machine, mut store, mut rng) = store(6);
    let keepsake = |kind, name: &str, byte| Keepsake {
        kind,
        name: name.to_owned(),
        version: 1,
        bytes: vec![byte; 100],
    };
    let carol = keepsake(KeepsakeKind::Contact, "Carol", 1);
    store.keep_keepsake(carol.clone(), &mut rng).unwrap();
    store.keep_keepsake(keepsake(KeepsakeKind::Code, "Carol", 2), &mut rng).unwrap();
    let newer = keepsake(KeepsakeKind::Contact, "Carol", 3);
    store.replace_keepsake(newer.clone(), &mut rng).unwrap();
    let session = SessionState { contact: CONTACT, version: 1, bytes: vec![4; 50] };
    store.keep_session(session.clone(), &mut rng).unwrap();
    store.keep_session(session.clone(), &mut rng).unwrap();
    drop(store);
    let mut store = open(&machine, &mut rng).unwrap();
    assert_eq!(store.keepsake(KeepsakeKind::Contact, "Carol").unwrap(), Some(newer));
    assert_eq!(store.keepsakes().unwrap().len(), 2);
    assert_eq!(store.session(CONTACT).unwrap(), Some(session));
    assert!(store.delete_keepsake(KeepsakeKind::Contact, "Carol", &mut rng).unwrap());
    assert!(!store.delete_keepsake(KeepsakeKind::Contact, "Carol", &mut rng).unwrap());
    store.end_session(CONTACT, &mut rng).unwrap();
    assert_eq!((store.keepsakes().unwrap().len(), store.session(CONTACT).unwrap()), (1, None));
    let nameless = keepsake(KeepsakeKind::Contact, "", 1);
    assert!(matches!(store.keep_keepsake(nameless, &mut rng), Err(KeepsakeError::BadName)));
}

#[test]
fn an_export_has_a_line_for_everything_and_secrets_only_if_wanted() {
    let (_, mut store, mut rng) = store(7);
    store.submit(NOW, submission("hello", None), &mut rng).unwrap();
    let secret = Submission { contact: ContactId([8; 16]), body: &[0xff, 0], key: None };
    store.submit(NOW, secret, &mut rng).unwrap();
    let (kind, name, bytes) = (KeepsakeKind::Identity, "me".to_owned(), vec![0xab; 32]);
    store.keep_keepsake(Keepsake { kind, name, version: 3, bytes }, &mut rng).unwrap();
    let export = |with_secrets| {
        let mut out = Vec::new();
        store.export(NOW, with_secrets, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (text, lines)
    };
    let (text, lines) = export(false);
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["profile", "keepsake", "message", "message", "event", "event", "end"]);
    assert!(text.contains(r#""text":"hello""#) && text.contains(r#""hex":"ff00""#), "{text}");
    let secret = "ab".repeat(32);
    assert!(!text.contains(&secret) && export(true).0.contains(&secret));
}
