//! One end of a conversation in one round, without schedule, queues or state.

use antiphon_wire::{DEAD_DROP_BYTES, Epoch, Geometry, Round};

use super::body::{self, BodyKey, Content, Fragment, Item};
use super::keys::{ConversationKeys, ConversationSecret, Role};

/// One end's part in one meeting of a conversation, for programs that play very many clients: two deposits as
/// a [`Client`](crate::Client) makes them, and the keys of the replies.
///
/// Everything is derived from the conversation's secret each time, so there is no forward secrecy.
/// Applications use a [`Client`](crate::Client).
pub struct BareMeeting {
    partners: [BodyKey; 2],
}

impl BareMeeting {
    /// Bytes of payload in a body of a round with this geometry, at most.
    pub const fn payload_bytes(geometry: Geometry) -> usize {
        body::payload_bytes(geometry.body_bytes())
    }

    /// Writes this end's two deposits of a round, with a payload each, behind each other into
    /// `deposits`.
    ///
    /// # Panics
    /// If `deposits` is not two deposits long, or a payload is longer than
    /// [`payload_bytes`](Self::payload_bytes).
    pub fn deposit(
        secret: &ConversationSecret,
        role: Role,
        (epoch, round): (Epoch, Round),
        geometry: Geometry,
        payloads: [&[u8]; 2],
        deposits: &mut [u8],
    ) -> Self {
        assert_eq!(deposits.len(), 2 * geometry.deposit_bytes(), "room for two deposits");
        let (mut keys, _) = ConversationKeys::new(secret, role);
        let keys = keys.take(epoch, round, 1).expect("no round was taken from these keys before");
        let mut partners = Vec::with_capacity(2);
        let each = deposits.chunks_exact_mut(geometry.deposit_bytes());
        for (sequence, ((keys, payload), deposit)) in
            (0..).zip(keys.into_iter().zip(payloads).zip(each))
        {
            let (dead_drop, body) = deposit.split_at_mut(DEAD_DROP_BYTES);
            dead_drop.copy_from_slice(&keys.dead_drop[..]);
            let item = Item::Fragment(Fragment { sequence, last: true, payload });
            let (instances, acknowledgement) = Default::default();
            let is_ahead = false;
            Content { instances, acknowledgement, is_ahead, item }.seal(&keys.mine, body);
            partners.push(keys.partners);
        }
        let Ok(partners) = partners.try_into() else { unreachable!("a pair has two deposits") };
        Self { partners }
    }

    /// The payload that the partner deposited in the place of the reply number `reply`, 0 or 1, all
    /// reply streams removed; nothing if the reply is anything else. Decrypts in place.
    pub fn open<'a>(&self, reply: usize, body: &'a mut [u8]) -> Option<&'a [u8]> {
        match body::read(body::open(self.partners.get(reply)?, body)?).ok()?.item {
            Item::Fragment(fragment) => Some(fragment.payload),
            Item::Nothing | Item::Closing(_) => None,
        }
    }
}

impl std::fmt::Debug for BareMeeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BareMeeting(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_meet_at_the_same_dead_drops_and_read_each_other() {
        let geometry = Geometry::new(5, 256).unwrap();
        let secret = ConversationSecret([7; 32]);
        let at = (Epoch(3), Round(40));
        let mut sent =
            [vec![0; 2 * geometry.deposit_bytes()], vec![0; 2 * geometry.deposit_bytes()]];
        let first =
            BareMeeting::deposit(&secret, Role::First, at, geometry, [b"a", b"b"], &mut sent[0]);
        let second =
            BareMeeting::deposit(&secret, Role::Second, at, geometry, [b"c", b"d"], &mut sent[1]);
        for reply in 0..2 {
            let start = reply * geometry.deposit_bytes();
            let part = |end: usize| sent[end][start..start + geometry.deposit_bytes()].to_vec();
            assert_eq!(part(0)[..DEAD_DROP_BYTES], part(1)[..DEAD_DROP_BYTES]);
            let (mut a, mut b) = (part(0), part(1));
            assert_eq!(first.open(reply, &mut b[DEAD_DROP_BYTES..]), Some(&b"cd"[reply..=reply]));
            assert_eq!(second.open(reply, &mut a[DEAD_DROP_BYTES..]), Some(&b"ab"[reply..=reply]));
            // One's own body, or a garbled one, is not the partner's.
            assert_eq!(first.open(reply, &mut part(0)[DEAD_DROP_BYTES..]), None);
            let mut garbled = part(1);
            garbled[DEAD_DROP_BYTES] ^= 1;
            assert_eq!(first.open(reply, &mut garbled[DEAD_DROP_BYTES..]), None);
        }
    }
}
