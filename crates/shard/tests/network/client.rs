//! A client with nothing around it: it sends what the test says.

use std::time::Duration;

use antiphon_routing::VerifiedEpoch;
use antiphon_shard::ShardServer;
use antiphon_transport::{Dialer, Limits, Link, LinkReceiver, LinkSender, PeerIdentity};
use antiphon_wire::{
    Blob, DEAD_DROP_BYTES, Decode as _, Digest, Encode as _, Epoch, FromClient, NetworkFile,
    PROTOCOL_VERSION, Round, ToClient,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use tokio::time::timeout;

use crate::world::PATIENCE;

pub(crate) struct Client {
    pub(crate) sender: LinkSender,
    receiver: LinkReceiver,
    epoch: Option<VerifiedEpoch>,
    rng: ChaCha20Rng,
}

pub(crate) fn limits() -> Limits {
    Limits::clients()
}

pub(crate) async fn dial(shard: &ShardServer, limits: Limits) -> Link {
    let dialer = Dialer::new(None, limits);
    dialer.dial(shard.client_address(), PeerIdentity(shard.identity().0)).await.unwrap()
}

impl Client {
    pub(crate) async fn join(shard: &ShardServer, seed: u64) -> Self {
        let (sender, receiver) = dial(shard, limits()).await.split();
        let hello = FromClient::Hello { version: PROTOCOL_VERSION };
        sender.send(hello.to_bytes().into()).await.unwrap();
        Self { sender, receiver, epoch: None, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// The next message; `None` when the link is gone.
    pub(crate) async fn hear(&mut self) -> Option<ToClient> {
        match timeout(PATIENCE, self.receiver.recv()).await.expect("a message or the end") {
            Ok(Some(frame)) => Some(ToClient::from_bytes(&frame).unwrap()),
            _ => None,
        }
    }

    /// Waits for a round to open.
    pub(crate) async fn opened(&mut self, network: &NetworkFile) -> (Epoch, Round) {
        loop {
            match self.hear().await.expect("the link lives") {
                ToClient::Document { document } => {
                    self.epoch = Some(VerifiedEpoch::verify(document, network).unwrap());
                }
                ToClient::Opened { epoch, round, closes_in_ms } => {
                    assert!(Duration::from_millis(closes_in_ms.into()) < PATIENCE);
                    return (epoch, round);
                }
                _ => {}
            }
        }
    }

    /// Takes part in the next round: two deposits at one dead drop. Says whether each got the
    /// other's body; `None` if the round was aborted.
    pub(crate) async fn exchange(&mut self, network: &NetworkFile) -> Option<bool> {
        let (epoch, round) = self.opened(network).await;
        let verified = self.epoch.as_ref().expect("documents come before rounds");
        let geometry = verified.geometry();
        let keys = verified.round_keys(round).unwrap().unwrap();
        let mut deposits = vec![0; 2 * geometry.deposit_bytes()];
        self.rng.fill_bytes(&mut deposits);
        let (first, second) = deposits.split_at_mut(geometry.deposit_bytes());
        second[..DEAD_DROP_BYTES].copy_from_slice(&first[..DEAD_DROP_BYTES]);
        let (entries, reply_keys) = keys.entries(&deposits, &mut self.rng).unwrap();
        let (sent, body) = (deposits.clone(), geometry.body_bytes());
        let ticket = Digest::of(&entries);
        let submit = FromClient::Submit { epoch, round, ticket, onions: Blob(entries) };
        self.sender.send(submit.to_bytes().into()).await.unwrap();
        loop {
            match self.hear().await.expect("the link lives") {
                ToClient::Replies { round: of, replies, .. } if of == round => {
                    let mut replies = replies.0;
                    assert_eq!(replies.len(), 2 * body);
                    for (onion, reply) in replies.chunks_mut(body).enumerate() {
                        reply_keys.open(onion, reply);
                    }
                    let swapped = [&sent[sent.len() - body..], &sent[DEAD_DROP_BYTES..][..body]];
                    return Some(replies == swapped.concat());
                }
                ToClient::Aborted { round: of, .. } if of == round => return None,
                ToClient::Refused { reason, .. } => {
                    panic!("refused: {}", String::from_utf8_lossy(&reason.0))
                }
                _ => {}
            }
        }
    }
}
