//! The SQL grammar over a real vocabulary: quick enough for a mask per token, right token by token.

use std::time::{Duration, Instant};

use partita::gguf::Gguf;
use partita::sample::Grammars;
use partita::tokenizer::{Special, Tokenizer};
use partita::tool::query::{Database, grammar};
use partita::tool::{Policy, Workspace, table};
use partita::types::Grammar;

/// Needs a model file, for its vocabulary; `.ci/run` names one.
#[test]
fn sql_grammar_masks_a_real_vocabulary_quickly() {
    let Ok(model) = std::env::var("PARTITA_TEST_MODEL") else { return };
    let gguf = Gguf::open(model.as_ref()).unwrap();
    let tokenizer = Tokenizer::from_gguf(gguf.metadata()).unwrap();
    let grammars = Grammars::new(&tokenizer);

    let folder = tempfile::tempdir().unwrap();
    let header: Vec<String> = (0..30).map(|idx| format!("column_{idx}")).collect();
    let row = vec!["1.5"; 30].join(",");
    std::fs::write(folder.path().join("wide.csv"), format!("{}\n{row}\n", header.join(","))).unwrap();
    std::fs::write(folder.path().join("sales.csv"), "region,Unit Price,qty\nNorth,1.5,2\n").unwrap();
    let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
    let database =
        Database::open(&workspace, &["sales.csv".into(), "wide.csv".into()], &table::Options::default()).unwrap();
    let lark = Grammar::Lark(grammar(database.tables()));

    let mut times = Vec::new();
    for sql in [
        "SELECT region, ROUND(SUM(\"Unit Price\" * qty), 2) AS total FROM sales WHERE qty > 1 GROUP BY region ORDER BY total DESC LIMIT 3;",
        "WITH t AS (SELECT column_1, AVG(column_29) AS mean FROM wide GROUP BY column_1) SELECT MAX(mean) FROM t;",
    ] {
        let mut constraint = grammars.compile(&lark).unwrap();
        for token in tokenizer.encode(sql, Special::AsText) {
            let started = Instant::now();
            let mask = constraint.mask().unwrap();
            times.push(started.elapsed());
            assert!(mask.allows(token), "{:?} of {sql}", tokenizer.decode(&[token]));
            constraint.accept(token).unwrap();
        }
        assert!(constraint.is_complete(), "{sql}");
    }
    times.sort();
    let median = times[times.len() / 2];
    // Generous: the machine may be busy. Idle it is under a millisecond.
    assert!(median < Duration::from_millis(20), "median {median:?}, worst {:?}", times.last());
}
