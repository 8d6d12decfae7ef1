//! What words say of the damaged rows of a table: that there are some, what makes a row one, and which are wanted.
//!
//! Which rows are damaged is found by the code that loads tables; a model is asked for what else a step wants.
//! Must not know: the engine, steps, the workspace.

use std::collections::BTreeSet;

use super::word::{has, is_marker, words};

const ROWS: &[&str] = &["row", "rows", "line", "lines", "record", "records", "entry", "entries", "ones"];
const BAD: &[&str] = &[
    "broken",
    "damaged",
    "faulty",
    "bad",
    "invalid",
    "corrupt",
    "corrupted",
    "malformed",
    "defective",
    "incomplete",
    "unusable",
    "unreadable",
    "rubbish",
    "garbled",
    "erroneous",
    "spoiled",
    "useless",
    "garbage",
    "junk",
    "stray",
    "mangled",
    "nonsense",
    "dirty",
    "glitches",
    "truncated",
    "incorrect",
];
const GOOD: &[&str] = &[
    "good",
    "proper",
    "valid",
    "clean",
    "intact",
    "usable",
    "undamaged",
    "complete",
    "sound",
    "correct",
    "readable",
    "unbroken",
    "ok",
    "okay",
];
/// Words for the rows that are left when some are taken out.
const REST: &[&str] = &["other", "others", "rest", "remaining", "remainder", "remain"];
/// Words by which what follows is left out.
const OMITS: &[&str] = &[
    "skip",
    "skipping",
    "skips",
    "without",
    "drop",
    "dropping",
    "remove",
    "removing",
    "leave",
    "leaving",
    "except",
    "ignore",
    "ignoring",
    "not",
    "exclude",
    "excluding",
    "omit",
    "omitting",
];
/// Words by which rows are said to have been left out.
const LEFT_OUT: &[&str] =
    &["rejected", "skipped", "dropped", "removed", "omitted", "excluded", "ignored", "thrown", "threw", "discarded"];
/// Words that ask for a figure instead of rows.
const COMPUTED: &[&str] = &[
    "total", "totals", "sum", "average", "averages", "mean", "count", "counts", "number", "many", "per", "each",
    "group", "column", "columns", "names",
];

/// Whether a text speaks of rows at all, without which it asks for none of them.
pub fn speaks_of_rows(text: &str) -> bool {
    words(text).any(|word| ROWS.contains(&word.as_str()))
}

/// Whether a goal speaks of damaged rows.
pub fn is_spoken_of(goal: &str) -> bool {
    let words: Vec<String> = words(goal).collect();
    // "some lines are no proper call"
    let is_denied = words.windows(2).any(|pair| ["no", "not"].contains(&&*pair[0]) && GOOD.contains(&pair[1].as_str()));
    // "only the sound rows", "all good lines": there are others.
    let is_told_apart = words.windows(2).any(|pair| GOOD.contains(&&*pair[0]) && ROWS.contains(&pair[1].as_str()));
    has(&words, ROWS) && (has(&words, BAD) || is_denied || is_told_apart)
}

/// Whether a goal says of rows in which something is missing that they are damaged.
pub fn covers_gaps(goal: &str) -> bool {
    const GAPS: &[&str] = &["missing", "empty", "blank", "incomplete", "lack", "lacks", "lacking"];
    let words: Vec<String> = words(goal).collect();
    // "a few lines are broken: no weight, …"; "rows cut short, weights that are no numbers"
    let is_cut = |pair: &[String]| pair[0] == "cut" && ["short", "off"].contains(&pair[1].as_str());
    let is_no_number = |pair: &[String]| {
        ["no", "not", "non"].contains(&pair[0].as_str()) && ["number", "numbers", "numeric"].contains(&pair[1].as_str())
    };
    let is_in_part = words.windows(2).any(|pair| is_cut(pair) || is_no_number(pair));
    let lacks = has(&words, GAPS) || is_in_part || (has(&words, BAD) && has(&words, &["no"]));
    lacks && has(&words, ROWS) && (has(&words, BAD) || has(&words, GOOD) || has(&words, OMITS))
}

/// The words of a task outside of brackets, in which it may say what makes a row a damaged one.
fn outside_brackets(task: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let is_outside = |c: &char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    };
    words(&task.chars().filter(is_outside).collect::<String>()).collect()
}

/// Whether a step's words ask for some rows of a table as they are, and for nothing that is computed from them.
pub fn keeps_rows(task: &str) -> bool {
    const KEPT: &[&str] = &["keep", "copy", "only", "header", "filter"];
    let words = outside_brackets(task);
    let is_kept = has(&words, KEPT) || has(&words, OMITS) || has(&words, GOOD) || has(&words, BAD);
    has(&words, ROWS) && is_kept && !has(&words, COMPUTED) && !wants_damaged(task)
}

/// Whether a step's words ask for all rows that are not damaged, and for no others and no condition on them. `paths` are
/// the files that they name, `cells` the words that stand in the table: one of those is a condition.
pub fn wants_sound(task: &str, paths: &str, cells: &BTreeSet<String>) -> bool {
    const CONDITIONS: &[&str] = &[
        "where",
        "whose",
        "over",
        "under",
        "above",
        "below",
        "more",
        "less",
        "than",
        "between",
        "before",
        "after",
        "since",
        "until",
        "sort",
        "sorted",
        "ordered",
        "ascending",
        "descending",
        "first",
        "last",
        "top",
        "highest",
        "lowest",
    ];
    let own: Vec<String> = words(paths).collect();
    let has_condition = |word: &String| {
        let is_of_rows = [ROWS, BAD, GOOD].iter().any(|list| list.contains(&word.as_str())) || own.contains(word);
        let is_condition = CONDITIONS.contains(&word.as_str()) || COMPUTED.contains(&word.as_str());
        let is_wanted_whole = ["column", "columns", "every", "each", "per"].contains(&word.as_str());
        !is_of_rows && !is_wanted_whole && (is_condition || cells.contains(word) || word.parse::<f64>().is_ok())
    };
    // "with the header on top" is where that stands.
    let words = outside_brackets(
        &["on top", "at the top", "header first", "under the same header", "under its header", "under the header"]
            .iter()
            .fold(task.to_owned(), |task, place| task.replace(place, "")),
    );
    let is_of_sound = has(&words, GOOD) || (has(&words, BAD) && has(&words, OMITS));
    has(&words, ROWS) && is_of_sound && !words.iter().any(has_condition)
}

/// The words that stand in a table, for [`wants_sound`]: those of its columns' names and of the texts in it.
pub fn cell_words<'a>(columns: &'a [String], cells: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    /// Words that say nothing of a row.
    const PLAIN: &[&str] = &[
        "the", "of", "in", "to", "a", "and", "for", "with", "from", "are", "is", "as", "it", "on", "all", "out", "csv",
    ];
    let words = columns.iter().map(String::as_str).chain(cells).flat_map(words);
    words.filter(|word| !PLAIN.contains(&word.as_str())).collect()
}

/// Whether a goal's words for a file ask for the rows that are left when damaged ones, of which the goal speaks, are taken
/// out: "save the good lines", "put the others into …". `paths` are the names that stand there, `cells` the words of the
/// table.
pub fn wants_rest(demand: &str, goal: &str, paths: &str, cells: &BTreeSet<String>) -> bool {
    let own = outside_brackets(demand);
    // "…, the mean of all sound rows; save these rows": they are named before.
    let is_left = |two: &[String]| ["is", "are", "s", "was", "were"].contains(&two[0].as_str()) && two[1] == "left";
    let remains = own.windows(2).any(is_left) && !is_left_out(&own);
    let refers = has(&own, &["these", "those", "them"]) && has(&words(goal).collect::<Vec<_>>(), GOOD);
    let mark = demand.split_whitespace().next().filter(|first| is_marker(first)).map_or(0, str::len);
    let demand = &demand[mark..];
    let is_rest = is_spoken_of(goal) && (has(&own, REST) || refers || remains);
    let demand = if is_rest { format!("{demand} good rows") } else { demand.to_owned() };
    wants_sound(&demand, paths, cells)
}

/// Whether a goal's words for a file ask for what was left out, where that is damaged rows.
pub fn wants_left_out(demand: &str, goal: &str) -> bool {
    let own = outside_brackets(demand);
    let is_out = is_left_out(&own) || has(&own, LEFT_OUT);
    is_spoken_of(goal) && is_out && !has(&own, GOOD) && !has(&own, REST) && !has(&own, COMPUTED)
}

/// Whether a step's words ask for a figure over all rows that are not damaged, which are all that a query sees, and state
/// no condition besides.
pub fn computes_over_sound(task: &str) -> bool {
    const CONDITIONS: &[&str] = &[
        "in", "during", "where", "with", "over", "under", "above", "below", "more", "less", "at", "than", "for",
        "only", "between", "after", "before", "since", "until", "whose",
    ];
    let words = outside_brackets(task);
    let is_of_sound = [REST, GOOD, LEFT_OUT].iter().any(|list| has(&words, list)) || is_left_out(&words);
    has(&words, COMPUTED) && is_of_sound && !has(&words, CONDITIONS)
}

/// Whether the name of a figure says that it counts damaged rows. A query that does not name their table cannot know it.
pub fn is_count_of_damaged(name: &str) -> bool {
    let words: Vec<String> = words(name).collect();
    has(&words, LEFT_OUT) || is_left_out(&words) || (has(&words, BAD) && !has(&words, OMITS))
}

/// Whether the words have "left out" or the like.
fn is_left_out(words: &[String]) -> bool {
    let leaves = ["left", "leave", "leaves", "leaving"];
    words.windows(2).any(|pair| leaves.contains(&pair[0].as_str()) && pair[1] == "out")
}

/// Whether a step's words ask how many rows are damaged, and for nothing else.
pub fn counts_damaged(task: &str) -> bool {
    const NUMBER: &[&str] = &["number", "many", "count"];
    const OTHER: &[&str] = &[
        "total", "sum", "average", "mean", "per", "each", "highest", "lowest", "most", "least", "longest", "shortest",
    ];
    let mut words = outside_brackets(task);
    // "lines where the minutes are no number" counts nothing.
    let is_denied = |pair: &[String]| ["no", "not", "a"].contains(&&*pair[0]) && pair[1] == "number";
    if words.windows(2).any(is_denied) {
        words.retain(|word| word != "number");
    }
    let is_of_damaged = has(&words, BAD) || has(&words, LEFT_OUT) || is_left_out(&words);
    has(&words, NUMBER) && has(&words, ROWS) && is_of_damaged && !has(&words, GOOD) && !has(&words, OTHER)
}

/// Whether a step's words can want to know of the damaged rows more than which and how many they are.
pub fn speaks_of_reasons(task: &str) -> bool {
    let words: Vec<String> = words(task).collect();
    wants_damaged(task) || (has(&words, BAD) && has(&words, &["why", "reason", "reasons", "wrong", "kind", "kinds"]))
}

/// Whether a step's words ask for the damaged rows themselves.
pub fn wants_damaged(task: &str) -> bool {
    let words = outside_brackets(task);
    has(&words, ROWS) && has(&words, BAD) && !has(&words, GOOD) && !has(&words, OMITS) && !has(&words, COMPUTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_damaged_rows_is_asked_for_in_many_words() {
        assert!(counts_damaged("number of lines thrown out") && counts_damaged("How many broken records were there?"));
        assert!(counts_damaged("how many lines did you leave out?"));
        assert!(
            !counts_damaged("ignore lines where the weight is no number, and junk lines")
                && !counts_damaged("total minutes and number of lines thrown out")
                && !counts_damaged("number of good rows")
        );
        assert!(is_spoken_of("some lines are no proper call: a field is missing"));
    }

    #[test]
    fn a_figure_over_the_rest_needs_no_condition() {
        for (task, want) in [
            ("sum of the kilograms of all the others", true),
            ("mean weight of the valid rows", true),
            ("sum of the others in March", false),
            ("the mean level and the number of dropped lines", true),
            ("sum of the kilograms", false),
            ("the other lines", false),
        ] {
            assert_eq!(computes_over_sound(task), want, "{task}");
        }
    }

    #[test]
    fn gaps_are_damage_where_the_goal_says_so() {
        for (goal, want) in [
            ("Some rows are broken (a missing or non-numeric weight): skip those.", true),
            ("Drop incomplete lines of a.csv.", true),
            ("Copy the good rows to good.csv.", false),
            ("A few lines are broken: no weight, or cut off.", true),
            ("It has rows cut short and weights that are no numbers. Save the sound rows.", true),
            ("List the rows with a missing phone number.", false),
            ("Find the missing budget file.", false),
        ] {
            assert_eq!(covers_gaps(goal), want, "{goal}");
        }
    }

    #[test]
    fn the_rows_that_are_wanted_are_told_from_those_that_are_left_out() {
        for (task, keeps, damaged) in [
            ("skip damaged rows, keep the header", true, false),
            ("copy only the good rows with the header", true, false),
            ("all rows that are not faulty, by date", true, false),
            ("mean of the valid rows", false, false),
            ("copy the broken lines (no number, or a missing field) as they are", false, true),
            ("the damaged rows of stock.csv", false, true),
            ("number of damaged rows", false, false),
            ("total per region", false, false),
        ] {
            assert_eq!((keeps_rows(task), wants_damaged(task)), (keeps, damaged), "{task}");
        }
        let columns = ["gauge".to_owned(), "weight_kg".to_owned()];
        let cells = cell_words(&columns, ["Ferry", "Bridge"].into_iter());
        for (task, want) in [
            ("all rows that are not faulty, with every column", true),
            ("copy only the good rows of parcels.csv with the header", true),
            ("good rows of parcels.csv with a weight over 10", false),
            ("the broken rows", false),
            ("all rows", false),
            ("parcels.csv gets the header and the sound rows only", true),
            ("the sound rows of Ferry", false),
            ("sort the good rows by gauge", false),
        ] {
            assert_eq!(wants_sound(task, "in/parcels.csv", &cells), want, "{task}");
        }
        let is_rest = |demand: &str, goal: &str, path: &str| wants_rest(demand, goal, path, &cells);
        let goal = "A few lines of p.csv are broken. Leave those out.";
        assert!(is_rest("Save the good lines, header included, as ok.csv.", goal, "ok.csv"));
        assert!(is_rest("put the others into ok.csv.", goal, "ok.csv"));
        assert!(!is_rest("put the others into ok.csv.", "Leave those over 5 out.", "ok.csv"));
        let sound = "Some lines of p.csv are broken. Tell me the mean of the sound rows, save these rows as ok.csv.";
        assert!(is_rest("save these rows with the header as ok.csv.", sound, "ok.csv"));
        assert!(is_rest("Save the sound rows under the same header as ok.csv.", goal, "ok.csv"));
        assert!(is_rest("3) write what is left, header first, to ok.csv", goal, "ok.csv"));
        assert!(wants_left_out("b.csv: everything that had to be left out", goal));
        assert!(!wants_left_out("the others in ok.csv", goal) && !wants_left_out("the number of lines left out", goal));
        assert!(!is_rest("put the mean of the others into ok.csv.", goal, "ok.csv"));
        assert!(is_count_of_damaged("lines_left_out") && !is_count_of_damaged("left"));
        assert!(is_count_of_damaged("skipped_rows") && is_count_of_damaged("n_bad") && !is_count_of_damaged("rows"));
        assert!(is_spoken_of("Some lines are damaged.") && !is_spoken_of("A damaged bicycle."));
        assert!(is_spoken_of("It is a mess; save only the sound rows.") && !is_spoken_of("Save the rows. Good luck."));
    }
}
