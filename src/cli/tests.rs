//! Tests of the command line's pure parts; the commands themselves are run in `tests/it/cli.rs`.

use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::exit::{Failure, Kind};
use super::settings::default_home;
use super::{Settings, loading, render};
use crate::engine::KvRest;

#[test]
fn the_parser_is_consistent() {
    super::Cli::command().debug_assert();
}

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Layer {
    text: &'static str,
    source: Option<Box<Layer>>,
}

#[test]
fn a_failure_tells_every_source_once() {
    fn check(texts: &[&'static str], want: &str) {
        let error = texts.iter().rev().fold(None, |source, text| Some(Box::new(Layer { text, source }))).unwrap();
        assert_eq!(Failure::from_error(Kind::Machine, &error).hint("try again").text(render::Style::new(false)), want);
    }
    check(&["a"], "error: a\nhint: try again\n");
    check(&["a", "b", "c"], "error: a: b: c\nhint: try again\n");
    check(&["a: b", "b", "c"], "error: a: b: c\nhint: try again\n");
    check(&["a: b: c", "b: c", "c"], "error: a: b: c\nhint: try again\n");
}

#[test]
fn a_reader_that_went_away_is_not_an_error() {
    let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
    assert_eq!((failure.kind().code(), failure.text(render::Style::new(true)).as_str()), (0, ""));
}

#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn the_home_follows_the_platform() {
    fn check(env: &[(&str, &str)], want: Option<&str>) {
        let found =
            default_home(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)));
        assert_eq!(found.as_deref(), want.map(Path::new), "{env:?}");
    }
    check(&[], None);
    check(&[("HOME", "/h")], Some("/h/.local/share/partita"));
    check(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")], Some("/x/partita"));
    check(&[("HOME", "/h"), ("XDG_DATA_HOME", "relative")], Some("/h/.local/share/partita"));
}

#[test]
fn numbers_are_told_in_the_unit_that_suits_them() {
    for (ms, want) in [
        (0.4, "0 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (59_940.0, "59.9 s"),
        (59_960.0, "1 min 00 s"),
        (3_599_600.0, "1 h 00 min"),
        (7_384_000.0, "2 h 03 min"),
    ] {
        assert_eq!(render::duration(ms), want, "{ms}");
    }
    for (n, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
        assert_eq!(render::thousands(n), want);
    }
    for (n, want) in [(999, "999 B"), (1_000, "1.0 kB"), (98_362_432, "98.4 MB"), (1_117_320_768, "1.12 GB")] {
        assert_eq!(render::bytes(n), want);
    }
}

#[test]
fn columns_line_up_whatever_their_colour() {
    let cells = |id: &str, n: &str, goal: &str| [id.to_owned(), n.to_owned(), goal.to_owned()];
    let rows =
        [cells("ID", "N", "GOAL"), cells("\x1b[32ma\x1b[0m", "12", "sum all the files in here"), cells("bcd", "3", "")];
    let want = "ID    N  GOAL\n\x1b[32ma\x1b[0m    12  sum all the files i…\nbcd   3\n";
    assert_eq!(render::table(&rows, &[1], 10), want);
}

#[test]
fn what_is_typed_for_the_engine_reaches_it() {
    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        engine: loading::EngineArgs,
    }
    let settings = Settings { home: "/home".into(), offline: true };
    for (typed, kv_rest) in [(&["partita"][..], KvRest::F16), (&["partita", "--kv-rest", "q8_0"], KvRest::Q8_0)] {
        let engine = <Typed as clap::Parser>::try_parse_from(typed).unwrap().engine;
        assert_eq!(engine.options(&settings).kv_rest, kv_rest);
        assert_eq!(engine.options(&settings).packed_home, Some("/home".into()));
        // A run is resumed with what it was started with.
        let kept = serde_json::to_string(&engine).unwrap();
        assert_eq!(serde_json::from_str::<loading::EngineArgs>(&kept).unwrap(), engine);
    }
    let older = serde_json::from_str::<loading::EngineArgs>(r#"{"kv_memory":5,"precise":true}"#).unwrap();
    let options = older.options(&settings);
    assert_eq!((options.kv_bytes, options.kv_rest), (Some(5), KvRest::F16));
    let without = <Typed as clap::Parser>::try_parse_from(["partita", "--no-packed-file"]).unwrap().engine;
    assert_eq!(without.options(&settings).packed_home, None);
}
