//! Sealing of what a state file keeps.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::formats::StateKey;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Bytes of the least that is sealed. More is doubled, so that the file's size tells little of what is queued.
const LEAST_BYTES: usize = 32 << 10;
/// Bytes of the length in front.
const LENGTH_BYTES: usize = 8;

/// Seals `content` together with `head`, which stays readable: nonce, ciphertext of a size that is a power of two, tag.
pub(crate) fn seal(
    key: &StateKey,
    head: &[u8],
    content: &[u8],
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let padded = (LENGTH_BYTES + content.len()).next_power_of_two().max(LEAST_BYTES);
    let mut sealed = Vec::with_capacity(NONCE_BYTES + padded + TAG_BYTES);
    // A key serves one content, but a write that failed may be tried again with it.
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    sealed.extend(nonce);
    sealed.extend((content.len() as u64).to_be_bytes());
    sealed.extend(content);
    sealed.resize(NONCE_BYTES + padded, 0);
    let tag = Aes256Gcm::new((&key.0).into())
        .encrypt_inout_detached(&nonce.into(), head, (&mut sealed[NONCE_BYTES..]).into())
        .expect("a state file is far below AES-GCM's limit of 64 GiB");
    sealed.extend(&tag[..]);
    sealed
}

/// Opens what was sealed with this key and head.
pub(crate) fn open(key: &StateKey, head: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut content = Zeroizing::new(ciphertext.to_vec());
    Aes256Gcm::new((&key.0).into())
        .decrypt_inout_detached(&(*nonce).into(), head, (&mut content[..]).into(), &(*tag).into())
        .ok()?;
    let length =
        usize::try_from(u64::from_be_bytes(*content.first_chunk::<LENGTH_BYTES>()?)).ok()?;
    let kept = content.get(LENGTH_BYTES..)?.get(..length)?;
    Some(Zeroizing::new(kept.to_vec()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_head_alone() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = StateKey([5; 32]);
        for length in [0, 1, LEAST_BYTES - LENGTH_BYTES, LEAST_BYTES, 100_000] {
            let content = vec![7; length];
            let sealed = seal(&key, b"head", &content, &mut rng);
            assert_eq!(open(&key, b"head", &sealed).as_deref(), Some(&content));
            assert!(open(&StateKey([6; 32]), b"head", &sealed).is_none());
            assert!(open(&key, b"heat", &sealed).is_none());
            let mut damaged = sealed.clone();
            damaged[NONCE_BYTES + 3] ^= 1;
            assert!(open(&key, b"head", &damaged).is_none());
        }
        assert!(open(&key, b"head", &[]).is_none());
    }

    #[test]
    fn one_message_more_or_less_does_not_change_the_size() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut size = |length| seal(&StateKey([5; 32]), b"", &vec![7; length], &mut rng).len();
        assert_eq!(size(0), size(20_000));
    }
}
