//! This process's own memory, as somebody sees it who seizes the machine.

use std::collections::BTreeMap;
use std::fs::{File, read_to_string};
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

/// What is looked for is kept under this mask, or it would be found where it is kept.
const MASK: u8 = 0xa7;

const READ_AT_ONCE: usize = 1 << 20;

/// Secrets of 32 bytes, masked.
#[derive(Clone, Default)]
pub(crate) struct Needles(Vec<[u8; 32]>);

impl Needles {
    pub(crate) fn add(&mut self, secret: &[u8; 32]) {
        self.0.push(secret.map(|byte| byte ^ MASK));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The secrets themselves, one after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Zeroizing<[u8; 32]>> {
        self.0.iter().map(|masked| Zeroizing::new(masked.map(|byte| byte ^ MASK)))
    }

    /// Those at which positions are somewhere in this process's memory.
    pub(crate) fn found(&self) -> Vec<usize> {
        scrub_stack();
        let mut by_start: BTreeMap<[u8; 8], Vec<usize>> = BTreeMap::new();
        for (position, needle) in self.0.iter().enumerate() {
            by_start.entry(*needle.first_chunk().unwrap()).or_default().push(position);
        }
        let mut likely = vec![false; 1 << 16];
        for start in by_start.keys() {
            likely[usize::from(u16::from_be_bytes([start[0], start[1]]))] = true;
        }
        let mut found = Vec::new();
        for_all_memory(|bytes| {
            for window in bytes.windows(32) {
                if !likely[usize::from(u16::from_be_bytes([window[0] ^ MASK, window[1] ^ MASK]))] {
                    continue;
                }
                let start = std::array::from_fn(|i| window[i] ^ MASK);
                let positions = by_start.get(&start).into_iter().flatten();
                let is_there = |needle: &[u8; 32]| {
                    needle.iter().zip(window).all(|(masked, byte)| masked ^ MASK == *byte)
                };
                found.extend(positions.filter(|position| is_there(&self.0[**position])));
            }
        });
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Overwrites what earlier calls have left below: the next calls of any program do.
#[inline(never)]
fn scrub_stack() {
    black_box([0u8; 256 << 10]);
}

/// Hands out all that can be written to, in pieces that overlap by 31 bytes.
fn for_all_memory(mut see: impl FnMut(&[u8])) {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut piece = vec![0; READ_AT_ONCE];
    for line in read_to_string("/proc/self/maps").unwrap().lines() {
        let Some((range, rest)) = line.split_once(' ') else { continue };
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        while end - at >= 32 {
            let bytes = piece.len().min((end - at) as usize);
            if memory.read_exact_at(&mut piece[..bytes], at).is_err() {
                break;
            }
            see(&piece[..bytes]);
            at += (bytes - 31) as u64;
        }
    }
}
