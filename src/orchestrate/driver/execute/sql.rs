//! What the text of a query says of it, before and besides its result: the groups that it forgot, and conditions that
//! nobody asked for.
//!
//! Must not know: tables, how queries are run, what is asked of a step.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::orchestrate::clause;
use crate::orchestrate::word::{self, words};
use crate::tool::query::{Kind, texts, tokens};
use crate::tool::table;

const AGGREGATES: &[&str] = &["SUM(", "AVG(", "COUNT(", "TOTAL(", "GROUP_CONCAT("];

/// The query as it was meant: the columns that stand beside an aggregate are its groups, as every other database demands,
/// or are left out where no groups are asked for (`may_group`);
/// `GROUP BY name` of a computed column that shadows a real one groups by what was computed, as people who write
/// `LOWER(kind) AS kind … GROUP BY kind` expect and SQLite does not do.
pub fn as_meant(sql: &str, may_group: bool) -> String {
    let grouped = grouped(sql, may_group).unwrap_or_else(|| sql.to_owned());
    static COMPUTED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\b(\w+\([^()]*\)) AS (\w+)").expect("a constant expression"));
    let mut meant = grouped.clone();
    for found in COMPUTED.captures_iter(&grouped) {
        let group = Regex::new(&format!(r"(?i)\bGROUP BY {}\b", regex::escape(&found[2])));
        let is_aggregate = ["SUM", "AVG", "COUNT", "MIN", "MAX", "TOTAL", "ROUND"]
            .iter()
            .any(|name| found[1].to_uppercase().starts_with(name));
        if let (Ok(group), false) = (group, is_aggregate) {
            meant = group.replace_all(&meant, regex::NoExpand(&format!("GROUP BY {}", &found[1]))).into_owned();
        }
    }
    meant
}

/// The query with the GROUP BY that it lacks, if it lacks one: a sum beside a bare column takes the column's value from a
/// row of SQLite's choice, which nobody means. With MIN and MAX it is the row of the extreme, and stays.
fn grouped(sql: &str, may_group: bool) -> Option<String> {
    let clauses = Clauses::of(sql)?;
    if clauses.find("GROUP").is_some() || sql.to_uppercase().contains(" OVER ") {
        return None;
    }
    let from = clauses.find("FROM")?;
    let items = split(&sql[clauses.find("SELECT")? + "SELECT".len()..from]);
    let is_aggregate = |item: &&str| {
        let item = item.to_uppercase().replace(' ', "");
        !item.contains("(SELECT") && AGGREGATES.iter().any(|name| item.contains(name))
    };
    let (sums, bare): (Vec<&str>, Vec<&str>) = items.iter().copied().partition(is_aggregate);
    let expression = |item: &str| {
        let end = item.to_uppercase().rfind(" AS ").unwrap_or(item.len());
        item[..end].trim().to_owned()
    };
    let is_value = |item: &String| item.starts_with(|c: char| c.is_ascii_digit() || c == '\'') || item == "*";
    let has_extreme = bare.iter().any(|item| ["MIN(", "MAX("].iter().any(|name| item.to_uppercase().contains(name)));
    let keys: Vec<String> = bare.iter().map(|item| expression(item)).collect();
    if sums.is_empty() || keys.is_empty() || keys.iter().any(is_value) || has_extreme {
        return None;
    }
    if !may_group {
        // What is left is one row, which has no order.
        let end = ["ORDER", "LIMIT"].iter().filter_map(|word| clauses.find(word)).min().unwrap_or(sql.len());
        let rest = sql[from..end].trim_end().trim_end_matches(';');
        return Some(format!("SELECT {}\n{rest};", sums.join(", ")));
    }
    let at = ["HAVING", "ORDER", "LIMIT"].iter().filter_map(|word| clauses.find(word)).min();
    let at = at.unwrap_or_else(|| sql.trim_end().trim_end_matches(';').len());
    let (before, after) = sql.split_at(at);
    let after = if after.starts_with(';') || after.is_empty() { after.to_owned() } else { format!("\n{after}") };
    Some(format!("{}\nGROUP BY {}{after}", before.trim_end(), keys.join(", ")))
}

/// The query without groups that its result does not name: it gives sums of which nobody can tell what they are of, and with
/// a limit one of them. For steps that ask for no groups; `None` if there is nothing to leave out.
pub fn without_unnamed_groups(sql: &str) -> Option<String> {
    let clauses = Clauses::of(sql)?;
    let (select, from, group) = (clauses.find("SELECT")?, clauses.find("FROM")?, clauses.find("GROUP")?);
    let items = split(&sql[select + "SELECT".len()..from]);
    let is_aggregate = |item: &str| AGGREGATES.iter().any(|name| item.to_uppercase().replace(' ', "").contains(name));
    let is_text = |item: &str| item.starts_with('\'');
    let names_none =
        items.iter().all(|item| is_aggregate(item) || is_text(item)) && items.iter().any(|item| is_aggregate(item));
    // What is left is one row, which has no order.
    (names_none && clauses.find("HAVING").is_none()).then(|| format!("{};", sql[..group].trim_end()))
}

/// Columns as people call them: what is only written in another way keeps its name, `LOWER(herb)` is the herb.
pub fn column_names(columns: &[String]) -> Vec<String> {
    static PLAIN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?i:LOWER|UPPER|TRIM)\((\w+)\)$").expect("a constant expression"));
    let named = |name: &String| PLAIN.captures(name).map_or_else(|| name.clone(), |found| found[1].to_owned());
    let names: Vec<String> = columns.iter().map(named).collect();
    let is_unique = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if is_unique { names } else { columns.to_vec() }
}

/// Where the clauses of one plain SELECT begin.
struct Clauses<'a>(Vec<(&'a str, usize)>);

impl<'a> Clauses<'a> {
    /// `None` for a query of several SELECTs side by side or with tables of its own.
    fn of(sql: &'a str) -> Option<Self> {
        let found = Self::words(sql);
        let has =
            |names: &[&str]| found.iter().any(|(word, _)| names.iter().any(|name| word.eq_ignore_ascii_case(name)));
        (!has(&["WITH", "UNION", "INTERSECT", "EXCEPT"])).then_some(Self(found))
    }

    /// The words outside of brackets, texts and quoted names, with where they begin.
    fn words(sql: &'a str) -> Vec<(&'a str, usize)> {
        let is_word = |kind: Kind, token: &str| kind == Kind::Name && !token.starts_with(['"', '`', '[']);
        let outside = outside(sql).into_iter();
        outside.filter(|(kind, token, _)| is_word(*kind, token)).map(|(_, token, at)| (token, at)).collect()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().find(|(word, _)| word.eq_ignore_ascii_case(name)).map(|(_, at)| *at)
    }
}

/// The tokens of a query that stand outside of brackets, with where they begin.
fn outside(sql: &str) -> Vec<(Kind, &str, usize)> {
    let (mut depth, mut at) = (0_usize, 0);
    let mut found = Vec::new();
    for (kind, token) in tokens(sql) {
        match token {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 => found.push((kind, token, at)),
            _ => {}
        }
        at += token.len();
    }
    found
}

/// The parts of a list between the commas that stand outside of brackets, texts and quoted names.
fn split(list: &str) -> Vec<&str> {
    let mut first = 0;
    let mut parts = Vec::new();
    for (_, _, at) in outside(list).into_iter().filter(|(_, token, _)| *token == ",") {
        parts.push(list[first..at].trim());
        first = at + 1;
    }
    parts.push(list[first..].trim());
    parts
}

/// The query without the conditions that compare with a code or a name that nobody spoke of, nor of their column: models
/// that have seen a value of a column like to ask for it. `None` if there is none. `said` is what was asked, `categories`
/// the columns, in small letters, of which nobody means one value without a word of it.
pub fn without_conditions_of_nobody(sql: &str, said: &str, categories: &BTreeSet<String>) -> Option<String> {
    let said = said.to_lowercase();
    let clauses = Clauses::of(sql)?;
    let from = clauses.find("WHERE")? + "WHERE".len();
    let to = ["GROUP", "HAVING", "ORDER", "LIMIT"].iter().filter_map(|word| clauses.find(word)).min();
    let to = to.unwrap_or_else(|| sql.trim_end().trim_end_matches(';').len());
    let all = conjuncts(sql.get(from..to)?);
    let narrowed = narrowed_group(sql, &said);
    let is_narrowing =
        |condition: &&str| narrowed.as_ref().is_some_and(|column| compares_with_texts(condition, column));
    let kept: Vec<&str> =
        all.iter().copied().filter(|of| !is_of_nobody(of, &said, categories) && !is_narrowing(of)).collect();
    if kept.len() == all.len() {
        return None;
    }
    let before = sql[..from - "WHERE".len()].trim_end();
    let kept = if kept.is_empty() { String::new() } else { format!("\nWHERE {}", kept.join(" AND ")) };
    let after = &sql[to..];
    let gap = if after.is_empty() || after.starts_with(';') { "" } else { "\n" };
    Some(format!("{before}{kept}{gap}{after}"))
}

/// Whether a condition compares with a date where nobody speaks of time, or with a name or a code that nobody says: a code,
/// a name of a column that nobody speaks of, names of which none is to count, or what stands in one of `categories`.
fn is_of_nobody(condition: &str, said: &str, categories: &BTreeSet<String>) -> bool {
    let lower = condition.to_lowercase();
    let mut names = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty());
    let column = names.find(|name| !["lower", "upper", "trim", "not"].contains(name)).unwrap_or_default();
    let is_said = is_spoken_of(column, said);
    let is_denied = condition.contains("!=") || condition.contains("<>") || condition.to_uppercase().contains("NOT ");
    let has_code = texts(condition).iter().any(|text| text.contains(|c: char| c.is_ascii_digit()));
    let has_unknown = names_unknown(condition, said);
    let compared = texts(condition);
    let is_unsaid = !compared.is_empty() && !compared.iter().any(|text| is_spoken_of(text, said));
    let is_of_category = categories.contains(column) && !is_said && is_unsaid;
    is_of_category || dates_unknown(condition, said) || (has_unknown && (!is_said || is_denied || has_code))
}

/// The conditions that AND joins; where OR makes them depend on each other they are one.
fn conjuncts(conditions: &str) -> Vec<&str> {
    let words = Clauses::words(conditions);
    if words.iter().any(|(word, _)| word.eq_ignore_ascii_case("OR")) {
        return vec![conditions.trim()];
    }
    let (mut parts, mut first, mut is_range) = (Vec::new(), 0, false);
    for (word, at) in words {
        if word.eq_ignore_ascii_case("BETWEEN") {
            is_range = true;
        } else if word.eq_ignore_ascii_case("AND") && !std::mem::take(&mut is_range) {
            parts.push(conditions[first..at].trim());
            first = at + word.len();
        }
    }
    parts.push(conditions[first..].trim());
    parts
}

/// What is wrong with the conditions of a query: one compares with a name or a date that nobody spoke of, or takes some of
/// the groups out though all were asked for. `said` is what was asked.
pub fn condition_of_nobody(sql: &str, said: &str) -> Option<String> {
    let said = said.to_lowercase();
    if names_unknown(sql, &said) {
        Some("the query compares with a name that the goal does not speak of; leave that condition out".into())
    } else if dates_unknown(sql, &said) {
        Some("the query compares with a date, and the goal speaks of no time; leave that condition out".into())
    } else {
        let column = narrowed_group(sql, &said)?;
        Some(format!("every `{column}` is asked for; leave the condition on `{column}` out"))
    }
}

/// Whether a query compares with a name or a code of which `known`, in small letters, has no word: words in small letters
/// can be the table's for something that the goal calls otherwise, names cannot.
pub fn names_unknown(sql: &str, known: &str) -> bool {
    static TEXT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:=|<>|!=|IN \(|, )\s*'([^']+)'").expect("a constant expression"));
    let is_name = |text: &str| text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()) && !is_date(text);
    TEXT.captures_iter(sql).any(|found| is_name(&found[1]) && !is_spoken_of(&found[1], known))
}

/// Whether what was said, in small letters, has a word of a text in any of its forms, or the whole of it if its words are
/// too short to tell them from others: the "a" of `M-A` is in every sentence.
fn is_spoken_of(text: &str, said: &str) -> bool {
    let is_telling = |word: &String| word.chars().count() > 2 || word.contains(|c: char| c.is_ascii_digit());
    let mut parts = words(text).filter(is_telling).peekable();
    if parts.peek().is_none() {
        return clause::names(said, &text.to_lowercase());
    }
    parts.any(|part| words(said).any(|word| word::stem(&word) == word::stem(&part)))
}

fn is_date(text: &str) -> bool {
    text.len() > 6 && text.chars().all(|c| c.is_ascii_digit() || "-:/ T".contains(c))
}

/// Whether a query compares with a date where nothing that was said is about time.
fn dates_unknown(sql: &str, said: &str) -> bool {
    const TIMES: &[&str] = &[
        "today",
        "yesterday",
        "tomorrow",
        "day",
        "days",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "quarter",
        "date",
        "dates",
        "before",
        "after",
        "since",
        "until",
        "between",
        "during",
        "spring",
        "summer",
        "autumn",
        "winter",
        "now",
        "ago",
        "weekend",
        "weekends",
        "latest",
        "recent",
        "last",
        "first",
    ];
    let is_time = |word: String| {
        TIMES.contains(&word.as_str())
            || table::MONTHS.contains(&word.as_str())
            || word.ends_with("day")
            || word.chars().any(|c| c.is_ascii_digit())
    };
    let compares = texts(sql).iter().any(|text| is_date(text.trim_matches('%')));
    compares && !words(said).any(is_time)
}

/// The column that a query groups by and compares with names, though the words that were said want every one of it.
fn narrowed_group(sql: &str, said: &str) -> Option<String> {
    static GROUP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)GROUP\s+BY\s+(?:\w+\()?(\w+)").expect("a constant expression"));
    let column = GROUP.captures(sql)?[1].to_lowercase();
    let said: Vec<String> = words(said).collect();
    let is_every = |pair: &[String]| {
        ["each", "every", "per"].contains(&pair[0].as_str()) && words(&column).any(|word| pair[1].starts_with(&word))
    };
    (compares_with_texts(sql, &column) && said.windows(2).any(is_every)).then_some(column)
}

/// Whether a condition compares a column with texts.
fn compares_with_texts(condition: &str, column: &str) -> bool {
    let pattern = format!(
        r"(?i)\b{}\)?\s*(?:=|<>|!=|(?:NOT\s+)?IN\s*\(|(?:NOT\s+)?LIKE|REGEXP)\s*(?:\w+\()?'",
        regex::escape(column)
    );
    Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(condition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_beside_a_sum_are_its_groups() {
        for (sql, want) in [
            (
                "SELECT rider, SUM(km) AS total\nFROM rides\nORDER BY total DESC\nLIMIT 1;",
                "SELECT rider, SUM(km) AS total\nFROM rides\nGROUP BY rider\nORDER BY total DESC\nLIMIT 1;",
            ),
            (
                "SELECT LOWER(a) AS k, COUNT(*) FROM t WHERE b IN ('x', 'GROUP')",
                "SELECT LOWER(a) AS k, COUNT(*) FROM t WHERE b IN ('x', 'GROUP')\nGROUP BY LOWER(a)",
            ),
            ("SELECT a, b, SUM(c) FROM t GROUP BY a;", "SELECT a, b, SUM(c) FROM t GROUP BY a;"),
            ("SELECT a, MAX(b) FROM t;", "SELECT a, MAX(b) FROM t;"),
            ("SELECT SUM(c), COUNT(*) FROM t;", "SELECT SUM(c), COUNT(*) FROM t;"),
            ("SELECT 'all', SUM(c) FROM t;", "SELECT 'all', SUM(c) FROM t;"),
            ("SELECT a, (SELECT SUM(b) FROM u) AS s FROM t;", "SELECT a, (SELECT SUM(b) FROM u) AS s FROM t;"),
            ("SELECT a, SUM(b) OVER (ORDER BY c) FROM t;", "SELECT a, SUM(b) OVER (ORDER BY c) FROM t;"),
        ] {
            assert_eq!(as_meant(sql, true), want);
        }
    }

    #[test]
    fn groups_without_a_name_are_none() {
        for (sql, want) in [
            (
                "SELECT SUM(t) AS tonnes, 'a.csv' AS file FROM x WHERE s = 'B' GROUP BY month ORDER BY tonnes LIMIT 1;",
                Some("SELECT SUM(t) AS tonnes, 'a.csv' AS file FROM x WHERE s = 'B';"),
            ),
            ("SELECT month, SUM(t) FROM x GROUP BY month;", None),
            ("SELECT SUM(t) FROM x GROUP BY month HAVING SUM(t) > 3;", None),
            ("SELECT SUM(t) FROM x;", None),
        ] {
            assert_eq!(without_unnamed_groups(sql).as_deref(), want);
        }
    }

    #[test]
    fn columns_beside_a_sum_are_left_out_where_no_groups_are_asked_for() {
        let sql = "SELECT station, AVG(cm) AS mean FROM t WHERE cm > 0 ORDER BY station LIMIT 3;";
        assert_eq!(as_meant(sql, false), "SELECT AVG(cm) AS mean\nFROM t WHERE cm > 0;");
    }

    #[test]
    fn columns_keep_their_names() {
        let columns = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(column_names(&columns(&["LOWER(herb)", "AVG(cm)"])), ["herb", "AVG(cm)"]);
        assert_eq!(column_names(&columns(&["LOWER(herb)", "herb"])), ["LOWER(herb)", "herb"]);
    }

    #[test]
    fn a_shadowed_column_is_grouped_as_it_was_computed() {
        let sql = "SELECT LOWER(kind) AS kind, SUM(n) AS n FROM t GROUP BY kind;";
        assert_eq!(as_meant(sql, true), "SELECT LOWER(kind) AS kind, SUM(n) AS n FROM t GROUP BY LOWER(kind);");
    }

    #[test]
    fn names_that_nobody_said_are_made_up() {
        let known = "visitors of each show, only for dr. kessler, in may";
        for (sql, want) in [
            ("SELECT 1 FROM t WHERE till = 'A'", true),
            ("SELECT 1 FROM t WHERE name = 'Dr. Amara Kessler' AND state = 'open'", false),
            ("SELECT 1 FROM t WHERE show IN ('Night Sky', 'Ice Age')", true),
            ("SELECT 1 FROM t WHERE day >= '2024-05-01' AND day = '2024-05-31'", false),
            ("SELECT name || ', ' || 'x' FROM t", false),
        ] {
            assert_eq!(names_unknown(sql, known), want, "{sql}");
        }
    }

    #[test]
    fn conditions_that_nobody_asked_for_are_taken_out() {
        let said = "How many meals did class 4B eat in March? Which hives weigh more than 20 kilos?";
        let categories = BTreeSet::from(["season".to_owned(), "class".to_owned()]);
        for (sql, want) in [
            (
                "SELECT SUM(meals) FROM t WHERE class = '4B' AND week = 'W3'\nORDER BY 1;",
                Some("SELECT SUM(meals) FROM t\nWHERE class = '4B'\nORDER BY 1;"),
            ),
            ("SELECT SUM(meals) FROM t WHERE week IN ('W1', 'W2');", Some("SELECT SUM(meals) FROM t;")),
            ("SELECT 1 FROM t WHERE hive != 'H4' AND kilos > 20", Some("SELECT 1 FROM t\nWHERE kilos > 20")),
            ("SELECT 1 FROM t WHERE class = 'Primary' AND kilos BETWEEN 1 AND 2", None),
            ("SELECT 1 FROM t WHERE class = '4B' OR kilos > 3", None),
            ("SELECT 1 FROM t", None),
            ("SELECT 1 FROM t WHERE meter != 'M-A' AND kilos > 1", Some("SELECT 1 FROM t\nWHERE kilos > 1")),
            ("SELECT 1 FROM t WHERE kilos > 20 AND LOWER(season) = 'dry'", Some("SELECT 1 FROM t\nWHERE kilos > 20")),
            ("SELECT 1 FROM t WHERE season = 'in march'", None),
            ("SELECT 1 FROM t WHERE paid = 'no'", None),
            ("SELECT \"order\" FROM t WHERE \"group\" = 'X1' LIMIT 2", Some("SELECT \"order\" FROM t\nLIMIT 2")),
        ] {
            assert_eq!(without_conditions_of_nobody(sql, said, &categories).as_deref(), want, "{sql}");
        }
        let narrowed = "SELECT herb, AVG(cm) FROM t WHERE herb LIKE 'BASIL' OR herb IN ('Basil') GROUP BY herb";
        let said = "the height of each herb; \"Basil\" and \"BASIL\" are the same";
        assert_eq!(
            without_conditions_of_nobody(narrowed, said, &categories).as_deref(),
            Some("SELECT herb, AVG(cm) FROM t\nGROUP BY herb")
        );
    }

    #[test]
    fn conditions_that_nobody_asked_for_are_found() {
        let dated = "SELECT SUM(km) FROM t WHERE day BETWEEN '2024-04-01' AND '2024-06-30'";
        assert!(condition_of_nobody(dated, "The sum of the kilometres").unwrap().contains("date"));
        assert_eq!(condition_of_nobody(dated, "The kilometres in April"), None);
        let narrowed = "SELECT herb, AVG(cm) FROM t WHERE herb IN ('Basil', 'BASIL') GROUP BY herb";
        let said = "the height of each herb; \"Basil\" and \"BASIL\" are the same";
        assert!(condition_of_nobody(narrowed, said).unwrap().contains("herb"));
        assert_eq!(condition_of_nobody(narrowed, "the height of basil"), None);
        let other = "SELECT herb, AVG(cm) FROM t WHERE class = 'basil' GROUP BY herb";
        assert_eq!(condition_of_nobody(other, said), None);
    }
}
