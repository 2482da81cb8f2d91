//! A shard that plays with its seal key.

use antiphon_wire::{PeerMessage, Reason, SealAct, SealSecret, SealStatement, Signed, Timestamp};

use crate::adversary::{Adversary, Keys, Kind, Target};
use crate::party::{Party, Payload, Sent};

/// Ways to misuse a seal key once all are satisfied and the shard's own program would release it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealPlay {
    /// Keeps the key and says nothing.
    Silent,
    /// Signs that it withheld. By then the others have released, and it has all keys.
    Withhold,
    /// Signs that it withheld instead of being satisfied, before anyone has released.
    WithholdEarly,
    /// Releases to these shards only, and says nothing to the others.
    ReleaseTo(Vec<usize>),
    /// Releases to these shards, and signs that it withheld for the others.
    BothTo(Vec<usize>),
    /// Sends both statements to everyone, the release first if `true`.
    Both(bool),
    /// Releases a secret that is not its own.
    WrongSecret,
}

/// Plays with the seal key of a shard. What it passes on of others' statements passes.
#[derive(Clone, Debug)]
pub struct SealSpoiler {
    /// Position in the setup of the shard whose key it is.
    pub shard: usize,
    /// Way in which the key is misused.
    pub play: SealPlay,
}

impl SealSpoiler {
    fn withheld(&self, of: &SealStatement, keys: &Keys) -> Signed<SealStatement> {
        let reason = Reason::Follows { shard: of.shard };
        let claims = SealStatement { act: SealAct::Withheld { reason }, ..of.clone() };
        Signed::new(claims, keys.shard(self.shard))
    }

    fn instead(
        &self,
        to: usize,
        released: &Signed<SealStatement>,
        keys: &Keys,
    ) -> Vec<Signed<SealStatement>> {
        let claims = released.claimed();
        let withheld = self.withheld(claims, keys);
        match &self.play {
            SealPlay::Silent => vec![],
            SealPlay::Withhold | SealPlay::WithholdEarly => vec![withheld],
            SealPlay::ReleaseTo(some) if some.contains(&to) => vec![released.clone()],
            SealPlay::ReleaseTo(_) => vec![],
            SealPlay::BothTo(some) if some.contains(&to) => vec![released.clone()],
            SealPlay::BothTo(_) => vec![withheld],
            SealPlay::Both(true) => vec![released.clone(), withheld],
            SealPlay::Both(false) => vec![withheld, released.clone()],
            SealPlay::WrongSecret => {
                // Any 32 bytes that are not the secret will do.
                let mut secret = [0; 32];
                secret[0] = 9;
                let SealAct::Released { announcement, .. } = claims.act else {
                    return vec![released.clone()];
                };
                let act = SealAct::Released { secret: SealSecret(secret), announcement };
                let claims = SealStatement { act, ..claims.clone() };
                vec![Signed::new(claims, keys.shard(self.shard))]
            }
        }
    }
}

impl Adversary for SealSpoiler {
    /// Long and deep, as it is one table: what becomes of each kind of message.
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        let statements = Target::all(self.shard, Kind::Statements).takes(&sent);
        let verdict = Target::all(self.shard, Kind::Verdict).takes(&sent);
        let Party::Shard(to) = sent.to else { return vec![(0, sent)] };
        match &mut sent.payload {
            Payload::Peer(PeerMessage::Statements { statements })
                if statements_pass(statements) => {}
            Payload::Peer(PeerMessage::Statements { statements: list }) if statements => {
                // Its own statement goes out when it is made, alone; an answer to a question comes
                // with others' in it.
                let answer = list.len() > 1;
                let own = keys.shard(self.shard).verifying_key().to_bytes();
                let own = antiphon_wire::IdentityKey(own);
                let mut changed = Vec::new();
                for statement in list.iter() {
                    if statement.verify(&own).is_err() {
                        changed.push(statement.clone());
                    } else if !answer {
                        changed.extend(self.instead(to, statement, keys));
                    }
                }
                if changed.is_empty() {
                    return vec![];
                }
                *list = changed;
            }
            Payload::Peer(message) if verdict && self.play == SealPlay::WithholdEarly => {
                let PeerMessage::Verdict { verdict } = &*message else { return vec![(0, sent)] };
                let of = SealStatement {
                    network: keys.network,
                    epoch: verdict.claimed().epoch,
                    round: verdict.claimed().round,
                    shard: verdict.claimed().shard,
                    act: SealAct::Withheld {
                        reason: Reason::Follows { shard: verdict.claimed().shard },
                    },
                };
                let statements = vec![self.withheld(&of, keys)];
                *message = PeerMessage::Statements { statements };
            }
            _ => {}
        }
        vec![(0, sent)]
    }
}

/// Statements that hold no release are no seal key to play with.
fn statements_pass(statements: &[Signed<SealStatement>]) -> bool {
    statements.iter().all(|signed| matches!(signed.claimed().act, SealAct::Withheld { .. }))
}
