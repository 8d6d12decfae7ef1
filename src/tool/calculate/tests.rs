//! Tables: expressions and their values or errors.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::Value;
use super::evaluate;

/// Numbers are shown as JSON, texts as they are, errors with `!`.
fn shown(expression: &str) -> String {
    match evaluate(expression) {
        Ok(Value::Json(json)) => json.to_string(),
        Ok(Value::Text(text)) => text,
        Ok(other) => format!("{other:?}"),
        Err(mistake) => format!("!{mistake}"),
    }
}

/// `want` starting with `…` is a part of what is shown.
fn check(rows: &[(&str, &str)]) {
    for (expression, want) in rows {
        let got = shown(expression);
        let fits = want.strip_prefix('…').map_or(got == *want, |part| got.contains(part));
        assert!(fits, "{expression}\n got  {got}\n want {want}");
    }
}

#[test]
fn arithmetic() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("0.1 + 0.2", "0.3"),
        ("0.1 * 3", "0.3"),
        ("1 / 3", "0.333333333333333"),
        ("2 / 3 * 3", "2"),
        ("10 / 4", "2.5"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("7 % 3", "1"),
        ("-7 % 3", "2"),
        ("7 % -3", "-2"),
        ("7%3", "1"),
        ("2 ^ 10", "1024"),
        ("2 ** 3 ** 2", "512"),
        ("-2 ^ 2", "-4"),
        ("2 ^ -2", "0.25"),
        ("2 ^ 0.5", "1.4142135623731"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("--3", "3"),
        ("1.50", "1.5"),
        (".5 + 1.", "1.5"),
        ("1e3 + 2.5E-1", "1000.25"),
        ("1200.00", "1200"),
        ("12345678901234567890 * 2", "24691357802469135780"),
        ("0.1234567890123456789 * 1", "0.1234567890123456789"),
        ("1234567890123456.78 / 3 * 3", "1234567890123456.78"),
        ("0", "0"),
        ("-0.0", "0"),
    ]);
}

#[test]
fn percentages() {
    check(&[
        ("5%", "0.05"),
        ("200 * 5%", "10"),
        ("200 * 5 %", "10"),
        ("5% of 200", "10"),
        ("5 % of 200", "10"),
        ("(2 + 3)% * 100", "5"),
        ("80 * (1 - 10%)", "72"),
        ("80 * (1 + 7.5%)", "86"),
        ("5% + 3%", "0.08"),
        ("100% - 19%", "0.81"),
        ("200 * 5% - 3", "7"),
        ("100 + 5%", "!column 5: a percentage of what? to change 100 by a percentage write 100 * (1 + …%)"),
        ("100 - 5%", "…write 100 * (1 - …%)"),
        ("5% < 0.1", "true"),
        ("1h * 50%", "30min"),
    ]);
}

#[test]
fn functions() {
    check(&[
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(3 * 19.99 * 1.19, 2)", "71.36"),
        ("round(1234.5, -2)", "1200"),
        ("round(1/3, 4)", "0.3333"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("abs(-3.2)", "3.2"),
        ("min(3, 1, 2)", "1"),
        ("MAX(3, 1, 2)", "3"),
        ("sum(1, 2.5, 3)", "6.5"),
        ("avg(1, 2, 4)", "2.33333333333333"),
        ("mean([1, 2, 3])", "2"),
        ("sum([1, 2], [3])", "6"),
        ("sum(1h, 30min)", "1h 30min"),
        ("max(90min, 1h)", "1h 30min"),
        ("sqrt(16)", "4"),
        ("sqrt(2)", "1.4142135623731"),
        ("round(1.005, 2)", "1.01"),
        ("sum(120, 340)", "460"),
        ("round(2.5, 1h)", "!column 1: expected a whole number, got the time 1h"),
        ("round(1, 2, 3)", "!column 1: round does not take 3 arguments"),
        ("sum()", "!column 1: sum does not take 0 arguments"),
        ("sqrt(-1)", "!column 1: -1 has no square root"),
        ("foo(1)", "…there is no function foo; there are round, floor"),
    ]);
}

#[test]
fn times() {
    check(&[
        ("1h 30min + 45min", "2h 15min"),
        ("90 min", "1h 30min"),
        ("2 hours 5 minutes 10 seconds", "2h 5min 10s"),
        ("1h / 40min", "1.5"),
        ("8h * 5", "40h"),
        ("3 * 20 min", "1h"),
        ("10h / 4", "2h 30min"),
        ("30min - 1h", "-30min"),
        ("1.5 s", "1.5s"),
        ("1h - 60min", "0s"),
        ("hours(90min)", "1.5"),
        ("minutes(1h 30min)", "90"),
        ("days(36h)", "1.5"),
        ("2 days", "2 days"),
        ("2 weeks + 1 day", "15 days"),
        ("1 day + 2h", "26h"),
        ("round(hours(100min), 1)", "1.7"),
        ("1h > 59min", "true"),
        ("1h + 5", "!column 4: units do not match: the time 1h + the number 5"),
        ("1h - 5", "!column 4: units do not match: the time 1h - the number 5"),
        ("1h * 1h", "…units do not match"),
        ("5 / 1h", "…units do not match"),
        ("1h < 5", "…units do not match"),
        ("5 km", "!column 3: unknown unit `km`; units of time are h, min, s, days, weeks; leave other units out"),
        ("5m", "…write min for minutes"),
        ("14:30 - 9:15", "5h 15min"),
        ("\"09:15\" + 45 min", "10:00"),
        ("23:30 + 1h", "00:30"),
    ]);
}

#[test]
fn dates() {
    check(&[
        ("days_between(\"2025-03-01\", \"2025-04-15\")", "45"),
        ("days_between(2025-04-15, 2025-03-01)", "-45"),
        ("days_between('2024-02-28', '2024-03-01')", "2"),
        ("2025-04-15 - 2025-03-01", "45 days"),
        ("\"2025-04-15\" - \"2025-03-01\"", "45 days"),
        ("2025-03-01 + 30 days", "2025-03-31"),
        ("2025-03-01 - 1 day", "2025-02-28"),
        ("2025-03-01 + 36h", "2025-03-02 12:00"),
        ("\"2025-03-01 10:00\" - \"2025-02-28 09:30\"", "24h 30min"),
        ("2025-03-01T10:00 + 90min", "2025-03-01 11:30"),
        ("add_days(\"2025-12-30\", 3)", "2026-01-02"),
        ("add_days(\"2025-12-30\", -3)", "2025-12-27"),
        ("add_months(2025-01-31, 1)", "2025-02-28"),
        ("add_years(2024-02-29, 1)", "2025-02-28"),
        ("weekday(2025-03-01)", "Saturday"),
        ("working_days_between(2025-03-03, 2025-03-10)", "5"),
        ("working_days_between(2025-03-07, 2025-03-10)", "1"),
        ("working_days_between(2025-03-01, 2025-03-03)", "0"),
        ("working_days_between(2025-03-10, 2025-03-03)", "-5"),
        ("working_days_between(2025-01-01, 2026-01-01)", "261"),
        ("add_working_days(2025-03-07, 1)", "2025-03-10"),
        ("add_working_days(2025-03-07, 10)", "2025-03-21"),
        ("add_working_days(2025-03-08, 1)", "2025-03-10"),
        ("add_working_days(2025-03-08, 5)", "2025-03-14"),
        ("add_working_days(2025-03-10, -1)", "2025-03-07"),
        ("add_working_days(2025-03-09, -5)", "2025-03-03"),
        ("2025-03-01 < 2025-03-02", "true"),
        ("max(2025-03-01, 2025-03-02)", "2025-03-02"),
        ("days_between(today(), today())", "0"),
        ("2025-13-01 + 1 day", "…units do not match: the text \"2025-13-01\""),
        (
            "days_between(\"01.03.2025\", 2025-04-15)",
            "!column 1: expected a date such as 2025-03-01, got the text \"01.03.2025\"",
        ),
        ("2025-03-01 + 5", "…units do not match: a date 2025-03-01 + the number 5"),
        ("2025-03-01 + 2025-03-01", "…units do not match"),
        ("2025-03-01 - 14:00", "…units do not match"),
        ("add_days(2025-03-01, 9999999)", "…outside of the years"),
        ("add_days(2025-03-01, 1.5)", "…expected a whole number, got the number 1.5"),
    ]);
}

#[test]
fn comparisons() {
    check(&[
        ("2 + 2 = 4", "true"),
        ("2 + 2 == 4.0", "true"),
        ("1 != 1", "false"),
        ("3 >= 2", "true"),
        ("3 ≤ 2", "false"),
        ("\"a\" = \"a\"", "true"),
        ("1 < 2 < 3", "!column 7: expected an operator or the end, found `<`"),
    ]);
}

#[test]
fn mistakes_name_the_column() {
    check(&[
        ("", "!column 1: expected a number, found the end"),
        ("1 +", "!column 4: expected a number, found the end"),
        ("1 + * 2", "!column 5: expected a number, found `*`"),
        ("(1 + 2", "!column 7: expected ), found the end"),
        ("1 + 2)", "!column 6: expected an operator or the end, found `)`"),
        ("1 2", "!column 3: expected an operator or the end, found the number 2"),
        ("10 / (5 - 5)", "!column 4: division by zero"),
        ("5 % 0", "!column 3: division by zero"),
        ("0 ^ -1", "!column 3: division by zero"),
        ("1,234 + 1", "!column 1: 1,234 has a thousands separator; write 1234; to separate two arguments write 1, 234"),
        ("2 * 1_000", "!column 5: 1_000 has a thousands separator; write 1000"),
        ("max(1,200, 5)", "…1,200 has a thousands separator"),
        ("1.234.567", "…has two points"),
        ("3,5 + 1", "!column 2: a comma outside of a function; decimals have a point, thousands no separator"),
        ("$5 + 1", "!column 1: $ is no part of a number; leave currency signs out"),
        ("5 € * 2", "!column 3: € is no part of a number; leave currency signs out"),
        ("price * 2", "!column 1: `price` is not a number; names stand only for functions, as in round(2.5)"),
        ("ä # 2", "!column 3: '#' is not part of an expression"),
        ("\"abc", "!column 1: the text has no closing \""),
        ("6 : 2", "!column 3: a colon does not divide; write /"),
        ("9 ^ 999", "!column 3: the result has more than 28 digits"),
        ("123456789012345678901234567890", "…has more than 28 digits"),
        ("1e99", "…has more than 28 digits"),
        ("(-8) ^ 0.5", "…a negative number has no power with a fraction"),
    ]);
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    check(&[
        (&deep, "…too many brackets or signs inside each other"),
        (&"-".repeat(1000), "…too many brackets or signs"),
    ]);
    check(&[(&format!("sum({}", "[".repeat(1000)), "…too many brackets inside each other")]);
}

#[test]
fn results_are_numbers_where_json_holds_them_exactly() {
    assert_eq!(evaluate("0.1 + 0.2"), Ok(Value::Json(Json::from(0.3))));
    assert_eq!(evaluate("6 / 2"), Ok(Value::Json(Json::from(3))));
    assert_eq!(evaluate("0.1234567890123456789"), Ok(Value::Text("0.1234567890123456789".into())));
}

proptest! {
    /// Nothing that can be typed makes the evaluator panic or hang.
    #[test]
    fn any_text_is_survived(text in "([0-9.,:% ^*/+()-]|round|sqrt|avg|days|h |min|2025-03-01|e9|\\[|\\]|\"|ä|<|=){0,24}") {
        let _ = evaluate(&text);
    }

    /// Sums and products of decimals with few digits are exact.
    #[test]
    fn decimals_are_exact(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
        let cents = |n: i64| format!("({}{}.{:02})", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
        let sum = shown(&format!("({} + {}) * 100", cents(a), cents(b)));
        prop_assert_eq!(sum, (a + b).to_string());
        let product = shown(&format!("{} * {} * 10000", cents(a), cents(b)));
        prop_assert_eq!(product, (a * b).to_string());
    }
}
