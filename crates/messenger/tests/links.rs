//! What a daemon says on its link to the gateway: the same whether its user has nobody, calls in vain, calls, answers,
//! invites, accepts or talks.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use antiphon_client::{ClientConfig, Coordinator, Gateway};
use antiphon_messenger::{Contact, Expiry, Messenger, TalkState};
use antiphon_mock_mix::{Mix, Place, Plan, shard_key};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{KeyCost, Profile, Unlock};
use antiphon_transport::{Accept, Identity, Limits, LinkReceiver, LinkSender, Server};
use antiphon_wire::{
    Blob, Decode as _, Encode as _, FromClient, IdentityKey, Round, Services, ToClient,
};
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// As cheap as argon2 can be.
const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };
/// The coordinator's key, as if it were a shard's.
const COORDINATOR: u8 = 49;
const FIRST_ROUND: u64 = 10;
const ROUNDS: u64 = 60;

/// The server's side of a daemon's link, and what came over it: kinds and bytes of messages.
struct Served {
    sender: LinkSender,
    receiver: LinkReceiver,
    came: Vec<(String, usize)>,
}

impl Served {
    async fn accept(server: &mut Server) -> Self {
        let link = timeout(PATIENCE, server.accept()).await.unwrap().unwrap();
        let (sender, receiver) = link.split();
        Self { sender, receiver, came: Vec::new() }
    }

    async fn next(&mut self) -> FromClient {
        let frame = timeout(PATIENCE, self.receiver.recv()).await.unwrap().unwrap().unwrap();
        let message = FromClient::from_bytes(&frame).unwrap();
        let kind = match &message {
            FromClient::Submit { round, .. } => format!("onions of {round}"),
            other => format!("{other:?}"),
        };
        self.came.push((kind, frame.len()));
        message
    }

    async fn onions(&mut self, of: Round) -> Vec<u8> {
        loop {
            match self.next().await {
                FromClient::Submit { round, onions, .. } if round == of => return onions.0,
                _ => {}
            }
        }
    }

    async fn send(&self, message: ToClient) {
        self.sender.send(message.to_bytes().into()).await.unwrap();
    }
}

fn listen(number: u8, limits: Limits) -> Server {
    let identity = Identity::new(shard_key(number));
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, &identity, Accept::Anonymous, limits).unwrap();
    // As much as any geometry asks for.
    server.accept_up_to(1 << 20);
    server
}

/// An epoch in which every fourth round is for mailboxes.
fn mix(gateway: SocketAddr) -> Mix {
    let mut plan = Plan::new(1, FIRST_ROUND, SystemClock::now());
    // The test opens rounds as fast as they go.
    plan.policy.least_round_interval_ms = 0;
    plan.policy.services = Services {
        dead_drop_rounds: 3,
        mailbox_rounds: 1,
        invitations_every: 4,
        ..Services::USUAL
    };
    plan.shards = (0..3).map(|i| Place { number: i, operator: i, address: gateway }).collect();
    Mix::new(&plan)
}

/// A daemon that is linked to the gateway.
async fn start(
    folder: &Path,
    mix: &Mix,
    coordinator: &mut Server,
    gateway: &mut Server,
) -> (Messenger, Served) {
    let unlock = Unlock::passphrase("correct horse");
    let now = SystemClock::now();
    let profile = Profile::create(folder, &unlock, CHEAP, now, &mut entropy()).unwrap();
    let address = coordinator.local_addr().unwrap().to_string();
    let identity = IdentityKey::of(&shard_key(COORDINATOR));
    let coordinators = vec![Coordinator { address, identity }];
    let config = ClientConfig {
        gateway: Gateway::Shard(IdentityKey::of(&shard_key(0))),
        ..ClientConfig::new(mix.network.clone(), coordinators)
    };
    let messenger = Messenger::start(profile, config).unwrap();
    let mut asked = Served::accept(coordinator).await;
    asked.next().await;
    asked.send(ToClient::Document { document: mix.signed.clone() }).await;
    let mut served = Served::accept(gateway).await;
    served.next().await;
    (messenger, served)
}

/// Plays a round for all.
async fn play(mix: &Mix, served: &mut [Served], round: Round) {
    let epoch = mix.signed.document.epoch;
    for link in &*served {
        link.send(ToClient::Opened { epoch, round, closes_in_ms: 200 }).await;
    }
    let mut submitted = Vec::new();
    for link in &mut *served {
        submitted.push(link.onions(round).await);
    }
    let replies = mix.exchange(round, &submitted);
    let boxes = mix.publish(round, &submitted);
    for (link, replies) in served.iter().zip(replies) {
        for published in &boxes {
            link.send(ToClient::Box { published: published.clone() }).await;
        }
        link.send(ToClient::Replies { epoch, round, replies: Blob(replies) }).await;
    }
}

async fn contact(messenger: &Messenger, name: &str, code: &str) -> Contact {
    messenger.add_contact(name, code, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_the_same_idle_calling_in_vain_calling_answering_inviting_accepting_and_talking()
{
    let (mut coordinator, mut gateway) =
        (listen(COORDINATOR, Limits::documents()), listen(0, Limits::clients()));
    let mix = mix(gateway.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (mut messengers, mut served) = (Vec::new(), Vec::new());
    for name in ["idle", "in vain", "calls", "answers", "invites", "invited"] {
        let path = folder.path().join(name);
        let (messenger, link) = start(&path, &mix, &mut coordinator, &mut gateway).await;
        messengers.push(messenger);
        served.push(link);
    }
    let [_, in_vain, calls, answers, invites, invited] = &messengers[..] else {
        panic!("there are six")
    };
    let code = invited.make_code("inviter", Expiry::NEVER).await.unwrap().code().to_text();
    let to_invited = invites.invite("invited", &code).await.unwrap();
    invites.send(to_invited.id(), vec![7; 5000], None).await.unwrap();
    // Who answers does not know the one that calls in vain.
    let code = answers.make_code("somebody", Expiry::NEVER).await.unwrap().code().to_text();
    let nobody = contact(in_vain, "nobody", &code).await;
    in_vain.send(nobody.id(), vec![7; 5000], None).await.unwrap();
    let code = answers.make_code("caller", Expiry::NEVER).await.unwrap().code().to_text();
    let answering = contact(calls, "answers", &code).await;
    let calling = contact(answers, "caller", &answering.own_code().to_text()).await;
    calls.send(answering.id(), vec![7; 5000], None).await.unwrap();
    for round in FIRST_ROUND..FIRST_ROUND + ROUNDS {
        play(&mix, &mut served, Round(round)).await;
        if let Some(request) = invited.requests().await.unwrap().pop() {
            invited.accept(request.id(), "inviter").await.unwrap();
        }
    }
    assert_eq!(in_vain.talk_state(nobody.id()), TalkState::Calling);
    assert_eq!(answers.talk_state(calling.id()), TalkState::Met);
    assert!(!answers.messages(calling.id(), 0, 10).await.unwrap().is_empty(), "they talk");
    assert_eq!(invites.talk_state(to_invited.id()), TalkState::Met);
    assert_eq!(served[0].came.len() as u64, 1 + ROUNDS);
    for link in &served[1..] {
        assert_eq!(link.came, served[0].came);
    }
}
