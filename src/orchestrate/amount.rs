//! Amounts that a goal wants in a file, one a line, and the rules that a text states for them.
//!
//! A small model that writes a program for all of it at once skips the second rule. Asked for one amount after the other,
//! each with its own rule right above it, it does what that one says.
//! Must not know: steps, models, programs.

use std::collections::BTreeSet;

use super::word::{self, plain};

/// Fewer lines need no taking apart.
const MIN_AMOUNTS: usize = 3;
/// More are a table.
const MAX_AMOUNTS: usize = 8;
/// Words of the longest name of an amount.
const MAX_NAME: usize = 5;
/// A text with more rules is a document, not terms to compute by.
const MAX_RULES: usize = 12;
/// Words of the shortest rule.
const MIN_WORDS: usize = 4;
/// Words that belong to many amounts, and to the last one above all.
const COMMON: &[&str] = &["total", "sum", "amount", "final", "due", "payable", "overall", "whole", "result"];

/// Words for what an amount is when others are taken off.
const REST: &[&str] = &["amount", "remains", "remaining", "rest", "remainder", "left", "net"];

/// The amounts that a demand lists for its file, in order, as in "with the subtotal, the VAT and the total, one line each".
pub fn wanted(demand: &str) -> Option<Vec<String>> {
    let is_one_a_line = word::words(demand).any(|word| word == "line" || word == "lines");
    let is_name = |name: &String| {
        let n_words = name.split_whitespace().count();
        (1..=MAX_NAME).contains(&n_words) && name.starts_with(char::is_alphabetic)
    };
    let is_list = |names: &Vec<String>| {
        let is_unique = names.iter().collect::<BTreeSet<_>>().len() == names.len();
        let is_of_money = || names.iter().any(|name| is_of_money(name));
        let is_long = (MIN_AMOUNTS..=MAX_AMOUNTS).contains(&names.len());
        let is_of_text =
            || names.iter().flat_map(|name| word::words(name)).any(|word| word == "line" || word == "file");
        is_long && is_unique && !is_of_text() && names.iter().all(is_name) && (is_one_a_line || is_of_money())
    };
    enumerations(demand).into_iter().map(|list| list.iter().map(|item| name(item)).collect()).find(is_list)
}

/// As [`wanted`], of the words of a goal for the file at hand, or else of one that says what its lines are.
pub fn wanted_of(goal: &str, demand: &str) -> Option<Vec<String>> {
    let says_lines = |sentence: &String| word::words(sentence).any(|word| word == "lines");
    let listed = goal.replace(';', ",");
    let of_lines = || word::sentences(&listed).into_iter().map(|words| words.join(" ")).filter(says_lines);
    let is_of_amounts = |names: &Vec<String>| names.iter().any(|name| is_of_money(name));
    wanted(demand).or_else(|| of_lines().filter_map(|sentence| wanted(&sentence)).find(is_of_amounts))
}

/// Whether an amount is called as amounts of money are.
fn is_of_money(name: &str) -> bool {
    const MONEY: &[&str] = &[
        "total",
        "subtotal",
        "tax",
        "vat",
        "net",
        "gross",
        "refund",
        "payout",
        "discount",
        "rebate",
        "fee",
        "due",
        "balance",
        "pay",
        "charge",
        "credit",
        "surcharge",
        "payable",
    ];
    word::words(name).any(|word| MONEY.contains(&word.as_str()))
}

/// What can be the list in a sentence: behind its colon, or behind a word that opens one, around the commas before an "and".
fn enumerations(demand: &str) -> Vec<Vec<String>> {
    /// Words behind which a list begins.
    const OPENING: &[&str] = &[
        "with",
        "show",
        "shows",
        "give",
        "gives",
        "giving",
        "list",
        "contain",
        "containing",
        "hold",
        "holds",
        "has",
        "have",
        "of",
        "for",
        "save",
        "write",
        "put",
        "store",
        "record",
        "written",
        "listing",
        "stating",
        "showing",
    ];
    let text = demand.trim_end_matches(['.', '!', '?']).replace(" / ", ", ").replace(';', ",");
    let behind_colon = text.rsplit_once(": ").map(|(_, list)| list);
    let list = behind_colon.unwrap_or(&text);
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for word in list.split_whitespace() {
        if word == "and" {
            parts.push(Vec::new());
            continue;
        }
        parts.last_mut().expect("there is always a part").push(word.trim_end_matches(','));
        if word.ends_with(',') {
            parts.push(Vec::new());
        }
    }
    parts.retain(|part| !part.is_empty());
    if behind_colon.is_some() {
        return vec![listed(&parts)];
    }
    // "Write it.txt with the subtotal": the list begins behind the last word that can open it; "net, tax and total go in
    // it.txt" begins with the sentence.
    let from = |k: usize| {
        let opens = parts[k].iter().rposition(|word| OPENING.contains(&plain(word).as_str())).map(|at| at + 1);
        let start = opens.or((k == 0 && parts[0].len() <= MAX_NAME).then_some(0))?;
        let mut parts = parts[k..].to_vec();
        parts[0].drain(..start);
        Some(listed(&parts))
    };
    (0..parts.len()).filter_map(from).collect()
}

/// The items of a list, up to where something is said of it.
fn listed(parts: &[Vec<&str>]) -> Vec<String> {
    /// Words with which what is said of the list begins.
    const CLOSING: &[&str] = &[
        "each", "one", "on", "in", "all", "as", "every", "so", "rounded", "a", "to", "into", "are", "go", "should",
        "belong", "then",
    ];
    let is_closing = |word: &&str| CLOSING.contains(&plain(word).as_str());
    let mut items = Vec::new();
    for part in parts {
        // "the total each on its own line", ", one line each".
        let end = part.iter().skip(1).position(is_closing).map_or(part.len(), |at| at + 1);
        if part.first().is_some_and(is_closing) {
            break;
        }
        items.push(part[..end].join(" "));
        if end < part.len() {
            break;
        }
    }
    items
}

/// A name without its article and marks.
fn name(item: &str) -> String {
    let bare = item.trim_matches(|c: char| !c.is_alphanumeric());
    let article = ["the ", "its ", "a ", "an ", "The "].iter().find_map(|article| bare.strip_prefix(article));
    article.unwrap_or(bare).to_owned()
}

/// The sentences of a text that can be rules, in order; none if they are too many, or say no figure and are no list.
pub fn rules(text: &str) -> Vec<String> {
    let mut rules: Vec<String> = items(text).iter().flat_map(|item| sentences(item)).collect();
    rules.retain(|rule| rule.split_whitespace().count() >= MIN_WORDS);
    let has_figure = rules.iter().any(|rule| rule.contains(|c: char| c.is_ascii_digit()));
    // The figures can stand in data beside it.
    let is_list = || word::items(text).len() >= MIN_AMOUNTS;
    if rules.len() > MAX_RULES || !(has_figure || is_list()) { Vec::new() } else { rules }
}

/// The paragraphs and list items of a text, each on one line, without headings and marks.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines().map(str::trim) {
        let first = line.split_whitespace().next().unwrap_or_default();
        if line.is_empty() || line.starts_with('#') {
            is_open = false;
            continue;
        }
        let is_item = word::is_marker(first);
        let bare = if is_item { line[first.len()..].trim() } else { line };
        match items.last_mut().filter(|_| is_open && !is_item) {
            Some(item) => {
                item.push(' ');
                item.push_str(bare);
            }
            None => items.push(bare.to_owned()),
        }
        is_open = true;
    }
    // A line of a few words that ends like no sentence is a heading.
    items.retain(|item| item.ends_with(['.', '!', ';']) || item.contains(|c: char| c.is_ascii_digit()));
    items
}

fn sentences(item: &str) -> Vec<String> {
    word::sentences(item).into_iter().map(|words| words.join(" ")).filter(|sentence| !sentence.is_empty()).collect()
}

/// An amount with what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// As the goal calls it.
    pub name: String,
    /// The rules for it, as they stand in their text.
    pub rules: Vec<String>,
    /// The amounts before it that it is computed from, by their places.
    pub from: Vec<usize>,
}

/// The amounts with their rules: a rule belongs to the last of the amounts that it speaks of, since it speaks of those
/// before as of what is known. One without a rule is computed from all before it.
pub fn with_rules(names: &[String], rules: &[String]) -> Vec<Amount> {
    let empty = |name: &String| Amount { name: name.clone(), rules: Vec::new(), from: Vec::new() };
    let mut amounts: Vec<Amount> = names.iter().map(empty).collect();
    for rule in rules.iter().filter(|rule| !is_rounding(rule) && !is_deadline(rule)) {
        let Some(at) = subject(names, rule) else { continue };
        amounts[at].rules.push(rule.clone());
        if rule.contains(|c: char| c.is_ascii_digit()) || is_formula(rule) {
            // "added to the amount after the rebate": what is left of the first one.
            let is_of_rest = at > 0 && is_of_rest(rule);
            let said = stems(rule, |_| true);
            let is_known =
                |before: usize| (before == 0 && is_of_rest) || !stems(&names[before], is_own).is_disjoint(&said);
            amounts[at].from.extend((0..at).filter(|&before| is_known(before)));
        }
    }
    let factors: Vec<usize> =
        amounts.iter().filter(|amount| has_product(amount)).flat_map(|of| of.from.clone()).collect();
    for (at, amount) in amounts.iter_mut().enumerate().skip(1) {
        if amount.rules.is_empty() {
            amount.from = (0..at).filter(|known| !factors.contains(known)).collect();
        }
        amount.from.sort_unstable();
        amount.from.dedup();
    }
    amounts
}

/// The place of the amount that a rule is for: the last that it speaks of as of what it gives, and not of what that is a part
/// of, as in "12 percent off the subtotal"; else one that is taken off, if it takes something off.
fn subject(names: &[String], rule: &str) -> Option<usize> {
    let last = |said: &BTreeSet<String>, is_kept: fn(&str) -> bool| {
        names.iter().rposition(|name| !stems(name, is_kept).is_disjoint(said))
    };
    let reduces = || {
        let is_off = word::words(rule).any(|word| ["off", "less", "deducted", "cheaper"].contains(&word.as_str()));
        names.iter().rposition(|name| is_deduction(name)).filter(|_| is_off)
    };
    let (given, said) = (stems(&without_bases(rule), |_| true), stems(rule, |_| true));
    last(&given, is_own).or_else(reduces).or_else(|| last(&said, is_own)).or_else(|| last(&said, is_common))
}

/// A rule without the words for what others are a part of, are added to or are taken from.
fn without_bases(rule: &str) -> String {
    const BEFORE: &[&str] = &["off", "of", "from", "on", "to", "after"];
    const ARTICLES: &[&str] = &["the", "a", "an", "this", "that", "your", "their", "its"];
    let words: Vec<String> = word::words(rule).collect();
    let is_base = |i: usize| {
        let article = usize::from(i > 0 && ARTICLES.contains(&words[i - 1].as_str()));
        i > article && BEFORE.contains(&words[i - 1 - article].as_str())
    };
    (0..words.len()).filter(|&i| !is_base(i)).map(|i| words[i].as_str()).collect::<Vec<_>>().join(" ")
}

/// Whether a rule without a figure says how an amount is computed from others.
fn is_formula(rule: &str) -> bool {
    let has = |words: &str| rule.to_lowercase().contains(words);
    is_product(rule) || ["added to", "taken off", "together", "minus", "plus"].into_iter().any(has)
}

/// Whether an amount is another one times a price: that one is then no money, and in no sum.
fn has_product(amount: &Amount) -> bool {
    const PRICES: &[&str] = &["price", "prices", "per", "hourly", "daily", "unit", "tariff"];
    let is_by_price = |rule: &String| word::words(rule).any(|word| PRICES.contains(&word.as_str()));
    amount.rules.iter().any(|rule| is_product(rule) && is_by_price(rule))
}

fn is_product(rule: &str) -> bool {
    let rule = rule.to_lowercase();
    [" times ", "multiplied"].iter().any(|words| rule.contains(words))
}

fn stems(text: &str, is_kept: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let words = word::words(text).filter(|word| word.chars().count() > 2 && is_kept(word));
    words.map(|word| word::stem(word.trim_end_matches('s'))).collect()
}

/// Whether a rule is about what is left when others are taken off.
fn is_of_rest(rule: &str) -> bool {
    word::words(rule).any(|word| REST.contains(&word.as_str()))
}

fn is_common(word: &str) -> bool {
    COMMON.contains(&word)
}

fn is_own(word: &str) -> bool {
    !is_common(word) && !["the", "and", "for"].contains(&word)
}

/// A rule without what it says of others than the one that the goal is about: of "Ada 80 EUR, Ben 150 EUR" one part.
pub fn about(rule: &str, name: &str) -> String {
    let (head, list) = rule.split_once(": ").map_or(("", rule), |(head, list)| (head, list));
    let own: Vec<&str> = list.split(", ").filter(|part| part.contains(name)).collect();
    let is_list = list.matches(", ").count() > 0 && own.len() == 1 && own[0].contains(|c: char| c.is_ascii_digit());
    match (is_list, head.is_empty()) {
        (false, _) => rule.to_owned(),
        (true, true) => own[0].to_owned(),
        (true, false) => format!("{head}: {}", own[0]),
    }
}

/// Whether the rules of an amount give a percentage where a threshold is passed, of the whole and not of what is above it.
pub fn is_of_whole_above(amount: &Amount) -> bool {
    let rules = amount.rules.join(" ").to_lowercase();
    let has_percent = rules.contains("percent") || rules.contains('%');
    let has_threshold =
        ["more than", "over ", "above", "at least", "or more", "exceed"].iter().any(|words| rules.contains(words));
    has_percent && has_threshold && !speaks_of_part(&rules)
}

/// Whether rules are about the part of an amount that lies above a threshold.
fn speaks_of_part(rules: &str) -> bool {
    const PARTS: &[&str] = &["part", "portion", "excess", "beyond", "above that", "remainder", "the rest"];
    PARTS.iter().any(|part| rules.contains(part))
}

/// The most that a rule of one percentage and nothing else can make of what is known.
pub fn most(amount: &Amount, known: &[f64]) -> Option<f64> {
    let percents = percents(&amount.rules.join(" "));
    let [percent] = percents[..] else { return None };
    (!known.is_empty()).then(|| known.iter().map(|value| value.abs()).sum::<f64>() * percent / 100.0)
}

/// Whether a rule says that amounts are rounded to cents, as they are shown anyway.
fn is_rounding(rule: &str) -> bool {
    let rule = rule.to_lowercase();
    rule.contains("round") && ["cent", "decimal"].iter().any(|unit| rule.contains(unit))
}

/// Whether a rule says by when something has to be paid, and no amount.
fn is_deadline(rule: &str) -> bool {
    const UNITS: &[&str] = &["day", "days", "week", "weeks", "month", "months"];
    let words: Vec<String> = word::words(rule).collect();
    let is_number = |word: &String| word.contains(|c: char| c.is_ascii_digit());
    let is_of_time = |i: usize| words.get(i + 1).is_some_and(|next| UNITS.contains(&next.as_str()));
    let mut numbers = (0..words.len()).filter(|&i| is_number(&words[i]));
    word::has(&words, &["within", "later", "latest"]) && numbers.all(is_of_time)
}

/// What an expression for an amount does against its rules, as far as code can tell. `names` are the variables of the
/// amounts before it.
pub fn n_faults(amount: &Amount, expression: &str, names: &[String]) -> usize {
    let words: Vec<&str> = expression.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let is_missing = |at: &&usize| names.get(**at).is_some_and(|name| !words.contains(&name.as_str()));
    // Without a rule an amount may be computed from the last sum alone.
    let n_missing = if amount.rules.is_empty() { 0 } else { amount.from.iter().filter(is_missing).count() };
    let n_added = names.iter().filter(|name| is_deduction(name) && joins(expression, "+", name)).count();
    let is_taken_off = |name: &&String| is_addition(name) && joins(expression, "-", name);
    let n_taken_off = if is_bill(amount, names) { names.iter().filter(is_taken_off).count() } else { 0 };
    let rounds = expression.contains("round(") && !expression.contains(", 2)");
    n_missing
        + n_added
        + n_taken_off
        + usize::from(rounds)
        + usize::from(multiplies(expression, names))
        + n_against_figures(amount, expression)
}

/// The percentages of a text.
fn percents(text: &str) -> Vec<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let of_percent = words.windows(2).filter(|pair| pair[1].starts_with("percent") || pair[1].starts_with('%'));
    let spaced = of_percent.filter_map(|pair| pair[0].parse::<f64>().ok());
    let joined =
        words.iter().filter_map(|word| word.trim_end_matches([',', '.']).strip_suffix('%')?.parse::<f64>().ok());
    spaced.chain(joined).collect()
}

/// Whether an amount, by its name or its variable, is one that is taken off others.
fn is_deduction(name: &str) -> bool {
    const OFF: &[&str] = &["rebate", "discount", "deduction", "advance", "reduction", "credit", "refund", "prepayment"];
    word::words(name).any(|word| OFF.contains(&word.as_str()))
}

/// Whether an amount is one that comes on top of a bill, though it may be taken off a wage.
fn is_addition(name: &str) -> bool {
    const ON_TOP: &[&str] = &[
        "tax",
        "vat",
        "gst",
        "duty",
        "levy",
        "surcharge",
        "fee",
        "fees",
        "delivery",
        "shipping",
        "postage",
        "freight",
        "service",
        "tip",
    ];
    name.split('_').any(|word| ON_TOP.contains(&word))
}

/// Whether an amount without a rule of its own is what somebody has to pay, and not what is left of a wage or a deposit.
fn is_bill(amount: &Amount, names: &[String]) -> bool {
    const LEFT: &[&str] = &["net", "payout", "left", "remaining", "remainder", "refund", "back", "take", "profit"];
    let has = |text: &str, words: &[&str]| word::words(&text.replace('_', " ")).any(|word| words.contains(&&*word));
    let begins_gross = names.first().is_some_and(|first| has(first, &["gross", "wage", "wages", "salary", "income"]));
    amount.rules.is_empty() && !begins_gross && !has(&amount.name, LEFT)
}

/// Whether a sign stands before an amount.
fn joins(expression: &str, sign: &str, name: &str) -> bool {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    parts.windows(2).any(|pair| pair[0] == sign && pair[1].trim_matches(['(', ')']) == name)
}

/// An expression that follows from the words of a rule alone, for where the model's have faults: a percentage of what is
/// known, of the sum or of the rest, or nothing up to a threshold; or the sum of all, without what is taken off.
pub fn by_words(amount: &Amount, names: &[String]) -> Option<String> {
    let from: Vec<&str> = amount.from.iter().filter_map(|at| names.get(*at)).map(String::as_str).collect();
    let (first, others) = from.split_first()?;
    if amount.rules.is_empty() {
        let is_bill = is_bill(amount, names);
        let is_off = |name: &str| is_deduction(name) || (is_addition(name) && !is_bill);
        let signed = |name: &&str| format!("{} {name}", if is_off(name) { "-" } else { "+" });
        return Some(
            format!("{first} {}", others.iter().map(signed).collect::<Vec<_>>().join(" ")).trim_end().to_owned(),
        );
    }
    let [rule] = &amount.rules[..] else { return None };
    let (percent, threshold) = (percents(rule), word::numbers(rule));
    let [percent] = percent[..] else { return None };
    let rest: Vec<f64> = threshold.into_iter().filter(|number| *number != percent).collect();
    match (&rest[..], others.is_empty()) {
        ([least], true) if is_of_whole_above(amount) => {
            let text = rule.to_lowercase();
            let compare = if text.contains("at least") || text.contains("or more") { ">=" } else { ">" };
            Some(format!("{first} * {percent} / 100 if {first} {compare} {least} else 0"))
        }
        ([], true) => Some(format!("{first} * {percent} / 100")),
        ([], false) => {
            let sign = if is_of_rest(rule) || rule.contains("after") { " - " } else { " + " };
            Some(format!("({}) * {percent} / 100", from.join(sign)))
        }
        _ => None,
    }
}

/// Whether an expression multiplies one amount by another.
fn multiplies(expression: &str, names: &[String]) -> bool {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    let is_amount = |part: &str| names.iter().any(|name| name == part.trim_matches(['(', ')']));
    parts.windows(3).any(|three| three[1] == "*" && is_amount(three[0]) && is_amount(three[2]))
}

/// Figures of the rules that an expression does not have, and thresholds that it subtracts though no rule speaks of a part.
fn n_against_figures(amount: &Amount, expression: &str) -> usize {
    let rules = amount.rules.join(" ");
    let [there, said] = [expression, &rules].map(word::numbers);
    let is_there = |number: &f64| {
        let forms = [*number, number / 100.0, 1.0 - number / 100.0, 1.0 + number / 100.0];
        there.iter().any(|other| forms.iter().any(|form| (form - other).abs() < 1e-9))
    };
    let n_missing = if amount.from.is_empty() { 0 } else { said.iter().filter(|number| !is_there(number)).count() };
    let of_parts = speaks_of_part(&rules.to_lowercase());
    let subtracts = said.iter().any(|number| *number >= 10.0 && expression.contains(&format!("- {number}")));
    n_missing + usize::from(subtracts && !of_parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_that_a_file_is_to_have_are_found() {
        for (demand, want) in [
            (
                "Write i.txt with the subtotal, the discount, the VAT and the total each on its own line",
                Some(&["subtotal", "discount", "VAT", "total"][..]),
            ),
            (
                "Save b.txt with four lines: the sum of the goods, the rebate, the tax and the final amount.",
                Some(&["sum of the goods", "rebate", "tax", "final amount"]),
            ),
            (
                "b.txt should show the subtotal, the tax, and the amount due, one line each.",
                Some(&["subtotal", "tax", "amount due"]),
            ),
            (
                "The result goes into c.txt, four lines: Mileage, Parking, Advance, Payout, each followed by its amount.",
                Some(&["Mileage", "Parking", "Advance", "Payout"]),
            ),
            ("Write the names, one line each, to n.txt.", None),
            ("Write a poem of four lines to p.txt.", None),
            ("Write i.txt with the subtotal, the VAT and the total.", Some(&["subtotal", "VAT", "total"])),
            ("Save net, tax and gross to o/i.txt, one per line.", Some(&["net", "tax", "gross"])),
            ("I need three figures in c.txt: claim, excess, payout.", Some(&["claim", "excess", "payout"])),
            ("Write the deposit, the rent and the refund into s.txt", Some(&["deposit", "rent", "refund"])),
            (
                "I wish a file s.txt in which is written the base pay, the bonus and the net pay.",
                Some(&["base pay", "bonus", "net pay"]),
            ),
            (
                "Gross royalty, reserve and net are to be stated in r.txt, each on a separate line.",
                Some(&["Gross royalty", "reserve", "net"]),
            ),
            ("Save f.txt with these lines: Rooms / Tourist tax / Balance", Some(&["Rooms", "Tourist tax", "Balance"])),
            (
                "I want q.md listing the food cost, the service charge and the total, and then your word.",
                Some(&["food cost", "service charge", "total"]),
            ),
            (
                "The bill is to be saved as b.txt and has to show the subtotal, the reduction, the tax and the amount due, one below the other on separate lines",
                Some(&["subtotal", "reduction", "tax", "amount due"]),
            ),
            ("Write the name, the age and the town into s.txt", None),
        ] {
            let want = want.map(|names| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
            assert_eq!(wanted(demand), want, "{demand}");
        }
    }

    #[test]
    fn amounts_may_stand_in_a_sentence_of_their_own() {
        let goal = "Can you do me a s.txt? Lines: scrap value; weighing fee; payout. Ta!";
        let want = ["scrap value", "weighing fee", "payout"].map(str::to_owned).to_vec();
        assert_eq!(wanted_of(goal, "Can you do me a s.txt?"), Some(want));
        assert_eq!(wanted_of("Read a.csv. Broken lines: a, b and c.", "Write s.txt."), None);
    }

    #[test]
    fn rules_are_the_sentences_of_lists_and_paragraphs() {
        let text = "Terms for members\n\n1. Sums over 500 EUR get 5 percent off. It is taken off once.\n- A fee of 8.40 EUR per\n  month is added.\nRound to cents.\n\n# Other\nSee below";
        assert_eq!(
            rules(text),
            ["Sums over 500 EUR get 5 percent off.", "It is taken off once.", "A fee of 8.40 EUR per month is added."]
        );
        assert!(rules("The gate is green. It opens inwards on most days.").is_empty(), "no figure, no rule");
        assert!(rules(&"One of 2 things is said here. ".repeat(13)).is_empty());
    }

    #[test]
    fn a_rule_belongs_to_the_last_amount_that_it_speaks_of() {
        let names = ["subtotal", "discount", "VAT", "total"].map(str::to_owned);
        let rules = [
            "A subtotal of more than 50 gets a discount of 5 percent.",
            "VAT of 21 percent is added to the amount after the discount.",
            "Amounts are rounded to cents.",
        ]
        .map(str::to_owned);
        let got: Vec<(Vec<String>, Vec<usize>)> =
            with_rules(&names, &rules).into_iter().map(|amount| (amount.rules, amount.from)).collect();
        let [r0, r1, _] = rules;
        assert_eq!(got, [(vec![], vec![]), (vec![r0], vec![0]), (vec![r1], vec![0, 1]), (vec![], vec![0, 1, 2])]);
        let names = ["used", "water charge", "fee", "VAT", "due"].map(str::to_owned);
        let text = "1. What is used is the new minus the old reading.\n2. The water charge is what is used times the price per m3.\n3. The fee is charged once.\n4. VAT is added to the water charge and the fee together.";
        let from: Vec<Vec<usize>> =
            with_rules(&names, &super::rules(text)).into_iter().map(|amount| amount.from).collect();
        assert_eq!(from, [vec![], vec![0], vec![], vec![1, 2], vec![1, 2, 3]], "what is used is no money");
        let names = ["subtotal", "discount", "insurance", "total"].map(str::to_owned);
        let text = "a) Whoever borrows for more than 400 EUR gets 12 percent off the subtotal.\nb) Insurance is 7 percent of what remains after the discount.";
        let amounts = with_rules(&names, &super::rules(text));
        let got: Vec<(usize, &[usize])> = amounts.iter().map(|of| (of.rules.len(), &of.from[..])).collect();
        assert_eq!(got, [(0, &[][..]), (1, &[0]), (1, &[0, 1]), (0, &[0, 1, 2])], "what it is taken off has no rule");
        let names = ["subtotal", "discount"].map(str::to_owned);
        let last = with_rules(&names, &["A total of more than 9 gets another discount.".to_owned()]);
        assert_eq!(last[1].rules.len(), 1, "what many amounts are called decides last");
    }

    #[test]
    fn what_rules_say_in_plain_words_is_an_expression() {
        let names = ["base", "rebate", "tax", "due"].map(str::to_owned);
        let rules = [
            "A base of 500 or more gets a rebate of 8 percent.",
            "Tax of 19 percent is added to what remains after the rebate.",
        ];
        let amounts = with_rules(&names, &rules.map(str::to_owned));
        let got: Vec<Option<String>> = (0..4).map(|at| by_words(&amounts[at], &names[..at])).collect();
        let want = [
            None,
            Some("base * 8 / 100 if base >= 500 else 0"),
            Some("(base - rebate) * 19 / 100"),
            Some("base - rebate + tax"),
        ];
        assert_eq!(got, want.map(|text| text.map(str::to_owned)));
        assert!(n_faults(&amounts[3], "base + rebate + tax", &names[..3]) > 0);
        assert_eq!(n_faults(&amounts[3], "base - rebate + tax", &names[..3]), 0);
    }

    #[test]
    fn a_tax_comes_on_top_of_a_bill_and_off_a_wage() {
        for (names, expression, by_words_alone) in [
            (["net_amount", "rebate", "tax", "amount due"], "net_amount - rebate - tax", "net_amount - rebate + tax"),
            (["gross_wage", "rebate", "tax", "paid out"], "", "gross_wage - rebate - tax"),
            (["sum", "rebate", "tax", "net pay"], "", "sum - rebate - tax"),
        ] {
            let names = names.map(str::to_owned);
            let rules = ["Bills are due within 14 days.", "The amount due is paid 2 weeks later at the latest."];
            let last = with_rules(&names, &rules.map(str::to_owned)).remove(3);
            assert_eq!(n_faults(&last, expression, &names[..3]), usize::from(!expression.is_empty()), "{names:?}");
            assert_eq!(n_faults(&last, by_words_alone, &names[..3]), 0);
            assert_eq!(by_words(&last, &names[..3]).as_deref(), Some(by_words_alone));
        }
    }

    #[test]
    fn what_a_rule_says_of_others_is_left_out() {
        assert_eq!(about("Paid so far: Ada 80 EUR, Ben 150 EUR, Cy none.", "Ben"), "Paid so far: Ben 150 EUR");
        let other = "Over 50 EUR, Ben gets a discount.";
        assert_eq!(about(other, "Ben"), other);
    }

    #[test]
    fn a_percentage_has_a_bound() {
        let of = |rule: &str| Amount { name: "tax".into(), rules: vec![rule.to_owned()], from: Vec::new() };
        assert_eq!(most(&of("Tax of 7 percent is added."), &[100.0, 50.0]), Some(10.5));
        assert_eq!(most(&of("Above 300 EUR it is 4%."), &[100.0]), Some(4.0));
        assert_eq!(most(&of("4 percent, or 5 percent for members."), &[100.0]), None);
        assert_eq!(most(&of("A fee of 8 EUR."), &[100.0]), None);
        assert!(is_of_whole_above(&of("A sum of more than 50 EUR gets 5 percent off.")));
        assert!(!is_of_whole_above(&of("On the part over 50 EUR there are 5 percent off.")));
    }

    #[test]
    fn expressions_are_held_against_their_rules() {
        let names = ["subtotal", "discount", "tax"].map(str::to_owned);
        let rules = [
            "A subtotal of more than 50 gets a discount of 5 percent.",
            "Tax of 7 percent is added after the discount.",
        ];
        let amounts = with_rules(&names, &rules.map(str::to_owned));
        for (at, expression, want) in [
            (1, "subtotal * 0.05 if subtotal > 50 else 0", 0),
            (1, "subtotal * 0.05", 1),
            (1, "max(0, subtotal - 50) * 0.05", 1),
            (2, "(subtotal - discount) * 0.07", 0),
            (2, "round((subtotal - discount) * 0.07)", 1),
            (2, "subtotal * 0.07", 1),
            (2, "subtotal * discount * 0.07", 1),
        ] {
            assert_eq!(n_faults(&amounts[at], expression, &names[..at]), want, "{expression}");
        }
    }
}
