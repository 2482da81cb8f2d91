//! An onion of NaCl boxes, each with an ephemeral key of its own, as Vuvuzela has it: X25519 and
//! XSalsa20-Poly1305, through as many servers as Vuvuzela was measured with.

use crypto_box::aead::AeadInPlace as _;
use crypto_box::aead::rand_core::OsRng;
use crypto_box::{Nonce, PublicKey, SalsaBox, SecretKey};

use crate::measure::{Contender, Failure, timed};

const ONIONS: usize = 64;
/// Servers in Vuvuzela's measurements.
pub(crate) const HOPS: usize = 3;

const KEY: usize = 32;
const TAG: usize = 16;
const OVERHEAD: usize = KEY + TAG;

/// Servers' keys, and what travels through them.
pub(crate) struct Nacl {
    servers: Vec<SecretKey>,
    publics: Vec<PublicKey>,
    payload: Vec<u8>,
}

impl Nacl {
    /// Servers for payloads of `payload_bytes` bytes.
    pub(crate) fn new(payload_bytes: usize) -> Self {
        let servers: Vec<_> = (0..HOPS).map(|_| SecretKey::generate(&mut OsRng)).collect();
        let publics = servers.iter().map(SecretKey::public_key).collect();
        Self { servers, publics, payload: vec![7; payload_bytes] }
    }

    /// An onion: ephemeral key, tag and ciphertext, in one buffer.
    fn build_one(&self) -> Result<Vec<u8>, Failure> {
        let mut onion = vec![0; self.payload.len() + HOPS * OVERHEAD];
        onion[HOPS * OVERHEAD..].copy_from_slice(&self.payload);
        for (hop, public) in self.publics.iter().enumerate().rev() {
            let layer = &mut onion[hop * OVERHEAD..];
            let ephemeral = SecretKey::generate(&mut OsRng);
            let tag = SalsaBox::new(public, &ephemeral)
                .encrypt_in_place_detached(&Nonce::default(), &[], &mut layer[OVERHEAD..])
                .map_err(failure)?;
            layer[..KEY].copy_from_slice(ephemeral.public_key().as_bytes());
            layer[KEY..OVERHEAD].copy_from_slice(&tag);
        }
        Ok(onion)
    }

    /// Opens one server's layer in place.
    fn open_one(&self, hop: usize, layer: &mut [u8]) -> Result<(), Failure> {
        let (header, inner) = layer.split_at_mut(OVERHEAD);
        let ephemeral = PublicKey::from_slice(&header[..KEY]).map_err(failure)?;
        let mut tag = crypto_box::aead::Tag::<SalsaBox>::default();
        tag.copy_from_slice(&header[KEY..]);
        SalsaBox::new(&ephemeral, &self.servers[hop])
            .decrypt_in_place_detached(&Nonce::default(), &[], inner, &tag)
            .map_err(failure)
    }

    /// Building, per hop.
    pub(crate) fn build(&self) -> Contender<'_> {
        Contender::new(
            ONIONS * HOPS,
            Box::new(|| {
                let (time, built) =
                    timed(|| (0..ONIONS).map(|_| self.build_one()).collect::<Result<Vec<_>, _>>());
                built?;
                Ok(time)
            }),
        )
    }

    /// Opening, mean over the servers.
    pub(crate) fn open(&self) -> Contender<'_> {
        Contender::new(
            ONIONS * HOPS,
            Box::new(|| {
                let mut onions =
                    (0..ONIONS).map(|_| self.build_one()).collect::<Result<Vec<_>, _>>()?;
                let (time, opened) = timed(|| {
                    for hop in 0..HOPS {
                        for onion in &mut onions {
                            self.open_one(hop, &mut onion[hop * OVERHEAD..])?;
                        }
                    }
                    Ok::<_, Failure>(())
                });
                opened?;
                if onions.iter().any(|onion| onion[HOPS * OVERHEAD..] != self.payload) {
                    return Err("NaCl box: an onion did not open to its payload".into());
                }
                Ok(time)
            }),
        )
    }
}

fn failure(error: impl std::fmt::Display) -> Failure {
    format!("NaCl box: {error}").into()
}
