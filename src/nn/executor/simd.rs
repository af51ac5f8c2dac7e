//! Vector lanes without intrinsics: loops over arrays of constant length, which the compiler turns into vector code.
//!
//! Kernels are generic over the number P of lanes. Lanes run across *independent* outputs and every output is summed in
//! one fixed order, so results are the same to the bit for any P and on any platform, as long as a multiplication and
//! an addition are rounded one after the other. Contracting them into one instruction is faster and leaves that
//! promise: see [`Arithmetic`].

use serde::{Deserialize, Serialize};

/// How products are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    /// Every product and every sum is rounded: the same result to the bit on every platform.
    #[default]
    Exact,
    /// One rounding for both (fused multiply–add) where the processor can: faster, and different in the last bits.
    Fused,
}

impl Arithmetic {
    /// The fastest that this program has on this device.
    pub fn fastest() -> Self {
        if Processor::this(Self::Fused).fused { Self::Fused } else { Self::Exact }
    }
}

/// What kernels are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processor {
    widest: Lanes,
    /// Whether products are fused with sums; only where the processor can.
    fused: bool,
}

/// How many lanes a panel of weights has, and how it is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Width {
    lanes: Lanes,
    fused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lanes {
    /// For registers of 128 bits: WebAssembly, SSE2, NEON.
    Eight,
    /// For registers of 256 bits: AVX2. Made only where the processor has it, and FMA.
    #[cfg(target_arch = "x86_64")]
    Sixteen,
    /// For registers of 512 bits: AVX-512. Made only where the processor has it.
    #[cfg(target_arch = "x86_64")]
    ThirtyTwo,
}

/// Whether fused multiply–adds belong to what every processor of the target has. For WebAssembly there are two builds, and
/// whoever loads the one with the feature `relaxed` has found that the browser knows relaxed SIMD.
const FUSED_EVERYWHERE: bool = cfg!(any(target_arch = "aarch64", all(target_arch = "wasm32", feature = "relaxed")));

impl Processor {
    /// What every processor of the target has.
    #[cfg(test)]
    pub(crate) const PORTABLE: Self = Self { widest: Lanes::Eight, fused: false };

    /// The widest that this processor has.
    pub(crate) fn this(arithmetic: Arithmetic) -> Self {
        let fused = arithmetic == Arithmetic::Fused;
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") {
                return Self { widest: if has!("avx512f") { Lanes::ThirtyTwo } else { Lanes::Sixteen }, fused };
            }
        }
        Self { widest: Lanes::Eight, fused: fused && FUSED_EVERYWHERE }
    }

    /// The greatest width that so many independent outputs fill.
    pub(crate) fn width(self, outputs: usize) -> Width {
        #[cfg(target_arch = "x86_64")]
        if self.widest == Lanes::ThirtyTwo && outputs <= 16 {
            return Width { lanes: Lanes::Sixteen, fused: self.fused };
        }
        let _ = outputs;
        Width { lanes: self.widest, fused: self.fused }
    }
}

impl Width {
    /// The number of lanes.
    pub(crate) fn lanes(self) -> usize {
        match self.lanes {
            Lanes::Eight => 8,
            #[cfg(target_arch = "x86_64")]
            Lanes::Sixteen => 16,
            #[cfg(target_arch = "x86_64")]
            Lanes::ThirtyTwo => 32,
        }
    }

    /// Runs a kernel with this many lanes.
    #[inline]
    pub(crate) fn run(self, kernel: impl Kernel) {
        match (self.lanes, self.fused) {
            (Lanes::Eight, true) if FUSED_EVERYWHERE => with_eight_fused(kernel),
            (Lanes::Eight, _) => kernel.run::<8, false>(),
            // SAFETY: these widths come from `Processor::this`, which has found the instructions.
            #[cfg(target_arch = "x86_64")]
            (Lanes::Sixteen, false) => unsafe { with_avx2::<false>(kernel) },
            #[cfg(target_arch = "x86_64")]
            (Lanes::Sixteen, true) => unsafe { with_avx2::<true>(kernel) },
            #[cfg(target_arch = "x86_64")]
            (Lanes::ThirtyTwo, false) => unsafe { with_avx512::<false>(kernel) },
            #[cfg(target_arch = "x86_64")]
            (Lanes::ThirtyTwo, true) => unsafe { with_avx512::<true>(kernel) },
        }
    }
}

/// A computation that is written once for any number of lanes. `run` must be `#[inline(always)]`, so that it is
/// compiled with the vector instructions of its caller.
pub(crate) trait Kernel {
    /// Computes with P lanes, with fused multiply–adds or without.
    fn run<const P: usize, const FUSED: bool>(self);
}

#[cfg_attr(all(target_arch = "wasm32", feature = "relaxed"), target_feature(enable = "relaxed-simd"))]
fn with_eight_fused(kernel: impl Kernel) {
    kernel.run::<8, true>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<const FUSED: bool>(kernel: impl Kernel) {
    kernel.run::<16, FUSED>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn with_avx512<const FUSED: bool>(kernel: impl Kernel) {
    kernel.run::<32, FUSED>();
}

/// acc += x · w, lane by lane.
#[inline(always)]
pub(crate) fn add_scaled<const P: usize, const FUSED: bool>(acc: &mut [f32; P], x: f32, w: &[f32; P]) {
    add_products::<P, FUSED>(acc, &[x; P], w);
}

/// Adds to four sums the products of their rows with a panel of weights, in the order of the rows.
#[inline(always)]
pub(crate) fn add_four<const P: usize, const FUSED: bool>(
    [mut a, mut b, mut c, mut d]: [[f32; P]; 4],
    [x, y, z, u]: [&[f32]; 4],
    weights: &[[f32; P]],
) -> [[f32; P]; 4] {
    for ((((w, &x), &y), &z), &u) in weights.iter().zip(x).zip(y).zip(z).zip(u) {
        add_scaled::<_, FUSED>(&mut a, x, w);
        add_scaled::<_, FUSED>(&mut b, y, w);
        add_scaled::<_, FUSED>(&mut c, z, w);
        add_scaled::<_, FUSED>(&mut d, u, w);
    }
    [a, b, c, d]
}

/// acc += x · w, lane by lane, each lane with an x of its own.
#[inline(always)]
pub(crate) fn add_products<const P: usize, const FUSED: bool>(acc: &mut [f32; P], x: &[f32; P], w: &[f32; P]) {
    #[cfg(all(target_arch = "wasm32", feature = "relaxed"))]
    if FUSED {
        return relaxed::add_products(acc, x, w);
    }
    for lane in 0..P {
        acc[lane] = if FUSED { x[lane].mul_add(w[lane], acc[lane]) } else { acc[lane] + x[lane] * w[lane] };
    }
}

/// What Rust has no portable name for: its `mul_add` promises one rounding, relaxed SIMD one or two.
#[cfg(all(target_arch = "wasm32", feature = "relaxed"))]
mod relaxed {
    use std::arch::wasm32::{f32x4, f32x4_extract_lane, f32x4_relaxed_madd};

    #[inline(always)]
    pub(super) fn add_products<const P: usize>(acc: &mut [f32; P], x: &[f32; P], w: &[f32; P]) {
        let four = |v: &[f32; 4]| f32x4(v[0], v[1], v[2], v[3]);
        let ((accs, acc), (xs, x), (ws, w)) = (acc.as_chunks_mut::<4>(), x.as_chunks(), w.as_chunks());
        for ((acc, x), w) in acc.iter_mut().zip(x).zip(w) {
            *acc += x * w;
        }
        for ((acc, x), w) in accs.iter_mut().zip(xs).zip(ws) {
            let sum = f32x4_relaxed_madd(four(x), four(w), four(acc));
            *acc = [
                f32x4_extract_lane::<0>(sum),
                f32x4_extract_lane::<1>(sum),
                f32x4_extract_lane::<2>(sum),
                f32x4_extract_lane::<3>(sum),
            ];
        }
    }
}

/// P values from `at` on; behind `lanes` of them, zeros. Whole panels are loaded without a call.
#[inline(always)]
pub(crate) fn load<T: Copy + Default, const P: usize>(values: &[T], at: usize, lanes: usize) -> [T; P] {
    match values[at..].first_chunk::<P>() {
        Some(whole) if lanes == P => *whole,
        _ => {
            let mut some = [T::default(); P];
            some[..lanes].copy_from_slice(&values[at..at + lanes]);
            some
        }
    }
}

/// Stores the first `lanes` of P values from `at` on.
#[inline(always)]
pub(crate) fn store<T: Copy, const P: usize>(values: &mut [T], at: usize, lanes: usize, lane: &[T; P]) {
    match values[at..].first_chunk_mut::<P>() {
        Some(whole) if lanes == P => *whole = *lane,
        _ => values[at..at + lanes].copy_from_slice(&lane[..lanes]),
    }
}

/// `n` rounded up to whole panels.
pub(crate) fn whole(n: usize, lanes: usize) -> usize {
    n.div_ceil(lanes) * lanes
}
