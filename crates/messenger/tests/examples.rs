//! The examples, as they stand in the folder of examples: run, and not only compiled.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[allow(dead_code, reason = "an example has a main function of its own")]
#[path = "../examples/bridge.rs"]
mod bridge;
#[allow(dead_code, reason = "an example has a main function of its own")]
#[path = "../examples/echo_bot.rs"]
mod echo_bot;
#[allow(dead_code, reason = "an example has a main function of its own")]
#[path = "../examples/two_users.rs"]
mod two_users;

use std::fs;
use std::time::Duration;

use antiphon_messenger::{Contact, Expiry, Messenger};
use antiphon_profile::{EventId, EventKind};
use tokio::time::{sleep, timeout};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two who have given each other a code, each with the other as a contact.
async fn meet(alice: &Messenger, bob: &Messenger) -> [Contact; 2] {
    let code = alice.make_code("bob", Expiry::NEVER).await.unwrap().code().to_text();
    let alices = bob.add_contact("alice", &code, None).await.unwrap();
    let bobs = alice.add_contact("bob", &alices.own_code().to_text(), None).await.unwrap();
    [bobs, alices]
}

/// The texts that have come, once there are so many.
async fn received(messenger: &Messenger, count: usize) -> Vec<String> {
    let waited = timeout(PATIENCE, async {
        let mut newest = messenger.newest_event();
        loop {
            newest.borrow_and_update();
            let mut texts = Vec::new();
            for event in messenger.events_after(EventId(0), 10_000).await.unwrap() {
                if let EventKind::Received(id) = event.kind {
                    let (message, _) = messenger.message(id).await.unwrap();
                    texts.push(String::from_utf8(message.body.clone()).unwrap());
                }
            }
            if texts.len() >= count {
                break texts;
            }
            newest.changed().await.unwrap();
        }
    });
    waited.await.expect("they come")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_meet_and_talk() {
    timeout(PATIENCE, two_users::run()).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_echo_bot_answers_each_message_once_however_often_it_is_killed() {
    let network = two_users::network().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [alice, bot] =
        ["alice", "bot"].map(|name| two_users::user(&folder.path().join(name), &network).unwrap());
    let [contact, _] = meet(&alice, &bot).await;
    let done = folder.path().join("echoed");
    let expected: Vec<_> = (0..5).map(|number| format!("message {number}")).collect();
    for (number, text) in expected.iter().enumerate() {
        alice.send(contact.id(), text.clone().into_bytes(), None).await.unwrap();
        tokio::select! {
            ended = echo_bot::echo(&bot, &done) => ended.unwrap(),
            _ = received(&alice, number + 1) => {}
        }
        // What it noted last is lost with it at times, and it answers again.
        if number % 2 == 0 {
            fs::remove_file(&done).unwrap();
        }
    }
    tokio::select! {
        ended = echo_bot::echo(&bot, &done) => ended.unwrap(),
        () = sleep(Duration::from_secs(3)) => {}
    }
    assert_eq!(received(&alice, 5).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_carries_each_file_and_each_message_once() {
    let network = two_users::network().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [alice, other] = ["alice", "other"]
        .map(|name| two_users::user(&folder.path().join(name), &network).unwrap());
    let [contact, alices] = meet(&alice, &other).await;
    let mail = folder.path().join("mail");
    fs::create_dir_all(mail.join("out")).unwrap();
    for name in ["1", "2"] {
        fs::write(mail.join("out").join(name), format!("letter {name}")).unwrap();
    }
    alice.send(contact.id(), b"answer".to_vec(), None).await.unwrap();
    let answered = async {
        while fs::read_dir(mail.join("in")).map_or(0, Iterator::count) == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        received(&alice, 2).await
    };
    let letters = tokio::select! {
        ended = bridge::bridge(&other, alices.id(), &mail) => { ended.unwrap(); Vec::new() }
        letters = answered => letters,
    };
    assert_eq!(letters, ["letter 1", "letter 2"]);
    // Killed before it removed a file, and before it noted what it had put down.
    fs::write(mail.join("out/2"), "letter 2").unwrap();
    fs::remove_file(mail.join("last event")).unwrap();
    tokio::select! {
        ended = bridge::bridge(&other, alices.id(), &mail) => ended.unwrap(),
        () = sleep(Duration::from_secs(3)) => {}
    }
    assert_eq!(received(&alice, 2).await, ["letter 1", "letter 2"]);
    let files: Vec<_> =
        fs::read_dir(mail.join("in")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(fs::read(&files[0]).unwrap(), b"answer");
    assert_eq!(fs::read_dir(mail.join("out")).unwrap().count(), 0);
}
