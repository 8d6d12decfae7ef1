//! Runs functions over slices on candle tensors in main memory.
//!
//! Invariants: inputs are contiguous `f32`; an operation either makes a new tensor or, as a custom operation of
//! candle, changes its first tensor in place. A tensor on another device is an error that names the operation.
//! Must not know: what the functions compute.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, Shape, Storage, Tensor, bail};

use super::Error;
use crate::kernel::{self, Threads};

struct Update<F> {
    name: &'static str,
    f: F,
}

impl<F: Fn(&mut [f32])> InplaceOp1 for Update<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.f)(slice_mut(self.name, x, layout)?);
        Ok(())
    }
}

struct UpdateWith<F>(Update<F>);

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for UpdateWith<F> {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout, y: &CpuStorage, y_layout: &Layout) -> Result<()> {
        let name = self.0.name;
        (self.0.f)(slice_mut(name, x, x_layout)?, slice(name, y, y_layout)?);
        Ok(())
    }
}

/// What `f` makes of the elements of `x`.
pub(super) fn read<R>(name: &'static str, x: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(slice(name, storage, layout)?)),
        _ => bail!("{name} has no code for {:?} yet", x.device().location()),
    }
}

/// A new tensor of `shape`, filled by `f(x, out)`.
pub(super) fn map(
    name: &'static str,
    x: &Tensor,
    shape: impl Into<Shape>,
    f: impl FnOnce(&[f32], &mut [f32]),
) -> Result<Tensor> {
    let shape = shape.into();
    let mut out = vec![0.0; shape.elem_count()];
    read(name, x, |x| f(x, &mut out))?;
    Tensor::from_vec(out, shape, x.device())
}

/// Changes `x` in place.
pub(super) fn update(name: &'static str, x: &Tensor, f: impl Fn(&mut [f32])) -> Result<()> {
    x.inplace_op1(&Update { name, f })
}

/// Changes `x` in place, reading `y`.
pub(super) fn update_with(name: &'static str, x: &Tensor, y: &Tensor, f: impl Fn(&mut [f32], &[f32])) -> Result<()> {
    x.inplace_op2(y, &UpdateWith(Update { name, f }))
}

/// Adds `y` to `x` in place; both of one shape.
///
/// # Errors
/// Different shapes, or tensors that are not contiguous `f32` in main memory.
pub fn add(x: &Tensor, y: &Tensor, threads: &Threads) -> std::result::Result<(), Error> {
    if x.shape() != y.shape() {
        let (wanted, found) = (format!("two tensors of {:?}", x.shape()), format!("{:?}", y.shape()));
        return Err(Error::Shape { part: "add", wanted, found });
    }
    Ok(update_with("add", x, y, |x, y| kernel::add(x, y, threads))?)
}

/// The rows of `x: [n_tokens, width]` with these indices, as a new tensor.
///
/// # Errors
/// An index past the last row.
pub fn gather(x: &Tensor, rows: &[usize]) -> std::result::Result<Tensor, Error> {
    let (n_rows, width) = x.dims2()?;
    if let Some(row) = rows.iter().find(|&&row| row >= n_rows) {
        let wanted = format!("rows below {n_rows}");
        return Err(Error::Shape { part: "gather", wanted, found: format!("row {row}") });
    }
    Ok(map("gather", x, (rows.len(), width), |x, out| {
        for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
            out.copy_from_slice(&x[row * width..][..width]);
        }
    })?)
}

/// The elements of `x` in row-major order.
///
/// # Errors
/// A tensor that cannot be copied to main memory.
pub fn to_vec(x: &Tensor) -> std::result::Result<Vec<f32>, Error> {
    Ok(x.flatten_all()?.to_vec1()?)
}

fn slice<'a>(name: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&data[start..end]),
        (_, None) => bail!("{name} takes contiguous tensors"),
        _ => bail!("{name} takes f32 tensors, got {:?}", storage_type(storage)),
    }
}

fn slice_mut<'a>(name: &str, storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&mut data[start..end]),
        (_, None) => bail!("{name} takes contiguous tensors"),
        (storage, _) => bail!("{name} takes f32 tensors, got {:?}", storage_type(storage)),
    }
}

fn storage_type(storage: &CpuStorage) -> candle_core::DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}
