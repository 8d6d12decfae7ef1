//! Rows from known times, and a small model measured from end to end.

use super::*;
use crate::engine::{Engine, EngineOptions, Prompt, Request, load};
use crate::model::tiny::{self, TinySpec};

#[test]
fn rows_are_medians() {
    for (n_tokens, seconds, median, spread) in [
        (100, vec![1.0, 2.0, 4.0], 50.0, 1.5),
        (100, vec![4.0, 1.0], 62.5, 1.2),
        (10, vec![2.0], 5.0, 0.0),
        (10, vec![], 0.0, 0.0),
    ] {
        let row = Row::new("tg10", "partita", n_tokens, &seconds);
        assert_eq!((row.tokens_per_s, row.spread, row.samples.len()), (median, spread, seconds.len()), "{seconds:?}");
    }
    let text = serde_json::to_string(&Row::new("pp8", "partita", 8, &[2.0])).unwrap();
    let start = r#"{"test":"pp8","engine":"partita","sequences":1,"depth":0,"prefix":null,"#;
    assert_eq!(text, format!(r#"{start}"tokens_per_s":4.0,"spread":0.0,"samples":[4.0]}}"#));
    let row = Row::new("tg8@b2", "partita", 8, &[2.0]).of(2, 512, Some(Prefix::Shared));
    let text = serde_json::to_string(&row).unwrap();
    assert!(text.contains(r#""sequences":2,"depth":512,"prefix":"shared""#), "{text}");
}

fn tiny() -> (tempfile::TempDir, std::path::PathBuf, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::write(&path, &TinySpec::default()).unwrap();
    let engine = load(&path, &EngineOptions::default(), &mut |_| ()).unwrap();
    (folder, path, engine)
}

fn plan() -> ModelBench {
    ModelBench {
        prompts: vec![20, 40],
        n_generate: 6,
        widths: vec![1, 3],
        depths: vec![0, 40, 70],
        prefixes: vec![Prefix::Shared, Prefix::Own],
        plain_depth: 40,
        n_samples: 2,
    }
}

#[test]
fn a_small_model_is_measured_beside_its_peer() {
    let (_folder, path, engine) = tiny();
    let plan = plan();
    let mut told = Vec::new();
    let peer = Peer::load(&path).unwrap();
    let rows = run_model(&engine, Some(peer), &plan, &mut |done, all| told.push((done, all))).unwrap();
    let names: Vec<_> = rows.iter().map(|row| (row.engine, row.test.as_str())).collect();
    let ours = [
        "pp20",
        "pp40",
        "tg6",
        "tg6@b3/d0",
        "tg6@b1",
        "tg6@b3",
        "tg6@b1/d40/own",
        "tg6@b3/d40/own",
        "tg6@b1/d70",
        "tg6@b3/d70",
        "tg6@b1/d70/own",
        "tg6@b3/d70/own",
    ]
    .map(|test| ("partita", test));
    assert_eq!(names, [&ours[..], &[("candle", "pp20"), ("candle", "pp40"), ("candle", "tg6")]].concat());
    assert!(rows.iter().all(|row| row.samples.len() == 2 && row.samples.iter().all(|&rate| rate > 0.0)));
    assert_eq!((told.len(), told.last()), (24, Some(&(24, 24))));
    // Warm-up; prefill; three prompts, each computed as deep as it is wanted, and their last token again whenever they are
    // asked for once more; one token of its own for each sequence.
    let want = 20 + 2 * (20 + 40) + 3 * 69 + (2 * 12 - 6) + 2 * 5 * (1 + 3);
    let stats = engine.stats();
    assert!(stats.n_prefilled <= want && want < stats.n_prefilled + 10, "{stats:?}");
    assert_eq!(stats.n_decoded, 2 + 2 * (2 + 5 * (1 + 3) * 6));
    let row = rows.iter().find(|row| row.test == "tg6@b3/d70/own").unwrap();
    assert_eq!((row.sequences, row.depth, row.prefix), (3, 70, Some(Prefix::Own)));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let (_folder, path, engine) = tiny();
    let check = |change: fn(&mut ModelBench), want: &str| {
        let mut plan = plan();
        change(&mut plan);
        assert_eq!(run_model(&engine, None, &plan, &mut |_, _| ()).unwrap_err().to_string(), want);
    };
    check(|plan| plan.n_samples = 0, "the number of samples is 0, expected 1 or more");
    check(|plan| plan.widths = vec![4, 0], "the number of sequences is 0, expected 1 or more");
    check(|plan| (plan.prompts, plan.depths) = (vec![], vec![]), "the number of cases is 0, expected 1 or more");
    check(|plan| plan.depths = vec![510], "tg6@b1/d510 needs a context of 516 tokens, the model has 512");
    check(|plan| plan.n_generate = 512, "tg512 needs a context of 513 tokens, the model has 512");
    check(|plan| plan.prompts = vec![9, 513], "pp513 needs a context of 513 tokens, the model has 512");
    // The engine tells the size of a block with its first pass.
    engine.submit(Request::new(Prompt::Tokens(vec![5]), 1)).unwrap().finish_blocking().unwrap();
    let little = EngineOptions { kv_bytes: Some(8 * engine.stats().kv_block_bytes), ..EngineOptions::default() };
    let little = load(&path, &little, &mut |_| ()).unwrap();
    let error = run_model(&little, None, &plan(), &mut |_, _| ()).unwrap_err().to_string();
    assert_eq!(error, "tg6@b3/d70 needs KV memory for 288 tokens, there is room for 256");
    std::fs::write(&path, b"no model").unwrap();
    assert!(matches!(Peer::load(&path), Err(Error::Peer(_))));
}

#[test]
fn goals_are_run_in_copies_and_checked() {
    let (_folder, _path, engine) = tiny();
    let cases = tempfile::tempdir().unwrap();
    for (name, check) in [("a-yes", "print('PASS')"), ("b-no", "import sys; print('FAIL: no'); sys.exit(1)")] {
        let case = cases.path().join(name);
        std::fs::create_dir_all(case.join("workspace/sub")).unwrap();
        std::fs::write(case.join("goal.txt"), "Say hello.\n").unwrap();
        std::fs::write(case.join("workspace/sub/x.txt"), "x").unwrap();
        std::fs::write(case.join("check.py"), format!("import sys, json; json.load(open(sys.argv[2])); {check}\n"))
            .unwrap();
    }
    let plan = PlanBench {
        cases: cases.path().to_owned(),
        only: vec!["a".into(), "b".into()],
        max_time: std::time::Duration::from_millis(1),
        width: None,
        without: Vec::new(),
        memory: true,
        keep: None,
    };
    let mut told = Vec::new();
    let report = run_plan(&engine, &plan, &mut |row| told.push(row.case.clone())).unwrap();
    assert_eq!(told, ["a-yes", "b-no"]);
    assert_eq!((report.n_passed, report.n_goals), (1, 2));
    assert_eq!((report.rows[1].why.as_str(), report.rows[1].status.as_str()), ("FAIL: no", "failed"));
    let error = run_plan(&engine, &PlanBench { only: vec!["z".into()], ..plan }, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("no case in it"), "{error}");
}
