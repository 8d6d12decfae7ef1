//! Tests of the command line's pure parts; the commands themselves are run in `tests/it/cli.rs`.

use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::exit::{Failure, Kind};
use super::settings::default_home;

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
        assert_eq!(Failure::from_error(Kind::Machine, &error).hint("try again").text(), want);
    }
    check(&["a"], "error: a\nhint: try again\n");
    check(&["a", "b", "c"], "error: a: b: c\nhint: try again\n");
    check(&["a: b", "b", "c"], "error: a: b: c\nhint: try again\n");
    check(&["a: b: c", "b: c", "c"], "error: a: b: c\nhint: try again\n");
}

#[test]
fn a_reader_that_went_away_is_not_an_error() {
    let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
    assert_eq!((failure.kind().code(), failure.text().as_str()), (0, ""));
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
