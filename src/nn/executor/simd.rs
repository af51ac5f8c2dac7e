//! Vector lanes without intrinsics: loops over arrays of constant length, which the compiler turns into vector code.
//!
//! Kernels are generic over the number P of lanes. Lanes run across *independent* outputs and every output is summed in
//! one fixed order, so results are the same to the bit for any P and on any platform. For the same reason a
//! multiplication and an addition are never contracted into one instruction.

/// How many lanes a panel of weights has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Width(Lanes);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lanes {
    /// For registers of 128 bits: WebAssembly, SSE2, NEON.
    Eight,
    /// For registers of 256 bits: AVX2. Made only where the processor has it.
    #[cfg(target_arch = "x86_64")]
    Sixteen,
}

impl Width {
    /// What every processor of the target has.
    pub(crate) const PORTABLE: Self = Self(Lanes::Eight);

    /// The widest that this processor has.
    pub(crate) fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self(Lanes::Sixteen);
        }
        Self::PORTABLE
    }

    /// The number of lanes.
    pub(crate) fn lanes(self) -> usize {
        match self.0 {
            Lanes::Eight => 8,
            #[cfg(target_arch = "x86_64")]
            Lanes::Sixteen => 16,
        }
    }

    /// Runs a kernel with this many lanes.
    #[inline]
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self.0 {
            Lanes::Eight => kernel.run::<8>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Sixteen` is made only by `widest`, which has found AVX2.
            Lanes::Sixteen => unsafe { with_avx2(kernel) },
        }
    }
}

/// A computation that is written once for any number of lanes. `run` must be `#[inline(always)]`, so that it is
/// compiled with the vector instructions of its caller.
pub(crate) trait Kernel {
    /// Computes with P lanes.
    fn run<const P: usize>(self);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(kernel: impl Kernel) {
    kernel.run::<16>();
}

/// acc += x · w, lane by lane.
#[inline(always)]
pub(crate) fn add_scaled<const P: usize>(acc: &mut [f32; P], x: f32, w: &[f32; P]) {
    for lane in 0..P {
        acc[lane] += x * w[lane];
    }
}

/// `n` rounded up to whole panels.
pub(crate) fn whole(n: usize, lanes: usize) -> usize {
    n.div_ceil(lanes) * lanes
}
