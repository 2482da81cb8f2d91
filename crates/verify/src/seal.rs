//! A shard's seal key for one round: released with proof, or withheld, never both.

mod statements;

use antiphon_onion::SealSecretKey;
use antiphon_wire::{
    Digest, Epoch, Reason, Round, SealAct, SealSecret, SealStatement, ShardIndex, Signed,
};
use ed25519_dalek::SigningKey;

use crate::AllSatisfied;

pub use statements::{SealBoard, StatementError};

/// Holds a shard's seal key until one of the two statements about it is signed.
///
/// Both ways take the keeper by value, so that there is one statement in a round. The secret has no
/// other way out:
///
/// ```compile_fail,E0616
/// fn open(keeper: antiphon_verify::SealKeeper) -> antiphon_onion::SealSecretKey {
///     keeper.secret
/// }
/// ```
#[derive(Debug)]
pub struct SealKeeper {
    network: Digest,
    epoch: Epoch,
    round: Round,
    shard: ShardIndex,
    /// Erased with the keeper.
    secret: SealSecretKey,
}

/// A proof that is about another round. The key has been erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof that all are satisfied is about another round than {0}")]
pub struct WrongProof(pub Round);

impl SealKeeper {
    /// A keeper of the `secret` that `shard` has for `round` of `epoch`, in the network with the id
    /// `network`.
    pub const fn new(
        network: Digest,
        epoch: Epoch,
        round: Round,
        shard: ShardIndex,
        secret: SealSecretKey,
    ) -> Self {
        Self { network, epoch, round, shard, secret }
    }

    /// Releases the key.
    ///
    /// # Errors
    /// If the proof is about another round.
    #[expect(clippy::needless_pass_by_value, reason = "a proof is used up with its key")]
    pub fn release(
        self,
        proof: AllSatisfied,
        identity: &SigningKey,
    ) -> Result<Signed<SealStatement>, WrongProof> {
        if !proof.is_for(self.epoch, self.round) {
            return Err(WrongProof(self.round));
        }
        let secret = SealSecret(self.secret.to_bytes());
        let announcement = proof.announcement();
        Ok(self.sign(SealAct::Released { secret, announcement }, identity))
    }

    /// Erases the key and says why.
    pub fn withhold(self, reason: Reason, identity: &SigningKey) -> Signed<SealStatement> {
        self.sign(SealAct::Withheld { reason }, identity)
    }

    fn sign(self, act: SealAct, identity: &SigningKey) -> Signed<SealStatement> {
        let Self { network, epoch, round, shard, .. } = self;
        Signed::new(SealStatement { network, epoch, round, shard, act }, identity)
    }
}
