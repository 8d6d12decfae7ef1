//! Grounding: which numbers and names of a text stand in none of its sources.
//!
//! Small models fill gaps with what sounds right. A number or a name that is neither in the goal nor in a result was made
//! up, whatever the sentence around it says.
//! Must not know: the engine, steps, who wrote the text.

/// The numbers and names of `text` that `known` does not hold, as they stand there.
pub fn foreign(text: &str, known: &str) -> Vec<String> {
    let text = &without_markers(text);
    let numbers_known = numbers(known);
    let is_known = |number: f64| numbers_known.iter().any(|other| (other - number).abs() <= tolerance(number));
    let foreign = numbers(text).into_iter().filter(|number| !is_known(*number));
    let known = known.to_lowercase();
    foreign
        .map(|number| number.to_string())
        .chain(names(text).into_iter().filter(|name| !holds(&known, name)))
        .collect()
}

/// The figures with decimals in a query or a program that `known` has neither as they are nor as percentages.
pub fn made_up(code: &str, known: &str) -> Vec<String> {
    let known = numbers(known);
    let is_known = |number: f64| {
        let forms = [number, number * 100.0, (1.0 - number) * 100.0, (number - 1.0) * 100.0];
        forms.iter().any(|form| known.iter().any(|other| (other - form).abs() < 1e-9))
    };
    let is_figure = |part: &&str| part.contains('.') && !part.ends_with('.') && !part.starts_with('.');
    let parts = code.split(|c: char| !c.is_ascii_digit() && c != '.').filter(is_figure);
    let foreign = parts.filter(|part| part.parse().is_ok_and(|number: f64| number.fract() != 0.0 && !is_known(number)));
    foreign.map(str::to_owned).collect()
}

/// The text without the bullets and numbers that lists are marked with.
fn without_markers(text: &str) -> String {
    let is_marker = |c: char| c.is_ascii_digit() || c == '.' || c == ')' || c == '-' || c == '*' || c == '•';
    let bare = |line: &str| match line.trim().split_once(' ') {
        Some((marker, rest)) if marker.chars().all(is_marker) => rest.to_owned(),
        _ => line.trim().to_owned(),
    };
    // A line is a beginning, as a sentence is.
    text.lines().map(bare).collect::<Vec<_>>().join("\n. ")
}

/// What rounding may move a number by.
fn tolerance(number: f64) -> f64 {
    0.006 * number.abs().max(1.0)
}

/// The numbers in a text; `1,234.5` is one.
fn numbers(text: &str) -> Vec<f64> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let parts = text.split(|c: char| !is_part(c)).map(|part| part.trim_matches(['.', ',']).replace(',', ""));
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// Words that stand for something of their own: capitalized inside a sentence. Abbreviations are units and formats more
/// often than names.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut begins = true;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
        let is_capitalized = bare.chars().next().is_some_and(char::is_uppercase);
        let has_small = bare.chars().any(char::is_lowercase);
        if is_capitalized && has_small && !begins && bare.chars().count() > 2 {
            names.push(bare.to_owned());
        }
        begins = word.ends_with(['.', '!', '?', ':', ';']);
    }
    names
}

/// Whether a text in lower case holds a name, or the name without the ending of a plural.
fn holds(known: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    known.contains(&name) || name.strip_suffix('s').is_some_and(|stem| known.contains(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_no_source_is_found() {
        let known = "Goal: the cheapest room in rooms.csv\nOrchid, 125 EUR, 40 seats; Basil 1,210.50";
        for (text, want) in [
            ("The cheapest room is Orchid for 125 EUR.", &[][..]),
            ("It costs 1210.5, and Orchid's seats are 40.", &[]),
            ("The cheapest room is Magnolia for 99 EUR.", &["99", "Magnolia"]),
            ("Saved. Rooms were compared. Heather was not.", &[]),
            ("- Orchid\n- Basil", &[]),
            ("1. Orchid: Cheap and large\n2. Basil", &[]),
            ("I took the Room with most Seats and a JSON file.", &[]),
        ] {
            assert_eq!(foreign(text, known), want, "{text}");
        }
    }

    #[test]
    fn figures_that_are_computed_with_are_held_against_the_goal() {
        let known = "a discount of 5 percent, VAT of 21 percent, 2.50 euro per hour";
        assert!(made_up("SELECT x * 0.95 * 1.21, ROUND(y * 2.5, 2), 100.0 * z FROM t.u;", known).is_empty());
        assert_eq!(made_up("SELECT area * 0.15 FROM flats;", known), ["0.15"]);
    }

    #[test]
    fn rounding_makes_no_number_foreign() {
        assert!(foreign("about 3.14", "3.14159").is_empty());
        assert_eq!(foreign("about 3.2", "3.14159"), ["3.2"]);
    }
}
