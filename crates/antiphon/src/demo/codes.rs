//! Two users who meet by codes, as people do: each gives the other one, and both ends find the same secret from their own
//! code's key and the other's code.

use antiphon_client::{ConversationSecret, Role};
use antiphon_contacts::{
    BoxAddress, CallRoot, CallRound, ContactCode, Expiry, NetworkMark, OwnCode, OwnCodes, Roots,
    Side,
};
use antiphon_process::entropy::entropy;
use antiphon_wire::NetworkFile;

/// Codes that were exchanged, as text, and what follows from them at each end.
pub(super) struct Met {
    pub(super) codes: [String; 2],
    pub(super) ends: [(ConversationSecret, Role); 2],
}

impl Met {
    /// Two users of a network make codes, and each takes the other's.
    pub(super) fn of(network: &NetworkFile) -> Self {
        let mark = NetworkMark::of(&network.id());
        let [alice, bob] = ["bob", "alice"].map(|whom| code_for(whom, mark));
        let codes = [&alice, &bob].map(|own| own.code().to_text());
        let ends = [end(&alice, &codes[1]), end(&bob, &codes[0])];
        Self { codes, ends }
    }
}

fn code_for(whom: &str, network: NetworkMark) -> OwnCode {
    let mut codes = OwnCodes::default();
    // Nobody is called, so that no box is listened at.
    let made = codes.make(whom, network, BoxAddress(0), Expiry::NEVER, &mut entropy());
    made.expect("the first code of somebody has a label of its own").clone()
}

/// What an end finds that has made `own` and was given `given`.
fn end(own: &OwnCode, given: &str) -> (ConversationSecret, Role) {
    let given = ContactCode::parse(given).expect("a code is read as it was written");
    let (root, side) = CallRoot::of_codes(own, &given).expect("each has drawn a key of its own");
    let secret = Roots::new(side, &root, 0).session(CallRound(0));
    let secret = secret.expect("nothing was forgotten yet");
    let role = match side {
        Side::First => Role::First,
        Side::Second => Role::Second,
    };
    (ConversationSecret(secret.0), role)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{IdentityKey, Operator, Policy};

    use super::*;

    #[test]
    fn both_ends_find_one_secret_and_two_roles_which_other_codes_do_not() {
        let operator = Operator { name: "a".into(), key: IdentityKey([1; 32]), weight: 1 };
        let policy = Policy { trusts_heavy_operators: true, ..Policy::DEFAULT };
        let network = NetworkFile::new(vec![operator], policy).unwrap();
        let [met, others] = [Met::of(&network), Met::of(&network)];
        let [(alice, first), (bob, second)] = &met.ends;
        assert_eq!(alice.0, bob.0);
        assert_ne!(first, second);
        assert_ne!(alice.0, others.ends[0].0.0);
        assert_ne!(met.codes[0], met.codes[1]);
    }
}
