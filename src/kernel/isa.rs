//! Which instruction set the kernels run on: asked of the CPU once, lowered by `PARTITA_ISA`.
//!
//! Invariant: [`isa`] never names a set whose features this CPU lacks, so [`run`] may hand out its lanes.

#![allow(unsafe_code)]

use super::simd::{Portable, Simd};
#[cfg(target_arch = "x86_64")]
use super::simd::{avx2::Avx2, avx512::Avx512};
#[cfg(target_arch = "x86_64")]
use super::tile::Amx;
use std::sync::OnceLock;

/// An instruction set that the kernels are compiled for, in ascending order of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable code: the definition of every kernel.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, VL and VNNI.
    Avx512Vnni,
    /// The same lanes, and tiles of bfloat16 for products of many rows: AMX-TILE and AMX-BF16.
    Avx512Amx,
}

impl Isa {
    /// The name that `PARTITA_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Avx512Amx => "avx512amx",
        }
    }

    /// Every instruction set that this CPU has, slowest first.
    pub fn available() -> Vec<Isa> {
        let all = [Isa::Scalar, Isa::Avx2, Isa::Avx512Vnni, Isa::Avx512Amx];
        all.into_iter().filter(|&isa| isa <= detected()).collect()
    }
}

/// The best instruction set of this CPU.
fn detected() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni");
        if avx2 && avx512 {
            return if Amx::find().is_some() { Isa::Avx512Amx } else { Isa::Avx512Vnni };
        }
        if avx2 {
            return Isa::Avx2;
        }
    }
    Isa::Scalar
}

/// The instruction set in use: the best one available, or a lower one named by `PARTITA_ISA`.
///
/// Read once per process. A name that is unknown or above what the CPU has changes nothing.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let wanted = std::env::var("PARTITA_ISA").unwrap_or_default();
        let best = detected();
        Isa::available().into_iter().find(|isa| isa.name() == wanted).unwrap_or(best)
    })
}

/// A computation that is written over any lanes.
///
/// `run` and everything hot that it calls must be `#[inline(always)]`: only what is inlined into the functions
/// below is compiled with the features of the instruction set.
pub(super) trait Kernel {
    /// What the computation returns.
    type Output;
    /// Runs it on the given lanes.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a kernel on `isa`, or on the best set below it that this CPU has.
pub(super) fn run<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    match isa.min(detected_once()) {
        // SAFETY: `detected` found avx512f, bw, vl, dq and vnni, which is all that `run_avx512` asks of its caller.
        Isa::Avx512Vnni | Isa::Avx512Amx => return unsafe { run_avx512(kernel) },
        // SAFETY: `detected` found avx2, fma and f16c, which is all that `run_avx2` asks of its caller.
        Isa::Avx2 => return unsafe { run_avx2(kernel) },
        Isa::Scalar => {}
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = isa;
    kernel.run(Portable)
}

#[cfg(target_arch = "x86_64")]
fn detected_once() -> Isa {
    static DETECTED: OnceLock<Isa> = OnceLock::new();
    *DETECTED.get_or_init(detected)
}

/// # Safety
/// The CPU has AVX2, FMA and F16C.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller vouches for exactly the features that the token stands for.
    kernel.run(unsafe { Avx2::new() })
}

/// # Safety
/// The CPU has AVX-512 F, BW, VL, DQ and VNNI, and with them AVX2, FMA and F16C.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller vouches for exactly the features that the token stands for.
    kernel.run(unsafe { Avx512::new() })
}
