//! Whether this processor has what the vector kernels are compiled for.
//!
//! Each function here names the features of one kernel's `vectorised!`; a kernel checks it before its first
//! unsafe call.

/// Returns `true` if the kernel of AVX-512 IFMA can run.
#[cfg(all(target_arch = "x86_64", not(antiphon_no_simd)))]
pub(super) fn has_ifma() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi2")
}

/// Returns `true` if the kernel of AVX2 can run.
#[cfg(all(target_arch = "x86_64", not(antiphon_no_simd)))]
pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")
}

/// Returns `false`: the kernel is not compiled for this processor.
#[cfg(any(not(target_arch = "x86_64"), antiphon_no_simd))]
pub(super) fn has_ifma() -> bool {
    false
}

/// Returns `false`: the kernel is not compiled for this processor.
#[cfg(any(not(target_arch = "x86_64"), antiphon_no_simd))]
pub(super) fn has_avx2() -> bool {
    false
}
