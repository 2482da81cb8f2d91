//! The implementations of the Diffie-Hellman, and the choice between them.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use super::processor;

/// An implementation of the Diffie-Hellman. All give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Eight points at a time, with the 52-bit multipliers of AVX-512 IFMA.
    Ifma,
    /// Four points at a time, with the 32-bit multipliers of AVX2.
    Avx2,
    /// One point at a time, on any machine.
    Portable,
}

/// This machine lacks what a kernel needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this processor cannot run the kernel {0}; choose `portable`, or none to have it chosen")]
pub struct KernelUnavailable(pub Kernel);

/// A name that no kernel has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no kernel `{0}`; there are `avx512-ifma`, `avx2` and `portable`")]
pub struct UnknownKernel(String);

/// 1 + the index in [`Kernel::ALL`] of the kernel chosen, 0 before one is.
static SELECTED: AtomicU8 = AtomicU8::new(0);

impl Kernel {
    /// Every kernel there is, fastest first.
    pub const ALL: &[Self] = &[Self::Ifma, Self::Avx2, Self::Portable];

    /// Returns `true` if this machine can run the kernel.
    pub fn is_available(self) -> bool {
        match self {
            Self::Ifma => processor::has_ifma(),
            Self::Avx2 => processor::has_avx2(),
            Self::Portable => true,
        }
    }

    /// Its name on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ifma => "avx512-ifma",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// The kernel that this process builds and peels with: the fastest available, unless
    /// [`Kernel::select`] said otherwise.
    pub fn selected() -> Self {
        let chosen = usize::from(SELECTED.load(Ordering::Relaxed));
        match chosen.checked_sub(1) {
            Some(index) => Self::ALL[index],
            None => Self::ALL
                .iter()
                .copied()
                .find(|kernel| kernel.is_available())
                .unwrap_or(Self::Portable),
        }
    }

    /// Makes this process build and peel with this kernel from here on.
    ///
    /// # Errors
    /// If this machine cannot run it; the choice stays as it is then.
    pub fn select(self) -> Result<(), KernelUnavailable> {
        if !self.is_available() {
            return Err(KernelUnavailable(self));
        }
        let index = Self::ALL.iter().position(|kernel| *kernel == self).unwrap_or_default();
        SELECTED.store(index as u8 + 1, Ordering::Relaxed);
        Ok(())
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kernel {
    type Err = UnknownKernel;

    fn from_str(name: &str) -> Result<Self, UnknownKernel> {
        let found = Self::ALL.iter().copied().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| UnknownKernel(name.to_owned()))
    }
}
