//! A hint for the processor to load memory into its cache.

/// Begins to load the first bytes of `value` into the processor's cache, without waiting for them.
/// A real load would do the same, but the instructions after it would soon have to wait. On
/// processors other than x86-64 this does nothing.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch changes only the processor's cache, and the address comes from a
    // reference.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>((&raw const *value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
