//! HCTR2 (Crowley, Huckleberry and Biggers, 2021) with AES-256, cell by cell.
//!
//! The tweak has two blocks and the cell whole ones, so that nothing is padded.

use std::mem;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes256Dec, Aes256Enc, Block};
use polyval::Polyval;
use polyval::universal_hash::UniversalHash;
use zeroize::Zeroize;

use super::{KEY_BYTES, TWEAK_BYTES, Way};

/// Blocks of the stream that are made in one call.
const PIECE: usize = 16;

/// What is hashed before the tweak: twice its length in bits, and 2, for whole blocks follow.
const LENGTHS: u16 = 2 * 8 * TWEAK_BYTES as u16 + 2;

/// Takes each cell through the permutation, in place. Cells have whole blocks, at least one.
pub(super) fn permute(
    way: Way,
    keys: &[&[u8; KEY_BYTES]],
    tweak: &[u8; TWEAK_BYTES],
    cells: &mut [&mut [u8]],
) {
    let mut expanded = Expanded::new();
    for (key, cell) in keys.iter().zip(cells) {
        expanded.set(way, key);
        expanded.permute(way, tweak, cell);
    }
}

/// What one key is expanded to. Erased after the last cell; before that, each key takes the place of the one
/// before.
struct Expanded {
    cipher: Aes256Enc,
    inverse: Aes256Dec,
    hash: Polyval,
    /// The mask of the stream's start.
    mask: Block,
}

impl Expanded {
    fn new() -> Self {
        let cipher = Aes256Enc::new(&[0; KEY_BYTES].into());
        let (inverse, hash) = (Aes256Dec::from(&cipher), Polyval::new(&number(0)));
        Self { cipher, inverse, hash, mask: number(0) }
    }

    fn set(&mut self, way: Way, key: &[u8; KEY_BYTES]) {
        overwrite(&mut self.cipher, Aes256Enc::new(key.into()));
        if way == Way::Decipher {
            overwrite(&mut self.inverse, Aes256Dec::from(&self.cipher));
        }
        let mut own = [number(0), number(1)];
        self.cipher.encrypt_blocks(&mut own);
        overwrite(&mut self.hash, Polyval::new(&own[0]));
        self.mask = own[1];
        own[0].zeroize();
    }

    fn permute(&mut self, way: Way, tweak: &[u8; TWEAK_BYTES], cell: &mut [u8]) {
        let (first, rest) = cell.split_at_mut(16);
        let block = sum(&load(first), &self.hashed(tweak, rest));
        let mut middle = block;
        match way {
            Way::Encipher => self.cipher.encrypt_block(&mut middle),
            Way::Decipher => self.inverse.decrypt_block(&mut middle),
        }
        let start = sum(&sum(&block, &middle), &self.mask);
        add_stream(&self.cipher, &start, rest);
        first.copy_from_slice(&sum(&middle, &self.hashed(tweak, rest)));
    }

    /// The hash of a tweak and all but the first block of a cell. Four blocks at a time are fastest: what comes
    /// before the cell has three.
    fn hashed(&self, tweak: &[u8; TWEAK_BYTES], rest: &[u8]) -> Block {
        let (fourth, rest) = rest.split_at(rest.len().min(16));
        let mut head = [number(LENGTHS), load(&tweak[..16]), load(&tweak[16..]), number(0)];
        head[3][..fourth.len()].copy_from_slice(fourth);
        let mut hash = self.hash.clone();
        hash.update(&head[..3 + fourth.len() / 16]);
        hash.update_padded(rest);
        hash.finalize()
    }
}

impl Drop for Expanded {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}

/// Puts a value in the place of another, which is not erased first: byte by byte, as the crates erase round
/// keys, that would take longer than the cell does.
fn overwrite<T>(place: &mut T, value: T) {
    mem::forget(mem::replace(place, value));
}

/// XCTR: adds AES of `start` plus, without carries, the numbers from 1 on, little-endian.
fn add_stream(cipher: &Aes256Enc, start: &Block, data: &mut [u8]) {
    let mut blocks = [Block::default(); PIECE];
    for (piece, data) in data.chunks_mut(16 * PIECE).enumerate() {
        let blocks = &mut blocks[..data.len() / 16];
        for (block, i) in blocks.iter_mut().zip(PIECE * piece + 1..) {
            *block = sum(start, &number(i as u16));
        }
        cipher.encrypt_blocks(blocks);
        for (data, block) in data.chunks_exact_mut(16).zip(&*blocks) {
            data.copy_from_slice(&sum(&load(data), block));
        }
    }
}

fn number(number: u16) -> Block {
    u128::from(number).to_le_bytes().into()
}

fn load(bytes: &[u8]) -> Block {
    let mut block = Block::default();
    block.copy_from_slice(bytes);
    block
}

fn sum(a: &Block, b: &Block) -> Block {
    (u128::from_ne_bytes((*a).into()) ^ u128::from_ne_bytes((*b).into())).to_ne_bytes().into()
}
