//! Tile registers of the CPU: Intel's Advanced Matrix Extensions.
//!
//! The compiler knows neither that these instructions change tile registers nor that one needs what another one left
//! there. It generates no code that touches them, and keeps the order of assembly with side effects, which all of it
//! here is; so a register holds from one block of assembly to the next what the last one left.
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18; for the permission, the
//! kernel's `Documentation/arch/x86/xstate.rst`.

#![allow(unsafe_code)]

use super::check::agrees;
use super::{N_REGISTERS, Tile, TileRegisters};
use crate::kernel::isa::{Isa, isa};
use crate::kernel::simd::Line;
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

/// Proof that this CPU has tiles of bfloat16, that the system lets this process use them, and that they do what
/// [`Model`](super::Model) does.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Amx(());

impl Amx {
    /// Asks the CPU and the system, once per process, and compares one product with the model's.
    ///
    /// The permission is for the threads that exist and for those they start, so this comes before compute threads do.
    pub(in crate::kernel) fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<Amx>> = OnceLock::new();
        *FOUND.get_or_init(|| (has_tiles() && is_permitted()).then_some(Self(())).filter(|amx| agrees(*amx)))
    }

    /// The registers, unless `PARTITA_ISA` names a set without them.
    pub(in crate::kernel) fn in_use() -> Option<Self> {
        if isa() >= Isa::Avx512Amx { Self::find() } else { None }
    }
}

/// Whether the CPU has the instructions and the system saves the registers.
fn has_tiles() -> bool {
    /// CPUID 1, ECX: XGETBV may be used.
    const OSXSAVE: u32 = 1 << 27;
    /// CPUID 7, EDX: AMX-BF16 and AMX-TILE.
    const TILES: u32 = 1 << 22 | 1 << 24;
    /// XCR0: tile configuration and tile data.
    const SAVED: u64 = 1 << 17 | 1 << 18;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 || __cpuid_count(7, 0).edx & TILES != TILES {
        return false;
    }
    // SAFETY: OSXSAVE says that the instruction is there, which is all that `saved_state` asks of its caller.
    unsafe { saved_state() & SAVED == SAVED }
}

/// What the system saves of a thread: XCR0.
///
/// # Safety
/// The CPU has XSAVE, and the system has enabled it.
#[target_feature(enable = "xsave")]
unsafe fn saved_state() -> u64 {
    // SAFETY: the caller vouches for the feature; register 0 exists where it does.
    unsafe { std::arch::x86_64::_xgetbv(0) }
}

/// Asks the kernel for the large state that tiles are: a process does not get it unasked.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call takes two numbers, touches no memory of ours, and is refused with an error by a kernel that
    // does not know it.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// The operand of `ldtilecfg`: palette 1, and of every register 64 bytes per row.
fn configuration(n_rows: [u8; N_REGISTERS]) -> Line {
    let mut line = Line::ZERO;
    line.0[0] = 1;
    for (i, n_rows) in n_rows.into_iter().enumerate() {
        line.0[16 + 2 * i] = 64;
        line.0[48 + i] = n_rows;
    }
    line
}

/// Bytes from a line to the next.
const STRIDE: usize = size_of::<Line>();

impl TileRegisters for Amx {
    #[inline(always)]
    fn configure(&mut self, n_rows: [u8; N_REGISTERS]) {
        let line = configuration(n_rows);
        // SAFETY: `self` exists, so the instruction does; it reads the 64 bytes of `line` and sets up tile registers
        // only.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const line, options(readonly, nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn release(&mut self) {
        // SAFETY: `self` exists, so the instruction does; it changes tile registers only.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn zero<const T: usize>(&mut self) {
        // SAFETY: `self` exists, so the instruction does; it changes tile registers only.
        unsafe { asm!("tilezero tmm{}", const T, options(nomem, nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn load<const T: usize>(&mut self, from: &Tile) {
        // SAFETY: `self` exists, so the instruction does; it reads 16 lines of 64 bytes at most, which `from` has.
        unsafe {
            asm!(
                "tileloadd tmm{}, [{} + {}*1]", const T, in(reg) from.as_ptr(), in(reg) STRIDE,
                options(readonly, nostack, preserves_flags)
            );
        }
    }

    #[inline(always)]
    fn store<const T: usize>(&mut self, to: &mut Tile) {
        // SAFETY: `self` exists, so the instruction does; it writes 16 lines of 64 bytes at most, which `to` has.
        unsafe {
            asm!(
                "tilestored [{} + {}*1], tmm{}", in(reg) to.as_mut_ptr(), in(reg) STRIDE, const T,
                options(nostack, preserves_flags)
            );
        }
    }

    #[inline(always)]
    fn dot<const C: usize, const A: usize, const B: usize>(&mut self) {
        // SAFETY: `self` exists, so the instruction does; it changes tile registers only.
        unsafe {
            asm!(
                "tdpbf16ps tmm{}, tmm{}, tmm{}", const C, const A, const B,
                options(nomem, nostack, preserves_flags)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::configuration;

    #[test]
    fn a_configuration_has_its_fields_where_the_manual_says() {
        let line = configuration([1, 2, 3, 4, 5, 6, 7, 16]).0;
        assert_eq!(line[..16], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "palette, first row, reserved");
        assert!(line[16..32].as_chunks::<2>().0.iter().all(|width| u16::from_le_bytes(*width) == 64), "bytes per row");
        assert_eq!(line[32..48], [0; 16], "registers that there are not");
        assert_eq!(line[48..56], [1, 2, 3, 4, 5, 6, 7, 16], "rows");
        assert_eq!(line[56..], [0; 8], "reserved");
    }
}
