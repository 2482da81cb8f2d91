//! Two users who meet by both codes, in a network of three shards in this process.
//!
//! ```sh
//! cargo run -p antiphon-messenger --example two_users
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::path::Path;

use antiphon_client::{ClientConfig, Coordinator};
use antiphon_coordinator::CoordinatorConfig;
use antiphon_messenger::{Expiry, Messenger};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{EventId, EventKind, KeyCost, Profile, Unlock};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::Policy;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await
}

/// Starts a network and two users, who meet and talk.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let network = network()?;
    let folder = tempfile::tempdir()?;
    let alice = user(&folder.path().join("alice"), &network)?;
    let bob = user(&folder.path().join("bob"), &network)?;

    // Alice gives Bob a code, and Bob gives her the one that he gets when he adds it.
    let code = alice.make_code("bob", Expiry::NEVER).await?.code().to_text();
    let alices = bob.add_contact("alice", &code, None).await?;
    let bobs = alice.add_contact("bob", &alices.own_code().to_text(), None).await?;
    if let Some(number) = bobs.safety_number() {
        println!("safety number\n{number}");
    }

    alice.send(bobs.id(), b"hello".to_vec(), None).await?;
    println!("Bob has got: {}", next_message(&bob).await?);
    bob.send(alices.id(), b"hello, too".to_vec(), None).await?;
    println!("Alice has got: {}", next_message(&alice).await?);
    // Here because the example is over. A messenger stays, whatever its user does.
    alice.shut_down().await;
    bob.shut_down().await;
    Ok(())
}

/// A network of three shards in this process.
pub(crate) fn network() -> Result<EmbeddedNetwork, Box<dyn Error>> {
    // A weak guarantee, so that rounds are quick.
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        least_mixing_hops: 3,
        least_round_interval_ms: 500,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig { interval_ms: 500, ..CoordinatorConfig::default() };
    Ok(EmbeddedNetwork::start(&EmbeddedOptions::new(3, policy, coordinator), |_| None)?)
}

/// A user with a new profile.
pub(crate) fn user(folder: &Path, network: &EmbeddedNetwork) -> Result<Messenger, Box<dyn Error>> {
    let (unlock, now) = (Unlock::passphrase("five words that nobody guesses"), SystemClock::now());
    let profile = Profile::create(folder, &unlock, KeyCost::default(), now, &mut entropy())?;
    let address = network.client_address().to_string();
    let coordinator = Coordinator { address, identity: network.coordinator_identity() };
    let config = ClientConfig::new(network.file().clone(), vec![coordinator]);
    Ok(Messenger::start(profile, config)?)
}

/// The text of the first message that has come, or comes.
pub(crate) async fn next_message(messenger: &Messenger) -> Result<String, Box<dyn Error>> {
    let mut newest = messenger.newest_event();
    let mut last = EventId(0);
    loop {
        for event in messenger.events_after(last, 100).await? {
            last = event.id;
            if let EventKind::Received(id) = event.kind {
                let (message, _) = messenger.message(id).await?;
                return Ok(String::from_utf8_lossy(&message.body).into_owned());
            }
        }
        newest.changed().await?;
    }
}
