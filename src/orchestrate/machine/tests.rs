//! Courses of runs, as tables of events and the actions that are due after each; and made-up worlds in which
//! every run, and every run that is resumed after any of its events, has to come to its end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::tool::{Change, Value};

fn step(id: u32, tool: &str, target: &str, from: Vec<String>) -> Step {
    Step {
        id: StepId(id),
        target: target.to_owned(),
        task: format!("task {id}"),
        tool: tool.to_owned(),
        from,
        each: None,
        form: None,
        arguments: None,
    }
}

/// `2/goal:out.md<1,a.csv`: id, tool (`write` if left out), target (`reply` if left out), sources.
fn parse_step(text: &str) -> Step {
    let (head, from) = text.split_once('<').unwrap_or((text, ""));
    let (head, target) = head.split_once(':').unwrap_or((head, "reply"));
    let (id, tool) = match head.split_once('/') {
        Some((id, tool)) => (id, tool),
        None => (head, "write"),
    };
    let source = |name: &str| if name.parse::<u32>().is_ok() { format!("${name}") } else { name.to_owned() };
    let from = from.split(',').filter(|name| !name.is_empty()).map(source).collect();
    step(id.parse().unwrap_or_else(|_| panic!("no id in {text}")), tool, target, from)
}

fn output(path: Option<&str>) -> Output {
    let write = |path: &str| Change::Write { path: path.to_owned(), content: "x".into() };
    Output { changes: path.map(write).into_iter().collect(), ..Output::from(Value::Text("x".into())) }
}

#[test]
fn the_critical_path_is_the_longest_chain_behind_a_step() {
    let check = |plan: &str, want: &[u64]| {
        let steps = plan.split_whitespace().map(parse_step).collect();
        let state = State::fold(&[Event::Planned { round: 0, steps }]);
        let got: Vec<u64> = state.tokens_behind().into_values().map(|tokens| tokens / TOKENS_PER_STEP).collect();
        assert_eq!(got, want, "{plan}");
    };
    check("1 2 3", &[0, 0, 0]);
    check("1 2 3<1,2", &[1, 1, 0]);
    check("1 2<1 3<2 4 5<4,3", &[3, 2, 1, 1, 0]);
    // The parts of a sub-goal are planned after it, and it waits for them.
    check("1/goal<2,3 2 3<2 4<1", &[1, 3, 2, 0]);
}

/// The events of one line of a script.
fn events(state: &State, line: &str) -> Vec<Event> {
    let mut words = line.split_whitespace();
    let verb = words.next().expect("a verb");
    let rest: Vec<&str> = words.collect();
    let id = || StepId(rest[0].parse().unwrap_or_else(|_| panic!("no id in {line}")));
    let failed = |fatal| {
        let attempt = state.find(id()).map_or(0, |step| step.failures.len() as u32 + 1);
        vec![Event::StepFailed { step: id(), attempt, error: "e".into(), tried: String::new(), fatal }]
    };
    let proposed = || {
        let step = state.find(id()).map(|state| state.step.clone());
        Event::StepProposed { step: id(), output: output(step.as_ref().and_then(Step::file)) }
    };
    match verb {
        "look" => {
            vec![Event::Briefed { brief: Brief::default() }, Event::Surveyed { text: String::new(), paths: Vec::new() }]
        }
        "plan" => vec![Event::Planned { round: state.rounds, steps: rest.iter().map(|s| parse_step(s)).collect() }],
        "sketch" => rest.iter().map(|step| Event::Sketched { step: parse_step(step) }).collect(),
        "no-plan" => vec![Event::PlanFailed { error: "e".into() }],
        "start" => vec![Event::StepStarted { step: id(), attempt: 1, tool: "write".into() }],
        "propose" => vec![proposed()],
        "done" => vec![Event::StepDone { step: id() }],
        "ok" => vec![proposed(), Event::StepDone { step: id() }],
        "miss" => failed(false),
        "fail" => failed(true),
        "ask" => vec![Event::Asked { step: id(), question: "?".into() }],
        "tell" => vec![Event::Answered { step: id(), answer: "a".into(), assumed: false }],
        "assume" => vec![Event::Answered { step: id(), answer: "a".into(), assumed: true }],
        "reopen" => vec![Event::Reopened { step: id() }],
        "expand" => {
            vec![Event::Expanded { step: id(), steps: rest[1..].iter().map(|s| parse_step(s)).collect() }]
        }
        "check" => {
            let unmet = |path: &&str| Unmet { path: (*path).to_owned(), what: "is not there".into() };
            vec![Event::Checked { unmet: rest.iter().map(unmet).collect(), ledger: Vec::new() }]
        }
        "spend" => vec![Event::BudgetSpent { what: "time".into() }],
        "say" => vec![Event::Summarized { answer: "so".into() }],
        "pause" => vec![Event::Interrupted, Event::Resumed],
        other => panic!("no verb {other}"),
    }
}

fn shown(action: &Action) -> String {
    match action {
        Action::Survey => "look".into(),
        Action::Plan { round } => format!("plan#{round}"),
        Action::Execute { step, attempt: 1 } => format!("do {}", step.0),
        Action::Execute { step, attempt } => format!("do {}#{attempt}", step.0),
        Action::Commit { step } => format!("commit {}", step.0),
        Action::Check => "check".into(),
        Action::Summarize => "say".into(),
        Action::End(End::Completed) => "completed".into(),
        Action::End(End::Failed) => "failed".into(),
        Action::End(End::NeedsInput) => "needs input".into(),
    }
}

/// One letter a step: waiting, asking, proposed, done, failed, skipped.
fn phases(state: &State) -> String {
    let letter = |step: &StepState| match step.phase {
        Phase::Waiting => 'w',
        Phase::Asking => 'a',
        Phase::Proposed => 'p',
        Phase::Done => 'd',
        Phase::Failed => 'f',
        Phase::Skipped => 's',
    };
    state.steps.iter().map(letter).collect()
}

/// Plays a script: every line is `event`, `event -> actions due then` or `event -> actions ; phases`.
fn check(script: &str) {
    let mut state = State::default();
    let mut so_far = vec!["look".to_owned()];
    events(&state, "look").iter().for_each(|event| state.apply(event));
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (event, want) = line.split_once("->").map_or((line, None), |(event, want)| (event, Some(want)));
        for event in events(&state, event) {
            state.apply(&event);
        }
        so_far.push(event.trim().to_owned());
        let Some(want) = want else { continue };
        let due = next(&state).iter().map(shown).collect::<Vec<_>>().join(", ");
        let got = if want.contains(';') { format!("{due} ; {}", phases(&state)) } else { due };
        assert_eq!(got.trim(), want.trim(), "after: {}", so_far.join(" | "));
    }
}

#[test]
fn steps_run_when_what_they_need_is_done() {
    check(
        "plan 1 2 3<1,2       -> do 1, do 2 ; www
         start 1              -> do 1, do 2
         propose 1            -> commit 1, do 2 ; pww
         done 1               -> do 2 ; dww
         ok 2                 -> do 3
         propose 3            -> commit 3
         done 3               -> check
         check                -> say
         say                  -> completed ; ddd",
    );
    check("plan 1 2<1 3<1 4<2,3\n ok 1 -> do 2, do 3\n ok 3 -> do 2\n ok 2 -> do 4");
}

#[test]
fn a_run_begins_with_the_survey_and_the_plan() {
    assert_eq!(next(&State::default()), [Action::Survey]);
    let half = State::fold(&[Event::Briefed { brief: Brief::default() }]);
    assert_eq!(next(&half), [Action::Survey], "a survey that was killed half-way is done again");
    check("pause -> plan#0");
    check("plan -> check\n check -> say\n say -> completed");
}

#[test]
fn a_step_begins_while_the_rest_of_the_plan_is_being_written() {
    check(
        "sketch 1             -> plan#0, do 1
         start 1              -> plan#0, do 1
         sketch 2<1           -> plan#0, do 1 ; ww
         ok 1                 -> plan#0, do 2
         ok 2                 -> plan#0 ; dd
         plan 1 2<1 3         -> do 3 ; ddw
         ok 3                 -> check
         check a.md           -> plan#1
         sketch 4             -> plan#1, do 4
         ok 4                 -> plan#1
         no-plan              -> check ; dddd",
    );
    // A planner that was interrupted may write another plan than the one that it had begun.
    check("sketch 1 2\n ok 1\n pause -> plan#0, do 2 ; dw\n plan 1 2:a.md -> do 2 ; dw");
    check("sketch 1 2\n ok 1\n pause\n plan 1 -> check ; d");
    // What needs a step that has failed meanwhile is skipped, whether the plan comes to its end or not.
    check("sketch 1\n fail 1\n sketch 2<1 -> plan#0 ; fs\n no-plan -> check ; fs");
    // Parts of a sub-goal are numbered after the last step of the plan.
    check("sketch 1/goal 2 -> plan#0, do 2\n plan 1/goal 2 -> do 1, do 2");
}

#[test]
fn a_survey_that_cannot_be_made_ends_the_run() {
    let state = State::fold(&[Event::Summarized { answer: "the workspace cannot be read".into() }]);
    assert_eq!(next(&state), [Action::End(End::Failed)]);
    let state = State::fold(&[Event::BudgetSpent { what: "time".into() }]);
    assert_eq!(next(&state), [Action::Summarize]);
}

#[test]
fn a_failed_try_is_followed_by_another_until_there_are_three() {
    check(
        "plan 1 2<1           -> do 1
         miss 1               -> do 1#2 ; ww
         miss 1               -> do 1#3 ; ww
         ok 1                 -> do 2 ; dw",
    );
    check("plan 1 2<1\n miss 1\n miss 1\n miss 1 -> check ; fs");
    check("plan 1 2<1\n fail 1 -> check ; fs");
    // A change that could not be made counts as a failed try, and the step is done anew.
    check("plan 1\n propose 1 -> commit 1\n miss 1 -> do 1#2 ; w\n propose 1 -> commit 1\n done 1 -> check ; d");
}

#[test]
fn nothing_runs_on_the_result_of_a_failed_step() {
    check(
        "plan 1 2<1 3<2 4     -> do 1, do 4
         fail 1               -> do 4 ; fssw
         ok 4                 -> check ; fssd
         check                -> plan#1
         plan 5<4             -> do 5
         ok 5                 -> check",
    );
    // Also if the failed step was being worked on while its dependant was added by another one.
    check("plan 1 2/goal\n fail 1\n expand 2 3<1 4 -> do 4 ; fssw");
}

#[test]
fn what_is_missing_is_planned_once_more_and_no_more() {
    check(
        "plan 1:a.md          -> do 1
         fail 1               -> check
         check a.md           -> plan#1
         plan 2:a.md          -> do 2
         ok 2                 -> check
         check                -> say
         say                  -> completed ; fd",
    );
    check("plan 1\n ok 1\n check a.md -> plan#1\n plan 2:a.md\n fail 2 -> check\n check a.md -> say\n say -> failed");
    check("plan 1\n ok 1\n check a.md\n plan -> check\n check a.md -> say\n say -> failed");
    check("plan 1\n ok 1\n check a.md\n no-plan -> say\n say -> failed ; d");
}

#[test]
fn without_a_plan_the_run_fails() {
    check("no-plan -> check\n check -> plan#1\n no-plan -> say\n say -> failed ; ");
    check("no-plan -> check\n check -> plan#1\n plan 1 -> do 1\n ok 1\n check -> say\n say -> completed");
}

#[test]
fn a_failure_is_made_good_by_a_later_plan_and_by_nothing_else() {
    // The same target in the same plan is no second try: both results were wanted.
    check("plan 1 2\n fail 1\n ok 2 -> check ; fd\n check -> plan#1\n plan 3\n ok 3\n check -> say\n say -> completed");
    check("plan 1 2\n fail 1\n ok 2\n check\n plan\n check -> say\n say -> failed");
    // A result that only lost steps needed is made good with them, however the new plan gets there.
    check("plan 1:later 2:a.md<1\n fail 1\n check a.md\n plan 3:a.md\n ok 3\n check -> say\n say -> completed ; fsd");
    check("plan 1:later 2:a.md<1 3:b.md<1\n fail 1\n check\n plan 4:a.md\n ok 4\n check -> say\n say -> failed");
    // A step that others did not need, such as moving a file, is missed for itself.
    check("plan 1:later 2:a.md\n fail 1\n ok 2\n check\n plan\n check -> say\n say -> failed");
}

#[test]
fn a_question_holds_up_only_what_depends_on_it() {
    check(
        "plan 1/ask 2 3<1     -> do 1, do 2
         ask 1                -> do 2 ; aww
         ok 2                 -> needs input
         reopen 1             -> do 1 ; wdw
         ask 1                -> needs input
         reopen 1
         tell 1               -> do 1
         ok 1                 -> do 3
         ok 3                 -> check",
    );
    check("plan 1/ask\n assume 1 -> do 1\n ok 1 -> check");
    check("plan 1/ask\n reopen 1 -> do 1 ; w");
}

#[test]
fn assumptions_are_kept() {
    let mut state = State::default();
    for line in ["look", "plan 1/ask 2/ask", "assume 1", "tell 2"] {
        events(&state, line).iter().for_each(|event| state.apply(event));
    }
    assert_eq!(state.assumptions, ["a"]);
    assert_eq!(state.find(StepId(2)).unwrap().questions[0].answer.as_deref(), Some("a"));
}

#[test]
fn a_sub_goal_waits_for_its_parts_and_fails_with_them() {
    check(
        "plan 1/goal 2<1      -> do 1
         expand 1 3 4<3       -> do 3 ; wwww
         ok 3                 -> do 4
         ok 4                 -> do 1
         ok 1                 -> do 2
         ok 2                 -> check",
    );
    check("plan 1/goal 2<1\n expand 1 3 4<3\n fail 3 -> check ; ssfs");
}

#[test]
fn a_question_about_changes_holds_them_up_and_keeps_the_result() {
    check(
        "plan 1 2<1
         propose 1            -> commit 1 ; pw
         ask 1                -> needs input ; aw
         reopen 1             -> commit 1 ; pw
         ask 1                -> needs input
         tell 1               -> commit 1 ; pw
         done 1               -> do 2 ; dw",
    );
    check("plan 1\n propose 1\n ask 1\n tell 1\n fail 1 -> check ; f");
    check("plan 1\n ask 1 -> needs input ; a\n tell 1 -> do 1 ; w\n ok 1 -> check ; d");
}

#[test]
fn a_question_has_the_answer_that_was_given_to_it() {
    let (step, answered) =
        (StepId(1), |answer: &str| Event::Answered { step: StepId(1), answer: answer.into(), assumed: false });
    let asked = |question: &str| Event::Asked { step, question: question.into() };
    let state = State::fold(&[
        Event::Planned { round: 0, steps: vec![parse_step("1")] },
        asked("a?"),
        Event::Reopened { step },
        asked("a?"),
        answered("x"),
        asked("b?"),
        answered("y"),
    ]);
    let of_step = state.find(step).unwrap();
    assert_eq!(
        (of_step.answer_to("a?"), of_step.answer_to("b?"), of_step.answer_to("c?")),
        (Some("x"), Some("y"), None)
    );
    assert_eq!((of_step.questions.len(), state.open_questions().count()), (2, 0));
}

#[test]
fn sub_goals_are_expanded_one_at_a_time_so_that_ids_stay_unique() {
    check(
        "plan 1/goal 2/goal 3 -> do 1, do 3
         expand 1 4           -> do 2, do 3, do 4
         expand 2 5           -> do 3, do 4, do 5",
    );
    check("plan 1/goal 2/goal\n miss 1 -> do 1#2\n fail 1 -> do 2");
}

#[test]
fn after_a_limit_only_open_commits_and_the_summary_follow() {
    check("plan 1 2\n spend -> say\n say -> failed");
    check("plan 1 2\n propose 1\n spend -> commit 1\n done 1 -> say\n say -> failed ; dw");
    check("plan 1\n ok 1\n check\n spend -> say\n say -> failed");
    check("plan 1/ask 2\n ask 1\n spend -> say\n say -> failed");
    check("spend -> say\n say -> failed");
}

#[test]
fn steps_that_choose_what_they_change_keep_the_order_of_the_plan() {
    check(
        "plan 1/append_file:later 2/append_file:later 3 -> do 1, do 3
         propose 1            -> commit 1, do 3
         done 1               -> do 2, do 3
         ok 2                 -> do 3",
    );
    check("plan 1/move_file:later 2/copy_file:later\n fail 1 -> do 2 ; fw");
    check("plan 1 2/move_file:later 3 -> do 1, do 3\n miss 1 -> do 1#2, do 3\n ok 1 -> do 2, do 3");
    check("plan 1/script 2/script 3 4/script<3 -> do 1, do 3\n ok 3 -> do 1\n ok 1 -> do 2");
    check("plan 1 2/script -> do 1, do 2");
    check(
        "plan 1/goal 2/append_file:later<1 3/append_file:later
         expand 1 4/append_file:later 5 -> do 4, do 5
         ok 5                 -> do 4
         ok 4                 -> do 1
         ok 1                 -> do 2
         ok 2                 -> do 3",
    );
    check("plan 1/goal 2/append_file:later<1\n expand 1 3/append_file:later -> do 3\n ok 3 -> do 1\n ok 1 -> do 2");
}

#[test]
fn paths_written_are_those_of_finished_steps() {
    let mut state = State::default();
    for line in ["look", "plan 1:a.md 2:b.md 3:c.md", "ok 1", "propose 2", "fail 3"] {
        events(&state, line).iter().for_each(|event| state.apply(event));
    }
    assert_eq!(state.written, BTreeSet::from(["a.md".to_owned()]));
}

#[test]
fn events_of_steps_that_do_not_exist_change_nothing() {
    let mut state = State::default();
    for line in ["look", "plan 1"] {
        events(&state, line).iter().for_each(|event| state.apply(event));
    }
    let before = state.clone();
    for line in ["propose 9", "done 9", "fail 9", "ask 9", "reopen 9", "tell 9", "start 9"] {
        events(&state, line).iter().for_each(|event| state.apply(event));
        assert_eq!(state, before, "{line}");
    }
}

// -- worlds ----------------------------------------------------------------------------------------

/// What happens to every action, drawn from a seed. A step's fate hangs on its task, not on its id or on when
/// its turn comes, so that the same world gives the same end in whatever order things happen.
#[derive(Debug, Clone, Copy)]
struct World {
    seed: u64,
    spends: bool,
}

/// SplitMix64's finalizer over FNV-1a of what is being decided.
fn draw(seed: u64, what: &str) -> u64 {
    let hash = what
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let x = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl World {
    fn chance(&self, what: &str, percent: u64) -> bool {
        draw(self.seed, what) % 100 < percent
    }

    /// Up to five new steps that need earlier ones of the same list.
    fn steps(&self, label: &str, first: StepId, may_nest: bool) -> Vec<Step> {
        let n = draw(self.seed, &format!("{label} n")) % 5 + u64::from(!may_nest);
        let mut steps: Vec<Step> = Vec::new();
        for k in 0..n as u32 {
            let task = format!("{label}.{k}");
            let needs = (0..k).filter(|other| self.chance(&format!("{task} needs {other}"), 35));
            let from = needs.map(|other| format!("${}", first.0 + other)).collect();
            let kinds = ["write", "write", "ask", "append_file", if may_nest { "goal" } else { "script" }];
            let tool = kinds[(draw(self.seed, &format!("{task} tool")) % 5) as usize];
            let targets = ["reply", "later", "a.md", "b.md"];
            let target = targets[(draw(self.seed, &format!("{task} target")) % 4) as usize];
            steps.push(Step { task, ..step(first.0 + k, tool, target, from) });
        }
        steps
    }

    /// The events by which the action happens.
    fn perform(&self, state: &State, action: &Action) -> Vec<Event> {
        match action {
            Action::Survey => vec![
                Event::Briefed { brief: Brief::default() },
                Event::Surveyed { text: String::new(), paths: Vec::new() },
            ],
            Action::Plan { round } => {
                let steps = self.steps(&format!("r{round}"), state.first_of_round(), true);
                let n_sketched = draw(self.seed, &format!("sketch {round}")) as usize % (steps.len() + 1);
                let sketched = steps[..n_sketched].iter().map(|step| Event::Sketched { step: step.clone() });
                let end = if self.chance(&format!("plan {round}"), 20) {
                    Event::PlanFailed { error: "e".into() }
                } else {
                    Event::Planned { round: *round, steps: steps.clone() }
                };
                sketched.chain([end]).collect()
            }
            Action::Execute { step, attempt } => self.execute(state, *step, *attempt),
            Action::Commit { step } => self.commit(state, *step),
            Action::Check => {
                let is_lacking = |path: &&str| self.chance(path, 40) && !state.written.contains(*path);
                let unmet = |path: &str| Unmet { path: path.to_owned(), what: "is not there".into() };
                let unmet = ["a.md", "b.md"].into_iter().filter(is_lacking).map(unmet).collect();
                vec![Event::Checked { unmet, ledger: Vec::new() }]
            }
            Action::Summarize => vec![Event::Summarized { answer: "so".into() }],
            Action::End(_) => Vec::new(),
        }
    }

    fn execute(&self, state: &State, id: StepId, attempt: u32) -> Vec<Event> {
        let of_step = state.find(id).expect("an existing step");
        let (step, task) = (&of_step.step, &of_step.step.task);
        let mut events = vec![Event::StepStarted { step: id, attempt, tool: step.tool.clone() }];
        let proposed = Event::StepProposed { step: id, output: output(step.file()) };
        let has_parts = step.needs().iter().any(|needed| *needed > id);
        if self.spends && self.chance(&format!("{task} spends"), 4) {
            events.push(Event::BudgetSpent { what: "tokens".into() });
        } else if self.chance(&format!("{task} try {attempt}"), 25) {
            let fatal = self.chance(&format!("{task} fatal"), 30);
            let (error, tried) = ("e".into(), String::new());
            events.push(Event::StepFailed { step: id, attempt, error, tried, fatal });
        } else if step.tool == "ask" && of_step.questions.iter().all(|asked| asked.answer.is_none()) {
            if self.chance(&format!("{task} nobody"), 50) {
                events.push(Event::Asked { step: id, question: "?".into() });
            } else {
                events.extend([Event::Answered { step: id, answer: "a".into(), assumed: true }, proposed]);
            }
        } else if step.tool == "goal" && !has_parts {
            let steps = self.steps(&format!("{task}/"), state.next_id(), false);
            events.push(Event::Expanded { step: id, steps });
        } else {
            events.push(proposed);
        }
        events
    }

    fn commit(&self, state: &State, id: StepId) -> Vec<Event> {
        let of_step = state.find(id).expect("an existing step");
        let task = &of_step.step.task;
        if self.chance(&format!("{task} commit {}", of_step.failures.len()), 10) {
            let (error, tried) = ("the disk is full".into(), String::new());
            return vec![Event::StepFailed { step: id, attempt: 0, error, tried, fatal: false }];
        }
        if of_step.answer_to("may it?").is_none() && self.chance(&format!("{task} leave"), 20) {
            return vec![Event::Asked { step: id, question: "may it?".into() }];
        }
        let changes = of_step.output.iter().flat_map(|output| &output.changes);
        let changed = |change: &Change| Event::Changed {
            step: id,
            path: change.target().to_owned(),
            bytes: 1,
            sha256: String::new(),
        };
        changes.map(changed).chain([Event::StepDone { step: id }]).collect()
    }
}

/// A run in a world, and the checks that hold at every moment of it.
struct Course {
    world: World,
    state: State,
    events: Vec<Event>,
    /// Decides which of the actions that are due comes first.
    order: u64,
}

impl Course {
    fn new(world: World, events: &[Event], order: u64) -> Self {
        Self { world, state: State::fold(events), events: events.to_vec(), order }
    }

    fn take(&mut self, event: Event) {
        self.state.apply(&event);
        self.events.push(event);
    }

    fn check_due(&self, due: &[Action]) {
        assert!(!due.is_empty(), "nothing is due: {:?}", self.state);
        for action in due {
            if let Action::Execute { step, attempt } = action {
                let of_step = self.state.find(*step).expect("only existing steps are executed");
                assert_eq!(of_step.phase, Phase::Waiting, "{action:?}");
                assert!(*attempt <= TRIES, "{action:?}");
                assert!(self.state.spent.is_none() && self.state.answer.is_none(), "{action:?} after the end");
                for needed in of_step.step.needs() {
                    assert_eq!(self.state.find(needed).map(|needed| needed.phase), Some(Phase::Done), "{action:?}");
                }
            }
            if let Action::Commit { step } = action {
                assert_eq!(self.state.find(*step).map(|step| step.phase), Some(Phase::Proposed));
            }
            if let Action::Plan { round } = action {
                assert!(*round < ROUNDS, "{action:?}");
            }
        }
        let ids: Vec<u32> = self.state.steps.iter().map(|step| step.step.id.0).collect();
        assert_eq!(ids, (1..=ids.len() as u32).collect::<Vec<_>>(), "ids are not 1, 2, 3, …");
    }

    /// Does what is due, in an order drawn from `order`, until nothing is left; open questions are put again.
    fn finish(&mut self) -> End {
        for turn in 0..2000 {
            let due = next(&self.state);
            self.check_due(&due);
            let pick = draw(self.order, &format!("turn {turn}")) as usize % due.len();
            match &due[pick] {
                Action::End(End::NeedsInput) => self.answer_all(),
                Action::End(end) => return *end,
                action => self.world.perform(&self.state, action).into_iter().for_each(|event| self.take(event)),
            }
        }
        panic!("no end after {} events", self.events.len());
    }

    fn answer_all(&mut self) {
        let asking = self.state.steps.iter().filter(|step| step.phase == Phase::Asking).map(|step| step.step.id);
        for step in asking.collect::<Vec<_>>() {
            self.take(Event::Reopened { step });
            self.take(Event::Answered { step, answer: "a".into(), assumed: false });
        }
    }
}

/// No step is started, proposed, failed or asked about again once it is done.
fn assert_nothing_is_done_twice(events: &[Event]) {
    let mut done = BTreeSet::new();
    for event in events {
        if let Event::StepDone { step } = event {
            assert!(done.insert(*step), "{step} was done twice");
        } else if let Some(step) = event.step() {
            assert!(!done.contains(&step), "{event:?} after {step} was done");
        }
    }
}

/// What became of the run: the end, and every step by its task.
fn result(end: End, state: &State) -> (End, BTreeMap<String, Phase>) {
    (end, state.steps.iter().map(|step| (step.step.task.clone(), step.phase)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_course_comes_to_its_end(seed: u64, order: u64) {
        let mut course = Course::new(World { seed, spends: true }, &[], order);
        let end = course.finish();
        assert_nothing_is_done_twice(&course.events);
        prop_assert!(course.state.answer.is_some());
        let is_whole = course.state.steps.iter().all(|step| step.phase == Phase::Done) && course.state.plan_error.is_none();
        if is_whole && course.state.spent.is_none() && course.state.unmet.as_ref().is_some_and(Vec::is_empty) {
            prop_assert_eq!(end, End::Completed);
        }
        if course.state.spent.is_some() || course.state.unmet.as_ref().is_none_or(|unmet| !unmet.is_empty()) {
            prop_assert_eq!(end, End::Failed);
        }
    }

    #[test]
    fn the_order_of_events_does_not_change_the_end(seed: u64, orders: [u64; 2]) {
        let [one, other] = orders.map(|order| {
            let mut course = Course::new(World { seed, spends: false }, &[], order);
            let end = course.finish();
            result(end, &course.state)
        });
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_run_resumed_after_any_event_comes_to_the_same_end(seed: u64, order: u64) {
        let world = World { seed, spends: false };
        let mut whole = Course::new(world, &[], order);
        let end = whole.finish();
        for n in 0..whole.events.len() {
            let mut resumed = Course::new(world, &whole.events[..n], order ^ n as u64);
            resumed.take(Event::Resumed);
            let resumed_end = resumed.finish();
            assert_nothing_is_done_twice(&resumed.events);
            prop_assert_eq!(result(resumed_end, &resumed.state), result(end, &whole.state), "resumed after {} events", n);
        }
    }
}
