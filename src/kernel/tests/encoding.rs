//! Decoded weights against values computed independently.

use super::super::{Error, Mapping, Packed, dequantize, dequantize_row};
use super::{ENCODINGS, Random, assert_same_bits};
use crate::types::Dtype;
use std::io::Write;
use std::sync::Arc;

const N: usize = 8192;

/// 8192 weights of random blocks, from the `gguf` Python package: the FNV-1a hash of their bytes, and four of them.
///
/// The bytes come from `Random(block_elements + block_bytes)`.
#[rustfmt::skip]
const GOLDEN: [(Dtype, u64, [f32; 4]); 12] = [
    (Dtype::Q4_0, 0x960307a62ea63359, [-7.5742188, 0.12225342, 2.1496582, -0.00039720535]),
    (Dtype::Q4_1, 0x1804b4a0841e352e, [0.21741867, 0.06700897, -0.104426384, 0.001282692]),
    (Dtype::Q5_0, 0x1f58fa7e8e053482, [0.05239868, -0.000341177, 1.5922852, 0.1262207]),
    (Dtype::Q5_1, 0xc665508db646d526, [-0.792469, 0.020689845, 1.0040283, 4.335022]),
    (Dtype::Q8_0, 0xdc5ab3c3f25afc20, [0.0049535036, 158.39062, 6.810791, 0.02862513]),
    (Dtype::Q2_K, 0x8d020873f69721c9, [-0.041770935, 6.125946, -0.061759472, -0.015773296]),
    (Dtype::Q3_K, 0x27f287cd37c14ae8, [18.060547, 15.480469, -80.05078, 0.32766724]),
    (Dtype::Q4_K, 0xb147c740a6bcbb37, [27.86964, 25.536634, -0.35968208, -1.3741226]),
    (Dtype::Q5_K, 0x8314a199e14cf525, [148.70605, 104.302734, 794.7261, -0.21104121]),
    (Dtype::Q6_K, 0xce0dc9b5876ee99a, [-0.038793027, 0.05262226, -0.011841059, -1.125884]),
    (Dtype::IQ4_NL, 0x8c6d302930214014, [-112.53125, 1.940773, 29.665283, -0.0048657656]),
    (Dtype::IQ4_XS, 0xd3f8ccb87e3ece9b, [-22.25647, -4.7210693, 0.45433807, 95.441895]),
];

fn weights_of(dtype: Dtype) -> (Vec<u8>, Vec<f32>) {
    let seed = (dtype.block_elements() + dtype.block_bytes()) as u64;
    let bytes = Random(seed).blocks(dtype, N / dtype.block_elements());
    let mut weights = vec![0.0; N];
    dequantize(dtype, &bytes, &mut weights).expect("the lengths fit");
    (bytes, weights)
}

#[test]
fn weights_equal_those_computed_independently() {
    for (dtype, hash, some) in GOLDEN {
        let (_, weights) = weights_of(dtype);
        assert_eq!([0, 100, 5000, 8191].map(|i| weights[i]), some, "{dtype:?}");
        // A negative zero counts as zero.
        let bytes = weights.iter().flat_map(|w| (w + 0.0).to_le_bytes());
        let got =
            bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        assert_eq!(got, hash, "{dtype:?}");
    }
}

#[test]
fn plain_floats_are_read_as_they_are() {
    for (dtype, bytes, want) in [
        (Dtype::F32, vec![0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], [1.0, -2.0]),
        (Dtype::F16, vec![0, 0x3c, 0, 0xc0], [1.0, -2.0]),
        (Dtype::BF16, vec![0x80, 0x3f, 0, 0xc0], [1.0, -2.0]),
    ] {
        let mut out = [0.0; 2];
        dequantize(dtype, &bytes, &mut out).expect("the lengths fit");
        assert_eq!(out, want, "{dtype:?}");
    }
}

#[test]
fn a_row_is_a_part_of_the_whole() {
    for (dtype, _) in ENCODINGS {
        let (bytes, weights) = weights_of(dtype);
        for row in [0, 3, 31] {
            let mut out = vec![0.0; 256];
            dequantize_row(dtype, &bytes, row, &mut out).expect("the row is there");
            assert_eq!(out, weights[row * 256..(row + 1) * 256], "{dtype:?} row {row}");
        }
    }
}

#[test]
fn a_row_of_packed_weights_is_the_row_that_was_packed() {
    for (dtype, _) in ENCODINGS {
        let (bytes, weights) = weights_of(dtype);
        let packed = Packed::pack(dtype, &bytes, 32, 256).expect("the lengths fit");
        for row in [0, 3, 15, 16, 31] {
            let mut out = vec![f32::NAN; 256];
            packed.row(row, &mut out);
            assert_same_bits(&format!("{dtype:?} row {row}"), &out, &weights[row * 256..(row + 1) * 256]);
        }
    }
}

#[test]
fn the_packed_layout_has_the_number_that_files_know_it_by() {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for (dtype, _) in ENCODINGS {
        let (bytes, _) = weights_of(dtype);
        let packed = Packed::pack(dtype, &bytes, 16, 512).expect("the lengths fit");
        hash = packed.bytes().iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    }
    // Whoever changes what packing gives changes both numbers, or files that others packed will be misread.
    assert_eq!((Packed::LAYOUT, hash), (1, 0x1784_4da7_f169_6e69));
}

#[test]
fn only_whole_matrices_are_mapped() {
    let (bytes, weights) = weights_of(Dtype::Q4_K);
    let packed = Packed::pack(Dtype::Q4_K, &bytes, 32, 256).expect("the lengths fit");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[&[0; 64], packed.bytes()].concat()).expect("it is written");
    let mapping = Arc::new(Mapping::new(&file).expect("it is mapped"));
    let mapped = Packed::map(Dtype::Q4_K, [32, 256], &mapping, 64).expect("it is there");
    assert_eq!(mapped.bytes(), packed.bytes());
    let mut out = vec![f32::NAN; 256];
    mapped.row(31, &mut out);
    assert_same_bits("a mapped row", &out, &weights[31 * 256..]);
    for (shape, offset) in
        [([32, 256], 63), ([32, 256], 128), ([33, 256], 64), ([32, 255], 64), ([32, 256], usize::MAX)]
    {
        assert!(Packed::map(Dtype::Q4_K, shape, &mapping, offset).is_none(), "{shape:?} at {offset}");
    }
    assert!(Packed::map(Dtype::Q4_K, [usize::MAX, 256], &mapping, 0).is_none());
}

#[test]
fn wrong_lengths_are_named() {
    for (dtype, n_bytes, n, want) in [
        (Dtype::Q4_K, 144, 255, "a row of 255 elements is not a whole number of Q4_K blocks of 256"),
        (Dtype::Q4_K, 143, 256, "Q4_K [1, 256] takes 144 bytes, got 143"),
        (Dtype::F16, 5, 3, "F16 [1, 3] takes 6 bytes, got 5"),
    ] {
        let error = dequantize(dtype, &vec![0; n_bytes], &mut vec![0.0; n]).expect_err(want);
        assert_eq!(error.to_string(), want);
    }
    let past_the_end = dequantize_row(Dtype::Q8_0, &[0; 68], 2, &mut [0.0; 32]);
    assert_eq!(past_the_end, Err(Error::Length { dtype: Dtype::Q8_0, n_rows: 3, n_cols: 32, want: 102, got: 68 }));
    assert!(dequantize_row(Dtype::Q8_0, &[0; 68], usize::MAX, &mut [0.0; 32]).is_err());
}
