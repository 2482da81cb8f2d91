//! The same where the network has rounds for calls: sessions are opened by calls.

use antiphon_messenger::Contact;
use antiphon_profile::{Backup, KeepsakeKind};

use super::*;

/// A call round after every five of dead drops.
const CALLS: Services =
    Services { dead_drop_rounds: 5, mailbox_rounds: 1, invitations_every: 100, ..Services::USUAL };

/// Alice and Bob, who are each other's contacts.
async fn acquainted(
    network: &EmbeddedNetwork,
    paths: &[PathBuf; 2],
) -> ([Messenger; 2], [Contact; 2]) {
    paths.iter().for_each(|path| make(path));
    let [alice, bob] = [0, 1].map(|i| start(&paths[i], network));
    let for_bob = alice.make_code("bob", Expiry::NEVER).await.unwrap().code().to_text();
    let alices = bob.add_contact("alice", &for_bob, None).await.unwrap();
    let for_alice = alices.own_code().to_text();
    let bobs = alice.add_contact("bob", &for_alice, None).await.unwrap();
    ([alice, bob], [bobs, alices])
}

/// Waits until a contact's call root was replaced.
async fn refreshed(messenger: &Messenger, contact: &Contact) {
    let waited = timeout(PATIENCE, async {
        while !messenger.contact(contact.id()).await.unwrap().is_refreshed() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("a session brings a fresh call root");
}

/// Waits until a contact's conversation stands like this.
async fn stands(messenger: &Messenger, contact: &Contact, state: TalkState) {
    let waited = timeout(PATIENCE, async {
        while messenger.talk_state(contact.id()) != state {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("it comes to stand like this");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_calls_messages_arrive_once_and_in_order_over_restarts_of_both_ends() {
    talk_over_restarts(&network(CALLS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_was_restored_calls_and_the_partner_is_told_once() {
    let network = network(CALLS);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    let ([alice, bob], [bobs, alices]) = acquainted(&network, &paths).await;
    alice.send(bobs.id(), b"before".to_vec(), None).await.unwrap();
    assert_eq!(received(&bob, 1).await, ["before"]);
    delivered(&alice).await;
    // The next session opens under the fresh root.
    refreshed(&alice, &bobs).await;
    refreshed(&bob, &alices).await;
    alice.shut_down().await;
    drop(alice);

    // Alice's device is lost, and there is a backup of her profile.
    let (backup, back) = (folder.path().join("backup"), folder.path().join("alice again"));
    let mut bytes = Vec::new();
    let profile = Profile::open(&paths[0], &unlock(), SystemClock::now(), &mut entropy()).unwrap();
    let (now, store) = (SystemClock::now(), profile.store());
    store.back_up(now, &unlock(), CHEAP, true, &mut bytes, &mut entropy()).unwrap();
    std::fs::write(&backup, bytes).unwrap();
    let backup = Backup::open(&backup, &unlock()).unwrap();
    let restored = backup.restore(&back, &unlock(), CHEAP, now, &mut entropy(), |_| Ok(()));
    drop((restored.unwrap(), profile));

    let alice = start(&back, &network);
    // Bob hears of it without saying anything.
    stands(&bob, &alices, TalkState::Met).await;
    alice.send(bobs.id(), b"after".to_vec(), None).await.unwrap();
    assert_eq!(received(&bob, 2).await, ["before", "after"]);
    bob.send(alices.id(), b"welcome back".to_vec(), None).await.unwrap();
    assert_eq!(received(&alice, 1).await, ["welcome back"]);
    let events = bob.events_after(EventId(0), 1000).await.unwrap();
    let told = events.iter().filter(|event| event.kind == EventKind::ContactRestored(alices.id()));
    assert_eq!(told.count(), 1);
    alice.shut_down().await;
    bob.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_phrase_two_meet_and_have_one_safety_number_once_they_have() {
    let network = network(CALLS);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| make(path));
    let [alice, bob] = [0, 1].map(|i| start(&paths[i], &network));
    let (bobs, phrase) = alice.make_phrase("bob").await.unwrap();
    alice.send(bobs.id(), b"by a phrase".to_vec(), None).await.unwrap();
    assert!(bobs.safety_number().is_none());
    let refused = bob.add_phrase("alice", "correct horse battery staple again").await;
    assert_eq!(refused.unwrap_err().kind(), antiphon_messenger::ErrorKind::Wrong);
    let alices = bob.add_phrase("alice", &phrase.to_uppercase()).await.unwrap();
    let again = bob.add_phrase("alice again", &phrase).await;
    assert_eq!(again.unwrap_err().kind(), antiphon_messenger::ErrorKind::Conflict);
    assert_eq!(received(&bob, 1).await, ["by a phrase"]);
    refreshed(&alice, &bobs).await;
    refreshed(&bob, &alices).await;
    let number = |contact: Contact| contact.safety_number().expect("they have met");
    let numbers = [
        number(alice.contact(bobs.id()).await.unwrap()),
        number(bob.contact(alices.id()).await.unwrap()),
    ];
    assert_eq!(numbers[0], numbers[1]);
    alice.verify(bobs.id(), &numbers[1].to_string()).await.unwrap();
    alice.shut_down().await;
    bob.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_tells_another_code_is_explained_once_and_taken_once_compared() {
    let network = network(CALLS);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    let ([alice, bob], [bobs, alices]) = acquainted(&network, &paths).await;
    alice.send(bobs.id(), b"before".to_vec(), None).await.unwrap();
    assert_eq!(received(&bob, 1).await, ["before"]);
    refreshed(&alice, &bobs).await;
    refreshed(&bob, &alices).await;
    let number = |contact: &Contact| contact.safety_number().unwrap().to_string();
    alice.verify(bobs.id(), &number(&alices)).await.unwrap();
    bob.shut_down().await;
    drop(bob);

    // Bob's program comes to know him by another code: its knock tag is another one.
    let mut profile =
        Profile::open(&paths[1], &unlock(), SystemClock::now(), &mut entropy()).unwrap();
    let store = profile.store_mut();
    let mut kept = store.keepsake(KeepsakeKind::Contact, "alice").unwrap().unwrap();
    kept.bytes[26 + 38] ^= 1;
    store.replace_keepsake(kept, &mut entropy()).unwrap();
    drop(profile);
    let bob = start(&paths[1], &network);
    // Who a contact is, it says at the beginning of a session.
    bob.block(alices.id(), true).await.unwrap();
    bob.block(alices.id(), false).await.unwrap();
    let told = async {
        while alice.contact(bobs.id()).await.unwrap().changed().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, told).await.expect("another code is noticed");
    let changed = alice.contact(bobs.id()).await.unwrap();
    assert!(!changed.is_verified() && number(&changed) != number(&bobs));
    let at_bob = number(&bob.contact(alices.id()).await.unwrap());
    let stale = alice.verify(bobs.id(), &number(&bobs)).await.unwrap_err();
    assert!(stale.to_string().contains("somebody may stand between you"), "{stale}");
    let taken = alice.verify(bobs.id(), &at_bob).await.unwrap();
    assert!(taken.is_verified() && taken.changed().is_none());
    // Nothing that was said is lost over it.
    bob.send(alices.id(), b"after".to_vec(), None).await.unwrap();
    assert_eq!(received(&alice, 1).await, ["after"]);
    let events = alice.events_after(EventId(0), 1000).await.unwrap();
    let told = events.iter().filter(|event| event.kind == EventKind::ContactChanged(bobs.id()));
    assert_eq!(told.count(), 1);
    alice.shut_down().await;
    bob.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rounds_for_calls_a_phrase_is_refused_in_words() {
    let network = network(Services::NONE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice");
    make(&path);
    let alice = start(&path, &network);
    let refused = alice.make_phrase("bob").await.unwrap_err();
    assert!(refused.to_string().contains("antiphon contact code"), "{refused}");
    alice.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_place_two_contacts_get_their_messages_one_after_the_other() {
    let network = network(CALLS);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    let ([alice, bob], [bobs, _]) = acquainted(&network, &paths).await;
    let path = folder.path().join("carol");
    make(&path);
    let carol = start(&path, &network);
    let for_carol = alice.make_code("carol", Expiry::NEVER).await.unwrap().code().to_text();
    let alices = carol.add_contact("alice", &for_carol, None).await.unwrap();
    let for_alice = alices.own_code().to_text();
    let carols = alice.add_contact("carol", &for_alice, None).await.unwrap();
    alice.send(bobs.id(), b"to bob".to_vec(), None).await.unwrap();
    assert_eq!(received(&bob, 1).await, ["to bob"]);
    carol.send(alices.id(), b"to alice".to_vec(), None).await.unwrap();
    // A quiet session makes room after two minutes, which is longer than this test waits: Bob's is blocked instead.
    stands(&alice, &carols, TalkState::NoPlace).await;
    alice.block(bobs.id(), true).await.unwrap();
    assert_eq!(received(&alice, 1).await, ["to alice"]);
    for messenger in [alice, bob, carol] {
        messenger.shut_down().await;
    }
}

/// Mailbox rounds every third round, of which every second is for invitations.
const INVITATIONS: Services =
    Services { dead_drop_rounds: 2, mailbox_rounds: 1, invitations_every: 2, ..Services::USUAL };

/// The one request that waits.
async fn requested(messenger: &Messenger) -> antiphon_messenger::Request {
    let waited = timeout(PATIENCE, async {
        loop {
            if let Some(request) = messenger.requests().await.unwrap().pop() {
                break request;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("it comes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_one_code_asks_and_once_accepted_both_talk_and_have_one_safety_number() {
    let network = network(INVITATIONS);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| make(path));
    let [alice, bob] = [0, 1].map(|i| start(&paths[i], &network));
    let code = bob.make_code("for alice", Expiry::NEVER).await.unwrap().code().to_text();
    let bobs = alice.invite("bob", &code).await.unwrap();
    let again = alice.invite("bob again", &code).await;
    assert_eq!(again.unwrap_err().kind(), antiphon_messenger::ErrorKind::Conflict);
    alice.send(bobs.id(), b"may I".to_vec(), None).await.unwrap();
    let request = requested(&bob).await;
    assert_eq!(request.label(), "for alice");
    // Nobody is called before that is accepted, not after a restart either.
    assert_eq!(alice.talk_state(bobs.id()), TalkState::Invited);
    alice.shut_down().await;
    bob.shut_down().await;
    drop((alice, bob));
    let [alice, bob] = [0, 1].map(|i| start(&paths[i], &network));
    stands(&alice, &bobs, TalkState::Invited).await;
    assert_eq!(requested(&bob).await.id(), request.id());
    let alices = bob.accept(request.id(), "alice").await.unwrap();
    assert_eq!(alices.id(), request.id());
    assert!(bob.requests().await.unwrap().is_empty() && alices.is_by_invitation());
    assert_eq!(received(&bob, 1).await, ["may I"]);
    bob.send(alices.id(), b"you may".to_vec(), None).await.unwrap();
    assert_eq!(received(&alice, 1).await, ["you may"]);
    refreshed(&alice, &bobs).await;
    refreshed(&bob, &alices).await;
    let number = |contact: Contact| contact.safety_number().expect("they have met");
    let numbers = [
        number(alice.contact(bobs.id()).await.unwrap()),
        number(bob.contact(alices.id()).await.unwrap()),
    ];
    assert_eq!(numbers[0], numbers[1]);
    let events = bob.events_after(EventId(0), 1000).await.unwrap();
    let told = events.iter().filter(|event| event.kind == EventKind::Requested(request.id()));
    assert_eq!(told.count(), 1);
    alice.shut_down().await;
    bob.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_hears_nothing_and_a_code_that_was_taken_back_opens_no_door() {
    let network = network(INVITATIONS);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| make(path));
    let [alice, bob] = [0, 1].map(|i| start(&paths[i], &network));
    let code = bob.make_code("given away", Expiry::NEVER).await.unwrap().code().to_text();
    let bobs = alice.invite("bob", &code).await.unwrap();
    let request = requested(&bob).await;
    bob.decline(request.id(), true).await.unwrap();
    let gone = bob.accept(request.id(), "alice").await.unwrap_err();
    assert_eq!(gone.kind(), antiphon_messenger::ErrorKind::NotFound);
    assert!(bob.requests().await.unwrap().is_empty() && bob.codes().await.unwrap().is_empty());
    // Ten rounds later nothing has changed.
    let report = alice.self_test(10).await;
    assert!(report.rounds >= 10 && alice.talk_state(bobs.id()) == TalkState::Invited);
    alice.shut_down().await;
    bob.shut_down().await;
}
