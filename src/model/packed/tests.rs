//! Files of packed weights: written once, mapped after that, and never believed more than they deserve.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::cache::KvPool;
use crate::gguf::Gguf;
use crate::kernel::Threads;
use crate::model::tiny::{self, TinySpec};
use crate::model::{LoadOptions, Model};
use crate::types::{Batch, BlockId, Span};

fn load(spec: &TinySpec, places: &[PathBuf]) -> Model {
    let gguf = Arc::new(Gguf::from_bytes("tiny.gguf", tiny::to_bytes(spec)).unwrap());
    let options = LoadOptions {
        packed_places: places.to_vec(),
        threads: Some(Arc::new(Threads::new(1))),
        ..LoadOptions::default()
    };
    Model::load(&gguf, options).unwrap()
}

fn logits(model: &Model) -> Vec<u32> {
    let mut pool = KvPool::new(model.kv_shape(), 1);
    let span = Span { start: 0, n_tokens: 5, blocks: vec![BlockId(0)], logit_rows: vec![0, 4] };
    let batch = Batch { tokens: vec![7, 270, 0, 33, 104], spans: vec![span] };
    model.forward(&batch, &mut pool).unwrap().rows.iter().map(|logit| logit.to_bits()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_one_process_packed_the_next_one_maps() {
    for (name, spec) in tiny::families(Dtype::Q4_K).into_iter().chain(tiny::encodings()) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("tiny.packed");
        let plain = load(&spec, &[]);
        assert_eq!(plain.kept(), &Kept::default(), "{name}");
        let first = load(&spec, std::slice::from_ref(&place));
        assert_eq!(first.kept(), &Kept { written: Some(place.clone()), ..Kept::default() }, "{name}");
        let second = load(&spec, std::slice::from_ref(&place));
        assert_eq!(second.kept(), &Kept { mapped: Some(place.clone()), ..Kept::default() }, "{name}");
        let want = logits(&plain);
        assert_eq!(logits(&first), want, "{name}");
        assert_eq!(logits(&second), want, "{name}");
        assert_eq!(names(folder.path()), ["tiny.packed"], "{name}");
    }
}

#[test]
fn a_flawed_file_is_told_about_ignored_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tiny.packed");
    let spec = TinySpec::default();
    let want = logits(&load(&spec, std::slice::from_ref(&place)));
    let good = fs::read(&place).unwrap();
    let n = good.len();
    let foreign = {
        load(&TinySpec { seed: 2, ..TinySpec::default() }, std::slice::from_ref(&place));
        fs::read(&place).unwrap()
    };
    assert_eq!(foreign.len(), n);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    for (bytes, want_flaw) in [
        (Vec::new(), "it is not a file of packed weights".to_owned()),
        (b"PARTI".to_vec(), "it is not a file of packed weights".into()),
        (with(0, 1), "it is not a file of packed weights".into()),
        (good[..12].to_vec(), "it has 12 bytes, expected 68".into()),
        (with(8, 2), "it has format version 3, expected 1".into()),
        (with(12, 4), format!("its weights are packed in layout 5, expected {}", Packed::LAYOUT)),
        (with(16, 1), "the checksum of its header does not fit".into()),
        (with(23, 0x80), "the checksum of its header does not fit".into()),
        (with(24, 1), format!("it has {n} bytes, expected {}", n ^ 1)),
        (good[..n - 1].to_vec(), format!("it has {} bytes, expected {n}", n - 1)),
        (good[..n / 2].to_vec(), format!("it has {} bytes, expected {n}", n / 2)),
        ([&good[..], b"\n"].concat(), format!("it has {} bytes, expected {n}", n + 1)),
        (with(40, 1), "the checksum of its header does not fit".into()),
        (with(80, 1), "the checksum of its header does not fit".into()),
        (foreign, "it belongs to another model file".into()),
        (with(n - 1, 0x10), "the checksum of blk.1.ffn_down.weight does not fit its content".into()),
        (with(n / 2, 1), "does not fit its content".into()),
    ] {
        fs::write(&place, &bytes).unwrap();
        let model = load(&spec, std::slice::from_ref(&place));
        let kept = model.kept();
        assert_eq!((&kept.mapped, &kept.written), (&None, &Some(place.clone())), "{want_flaw}");
        let [warning] = &kept.warnings[..] else { panic!("{want_flaw}: {:?}", kept.warnings) };
        assert!(warning.contains(&want_flaw), "got {warning}\nexpected {want_flaw}");
        assert_eq!(logits(&model), want, "{want_flaw}");
        assert_eq!(fs::read(&place).unwrap(), good, "{want_flaw}: replaced by a good one");
    }
}

#[test]
fn every_bit_of_a_file_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tiny.packed");
    load(&TinySpec::default(), std::slice::from_ref(&place));
    let good = fs::read(&place).unwrap();
    let fingerprint: [u8; 32] = good[32..64].try_into().unwrap();
    let sections = file::parse(&good, &fingerprint).unwrap();
    let n_header = sections.iter().map(|section| section.place.start).min().unwrap();
    let is_sound = |bytes: &[u8]| {
        file::parse(bytes, &fingerprint).is_ok_and(|sections| {
            sections.iter().all(|section| file::checksum(&bytes[section.place.clone()]) == section.checksum)
        })
    };
    assert!(is_sound(&good));
    // Between header and sections are zeros that mean nothing.
    let n_zeros = good[..n_header].iter().rev().take_while(|&&byte| byte == 0).count();
    let mut bytes = good.clone();
    let mut at = 0;
    while at < good.len() {
        if !(n_header - n_zeros..n_header).contains(&at) {
            bytes[at] ^= 1 << (at % 8);
            assert!(!is_sound(&bytes), "bit {} of byte {at}", at % 8);
            bytes[at] = good[at];
        }
        at += if at < n_header { 1 } else { good.len() / 60 };
    }
}

#[test]
fn the_first_place_that_can_be_written_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "no folder").unwrap();
    let places = [blocked.join("tiny.packed"), folder.path().join("home/packed/tiny.packed")];
    let spec = TinySpec::default();
    let want = logits(&load(&spec, &[]));
    let first = load(&spec, &places);
    assert_eq!(first.kept(), &Kept { written: Some(places[1].clone()), ..Kept::default() });
    let second = load(&spec, &places);
    assert_eq!(second.kept(), &Kept { mapped: Some(places[1].clone()), ..Kept::default() });
    assert_eq!(logits(&second), want);
    // Nowhere at all: a warning, and the model runs.
    let nowhere = load(&spec, &places[..1]);
    let Kept { mapped: None, written: None, warnings } = nowhere.kept() else { panic!("{:?}", nowhere.kept()) };
    assert!(warnings.len() == 1 && warnings[0].starts_with("packed weights are not kept"), "{warnings:?}");
    assert_eq!(logits(&nowhere), want);
}

#[test]
fn many_that_start_at_once_leave_one_good_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tiny.packed");
    let spec = TinySpec::default();
    let want = logits(&load(&spec, &[]));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let model = load(&spec, std::slice::from_ref(&place));
                assert_eq!(model.kept().warnings, [""; 0]);
                assert_eq!(logits(&model), want);
            });
        }
    });
    assert_eq!(names(folder.path()), ["tiny.packed"]);
    assert_eq!(load(&spec, std::slice::from_ref(&place)).kept().mapped, Some(place));
}

#[test]
fn a_file_stays_as_it_was_for_whoever_has_it_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tiny.packed");
    let spec = TinySpec::default();
    load(&spec, std::slice::from_ref(&place));
    let mapped = load(&spec, std::slice::from_ref(&place));
    let want = logits(&mapped);
    load(&TinySpec { seed: 9, ..TinySpec::default() }, std::slice::from_ref(&place));
    assert_eq!(logits(&mapped), want);
    fs::remove_file(&place).unwrap();
    assert_eq!(logits(&mapped), want);
}

#[test]
fn what_dead_processes_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    for (name, age) in [
        ("tiny.packed.1.part", Some(old)),
        ("tiny.packed.2.part", None),
        ("tiny.packed.x.part", Some(old)),
        ("other.packed.1.part", Some(old)),
    ] {
        let file = File::create(folder.path().join(name)).unwrap();
        age.into_iter().for_each(|age| file.set_modified(age).unwrap());
    }
    load(&TinySpec::default(), &[folder.path().join("tiny.packed")]);
    let want = ["other.packed.1.part", "tiny.packed", "tiny.packed.2.part", "tiny.packed.x.part"];
    assert_eq!(names(folder.path()), want);
}
