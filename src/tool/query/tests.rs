//! Tables of queries, as models write them, and what comes back.

use super::*;
use crate::tool::Policy;

const SALES: &str = "region,product,amount,qty,day,vip\nNorth,apple,10.10,2,2024-01-05,true\nnorth,pear,20.20,1,2024-01-20,false\n\
                     South,apple,30.30,3,2024-02-03,true\nSouth,fig,n/a,4,2024-02-10,false\nWest,fig,2.675,,2024-03-01,true\n";
const PEOPLE: &str = "id,Full Name,boss\n1,Ann Lee,\n2,Bob Ray,1\n3,Cy Öst,1\n";
const ORDERS: &str = r#"[{"order":1,"person_id":1,"total":5.5},{"order":2,"person_id":2,"total":4},{"order":3,"person_id":1,"total":2}]"#;

fn database() -> Database {
    database_of(&table::Options::default())
}

fn database_of(options: &table::Options) -> Database {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [("sales.csv", SALES), ("people.csv", PEOPLE), ("orders.json", ORDERS)] {
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
    let files = ["sales.csv".into(), "people.csv".into(), "orders.json".into()];
    Database::open(&workspace, &files, options).unwrap()
}

fn run(database: &Database, sql: &str) -> Result<Output, Error> {
    database.run(sql, Instant::now() + Duration::from_secs(5))
}

/// Columns and rows in one line, or the error.
fn shown(result: &Result<Output, Error>) -> String {
    match result {
        Ok(Output { value: Value::Table(table), .. }) => {
            let cell = |cell: &Json| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
            let rows = table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(","));
            std::iter::once(table.columns.join(",")).chain(rows).collect::<Vec<_>>().join(" / ")
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn texts_that_differ_in_case_only_are_the_same_on_demand() {
    let database = database_of(&table::Options { ignores_case: true, ..table::Options::default() });
    let sql = "SELECT SUM(amount) AS total FROM sales GROUP BY region ORDER BY 1";
    assert_eq!(shown(&run(&database, sql)), "total / 2.675 / 30.3 / 30.3");
    assert_eq!(shown(&run(&database, "SELECT COUNT(*) AS n FROM sales WHERE region = 'NORTH'")), "n / 2");
}

#[test]
fn answers() {
    let database = database();
    for (sql, want) in [
        ("SELECT COUNT(*) AS n FROM sales", "n / 4"),
        (
            "select lower(region) r, sum(amount) total from sales group by 1 order by 2 desc, 1;",
            "r,total / north,30.3 / south,30.3 / west,2.675",
        ),
        ("SELECT line, text FROM sales_bad", "line,text / 5,South,fig,n/a,4,2024-02-10,false"),
        // Division is exact, and the name of the column is as written.
        ("SELECT SUM(qty) / COUNT(*) FROM sales", "SUM(qty) / COUNT(*) / 1.5"),
        ("SELECT 100 * COUNT(qty)/COUNT(*) AS share FROM sales", "share / 75"),
        ("SELECT '1/2' AS text, 7 / 2 AS x -- a/b\n", "text,x / 1/2,3.5"),
        ("SELECT ROUND(amount, 2) FROM sales WHERE region = 'West'", "ROUND(amount, 2) / 2.68"),
        (
            "SELECT ROUND(2.5), ROUND(-2.5), ROUND(1234.5, -2), ROUND(1.005, 2), ROUND(NULL, 1)",
            "ROUND(2.5),ROUND(-2.5),ROUND(1234.5, -2),ROUND(1.005, 2),ROUND(NULL, 1) / 3,-3,1200,1.01,null",
        ),
        ("SELECT 0.1 + 0.2 AS x, 1e300 * 1e300 AS y", "x,y / 0.3,null"),
        (
            "SELECT MEDIAN(amount) AS m, ROUND(STDDEV(amount), 3) AS s, MEDIAN(qty) AS q FROM sales",
            "m,s,q / 15.15,12.033,2",
        ),
        // Sums are exact: as binary fractions the first two would differ.
        (
            "SELECT SUM(v) = 30.3 AS same, SUM(v) AS s, AVG(v) AS m, TOTAL(w) AS t, SUM(w) AS n FROM (SELECT 10.1 AS v, NULL AS w UNION ALL SELECT 20.2, NULL)",
            "same,s,m,t,n / 1,30.3,15.15,0,null",
        ),
        (
            "SELECT qty, SUM(qty) OVER (ORDER BY day ROWS 1 PRECEDING) AS run FROM sales WHERE qty > 0",
            "qty,run / 2,2 / 1,3 / 3,4",
        ),
        ("SELECT region FROM sales WHERE region REGEXP '^[NS]' AND product LIKE 'A%'", "region / North / South"),
        (
            "SELECT upper('öst') AS u, initcap('ann LEE') AS i, split_part('a-b-c', '-', 2) AS p, left('abc', 2) AS l, right('abc', 2) AS r",
            "u,i,p,l,r / ÖST,Ann Lee,b,ab,bc",
        ),
        (
            "SELECT year(day) AS y, month(day) AS m, monthname(day) AS n, dayname(day) AS d, datediff('2024-03-01', day) AS gap FROM sales LIMIT 1",
            "y,m,n,d,gap / 2024,1,January,Friday,56",
        ),
        (
            "SELECT strftime('%Y-%m', day) AS month, COUNT(*) AS n FROM sales GROUP BY month",
            "month,n / 2024-01,2 / 2024-02,1 / 2024-03,1",
        ),
        (
            "SELECT p.\"Full Name\" AS name, SUM(o.total) AS sum FROM orders o JOIN people p ON p.id = o.person_id GROUP BY name ORDER BY sum DESC",
            "name,sum / Ann Lee,7.5 / Bob Ray,4",
        ),
        (
            "SELECT a.\"Full Name\", b.\"Full Name\" FROM people a JOIN people b ON a.boss = b.id",
            "Full Name,Full Name_2 / Bob Ray,Ann Lee / Cy Öst,Ann Lee",
        ),
        (
            "WITH t AS (SELECT region, SUM(amount) AS s FROM sales GROUP BY region) SELECT region FROM t WHERE s > 25",
            "region / South",
        ),
        (
            "SELECT product, RANK() OVER (ORDER BY amount DESC) AS place FROM sales ORDER BY place LIMIT 2",
            "product,place / apple,1 / pear,2",
        ),
        ("SELECT vip, COUNT(*) AS n FROM sales WHERE vip = 'true' GROUP BY vip", "vip,n / true,3"),
        (
            "SELECT greatest(1, 3, 2) AS g, least('b', 'a') AS l, printf('%.2f', 1.5) AS p, string_agg(product, '+') AS s FROM sales WHERE qty > 1",
            "g,l,p,s / 3,a,1.50,apple+apple",
        ),
        ("SELECT \"order\" FROM orders ORDER BY total LIMIT 1", "order / 3"),
        ("```sql\nSELECT 1 AS one;\n```", "one / 1"),
        ("SELECT 1 AS x WHERE 1 = 0", "x"),
    ] {
        assert_eq!(shown(&run(&database, sql)), want, "{sql}");
    }
}

#[test]
fn explains_what_is_wrong() {
    let database = database();
    for (sql, want) in [
        (
            "SELECT amout FROM sales",
            "there is no column `amout`; did you mean amount?; the tables are sales(region TEXT, product TEXT, amount REAL, qty INTEGER, day DATE, vip TEXT); ",
        ),
        (
            "SELECT full_name FROM people",
            "there is no column `full_name`; did you mean \"Full Name\"?; the tables are ",
        ),
        (
            "SELECT * FROM sales WHERE region = \"Xyzzy\"",
            "there is no column `Xyzzy`; a text stands in single quotes: 'Xyzzy'; the tables are ",
        ),
        ("SELECT * FROM sale", "there is no table `sale`; did you mean sales?; the tables are "),
        (
            "SELECT medain(amount) FROM sales",
            "there is no function `medain`; did you mean median?; there are count, sum",
        ),
        ("SELECT ifnull(qty) FROM sales", "wrong number of arguments for ifnull; it takes 2"),
        ("SELECT a.id FROM people a JOIN people b ON id = boss", "column `id` is in several tables; write people.id"),
        ("SELECT FROM sales", "syntax error near `FROM`; expected one SQLite SELECT"),
        ("SELECT 1 / FROM sales", "syntax error near `FROM`; expected one SQLite SELECT"),
        ("SELECT 1; SELECT 2", "there are several statements; expected one SELECT"),
        ("", "expected one SELECT, got ``"),
        ("DROP TABLE sales", "expected one SELECT, got `DROP TABLE sales"),
        ("DELETE FROM sales", "expected one SELECT, got `DELETE FROM sales"),
        ("INSERT INTO sales SELECT * FROM sales", "expected one SELECT, got `INSERT INTO sales"),
        ("ATTACH 'x.db' AS x", "expected one SELECT, got `ATTACH 'x.db' AS"),
        ("PRAGMA table_info(sales)", "expected one SELECT, got `PRAGMA table_info(sales)"),
        ("VACUUM INTO 'x.db'", "expected one SELECT, got `VACUUM INTO 'x.db'`"),
        ("WITH t AS (SELECT 1) DELETE FROM sales", "expected one SELECT, got `WITH t AS`"),
        ("SELECT load_extension('x')", "not authorized to use function: load_extension; only SELECT over"),
        ("EXPLAIN SELECT 1", "expected one SELECT, got `EXPLAIN SELECT 1"),
        ("SELECT SUM(product) FROM sales", "sum: `apple` is not a number; the tables are "),
        ("SELECT 'a' REGEXP '('", "`(` is not a regular expression"),
    ] {
        let got = shown(&run(&database, sql));
        assert!(got.starts_with(want), "{sql}:\n{got}");
    }
    // The tables are as they were.
    assert_eq!(shown(&run(&database, "SELECT COUNT(*) AS n FROM sales")), "n / 4");
}

#[test]
fn stops_what_runs_away() {
    let database = database();
    let started = Instant::now();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let result = database.run(endless, started + Duration::from_millis(300));
    assert_eq!(shown(&result), "the query took too long; join on equal columns and filter first");
    assert!(started.elapsed() < Duration::from_secs(3));
    for bomb in
        ["SELECT zeroblob(1000000000)", "SELECT printf('%.*c', 100000000, 'x')", "SELECT hex(zeroblob(3000000))"]
    {
        let got = shown(&run(&database, bomb));
        assert!(got.starts_with("the query makes a text that is too long"), "{bomb}: {got}");
    }
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n";
    let output = run(&database, many).unwrap();
    let Value::Table(table) = &output.value else { panic!("not a table") };
    assert_eq!(table.rows.len(), MAX_ROWS);
    assert_eq!(output.notes, ["only the first 10000 rows of the result are kept"]);
}

#[test]
fn notes_what_was_left_out_and_near_misses() {
    let database = database();
    for (sql, want) in [
        ("SELECT SUM(amount) FROM sales", "sales.csv: 1 of 5 rows left out: line 5 (amount: `n/a` is not a number)"),
        ("SELECT COUNT(*) FROM sales WHERE region = 'south'", "'south' occurs in no column; sales.region has 'South'"),
        (
            "SELECT region FROM sales GROUP BY region",
            "sales.csv: `region` spells the same text in several ways: `North` and `north`",
        ),
    ] {
        let notes = run(&database, sql).unwrap().notes;
        assert!(notes.iter().any(|note| note == want), "{notes:?}");
    }
    assert_eq!(
        run(&database, "SELECT COUNT(*) FROM people WHERE \"Full Name\" = 'Ann Lee'").unwrap().notes,
        Vec::<String>::new()
    );
}

#[test]
fn describes_its_tables() {
    let want = "CREATE TABLE sales ( -- sales.csv, 4 rows\n  region TEXT, -- 'North', 'north', 'South', 'West'\n\
                \x20 product TEXT, -- 'apple', 'pear', 'fig'\n  amount REAL,\n  qty INTEGER,\n\
                \x20 day DATE, -- '2024-01-05' to '2024-03-01'\n  vip TEXT -- 'true', 'false'\n);\n\
                CREATE TABLE sales_bad (line INTEGER, text TEXT, why TEXT); -- 1 row left out of sales\n\n\
                CREATE TABLE people ( -- people.csv, 3 rows\n  id INTEGER,\n\
                \x20 \"Full Name\" TEXT, -- 'Ann Lee', 'Bob Ray', 'Cy Öst'\n  boss INTEGER\n);\n\n\
                CREATE TABLE orders ( -- orders.json, 3 rows\n  \"order\" INTEGER,\n  person_id INTEGER,\n\
                \x20 total REAL\n);\n-- orders.person_id is the id of a row of people\n";
    let database = database();
    assert_eq!(database.schema_text(), want);
    assert_eq!(database.names(), [("sales", "sales.csv"), ("people", "people.csv"), ("orders", "orders.json")]);
    assert_eq!(database.columns().len(), 12);
}

#[test]
fn finds_what_points_into_another_table() {
    let mut database = Database::empty().unwrap();
    let table = |columns: &[&str], rows: &[&[Json]]| Table {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        rows: rows.iter().map(|row| row.to_vec()).collect(),
    };
    let hours = [
        [json!("Ada"), json!("x"), json!(1)],
        [json!("Ben"), json!("y"), json!(2)],
        [json!("Ada"), json!("y"), json!(2)],
    ];
    let rates = [[json!("Ada"), json!(1)], [json!("Ben"), json!(2)], [json!("Cy"), json!(3)]];
    let hours = table(&["who", "project", "n"], &hours.each_ref().map(|row| row.as_slice()));
    let rates = table(&["name", "id"], &rates.each_ref().map(|row| row.as_slice()));
    database.add("hours", "", Loaded::from_values(hours)).unwrap();
    database.add("rates", "", Loaded::from_values(rates)).unwrap();
    assert_eq!(database.links(), [Link { from: (0, 0), to: (1, 0) }], "not `n`, which is no name of an id");
}

#[test]
fn names_tables_for_sql() {
    let mut database = Database::empty().unwrap();
    for (name, want) in [
        ("sales", "sales"),
        ("Sales", "Sales_2"),
        ("sales_bad", "sales_bad_2"),
        ("2024 data-q1", "t_2024_data_q1"),
        ("order", "order_table"),
        ("sqlite_x", "x_table"),
        ("", "t_"),
        ("été", "été"),
    ] {
        let loaded = Loaded {
            table: Table { columns: vec!["x".into()], rows: vec![vec![json!(1)]] },
            types: vec![ColumnType::Integer],
            ..Loaded::default()
        };
        assert_eq!(database.add(name, "", loaded).unwrap(), want);
        assert_eq!(shown(&run(&database, &format!("SELECT x FROM {want}"))), "x / 1");
    }
}

#[test]
fn is_a_tool() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "x\n1\n2\n").unwrap();
    let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
    let context = Context { workspace: &workspace, host: &super::super::NoHost, deadline: Instant::now() + MAX_TIME };
    let tool = tools().remove(0);
    for (arguments, want) in [
        (json!({ "files": ["a.csv"], "sql": "SELECT SUM(x) AS s FROM a" }), "s / 3"),
        (json!({ "files": "a.csv", "sql": "SELECT 1 AS s" }), "s / 1"),
        (json!({ "files": ["b.csv"], "sql": "SELECT 1" }), "b.csv does not exist"),
        (json!({ "files": [], "sql": "SELECT 1" }), "`files` is []; expected a list of paths"),
        (json!({ "files": ["a.csv"] }), "`sql` is null; expected the text of one SELECT"),
    ] {
        assert_eq!(shown(&tool.call(&arguments, &context)), want);
    }
}

/// Whether the grammar takes all of `sql`, and if so whether it is over then; else the part that it takes.
fn parse(lark: &str, sql: &str) -> Result<bool, String> {
    let env = toktrie::ApproximateTokEnv::single_byte_env();
    let factory = llguidance::ParserFactory::new_simple(&env).unwrap();
    let grammar = llguidance::api::TopLevelGrammar::from_lark(lark.to_owned());
    let mut matcher = llguidance::Matcher::new(factory.create_parser(grammar));
    for (at, byte) in sql.bytes().enumerate() {
        if matcher.is_stopped() || !matcher.compute_mask().unwrap().is_allowed(byte.into()) {
            return Err(sql[..at].to_owned());
        }
        matcher.consume_token(byte.into()).unwrap();
    }
    Ok(matcher.is_stopped() || matcher.is_accepting().unwrap() && matcher.compute_mask_or_eos().unwrap().num_set() == 1)
}

#[test]
fn grammar_takes_what_models_write() {
    let database = database();
    let lark = grammar(database.tables());
    for sql in [
        "SELECT * FROM sales;",
        "SELECT region, SUM(amount) AS total FROM sales GROUP BY region ORDER BY total DESC;",
        "SELECT region, SUM(amount) AS total_amount\nFROM sales\nGROUP BY region\nORDER BY total_amount DESC\nLIMIT 1;",
        "SELECT LOWER(region) AS region, COUNT(*) AS n FROM sales GROUP BY LOWER(region);",
        "SELECT COUNT(*) FROM sales WHERE vip = 'true';",
        "SELECT COUNT(DISTINCT product) FROM sales;",
        "SELECT AVG(amount) FROM sales WHERE day BETWEEN '2024-01-01' AND '2024-01-31';",
        "SELECT product, ROUND(AVG(amount), 2) AS avg_amount FROM sales GROUP BY product HAVING COUNT(*) > 1;",
        "SELECT strftime('%Y-%m', day) AS month, SUM(amount * qty) AS revenue FROM sales GROUP BY month ORDER BY month;",
        "SELECT strftime('%m', day) AS month, SUM(amount) FROM sales GROUP BY strftime('%m', day);",
        "SELECT DISTINCT region FROM sales ORDER BY region ASC;",
        "SELECT region FROM sales WHERE product LIKE 'a%' AND amount IS NOT NULL;",
        "SELECT region FROM sales WHERE product IN ('apple', 'fig') OR NOT qty > 2;",
        "SELECT region FROM sales WHERE product NOT IN ('apple') AND qty IS NULL;",
        "SELECT region, CASE WHEN amount > 20 THEN 'big' ELSE 'small' END AS size FROM sales;",
        "SELECT SUM(CASE WHEN vip = 'true' THEN amount ELSE 0 END) AS vip_total FROM sales;",
        "SELECT SUM(amount) FILTER (WHERE vip = 'true') AS vip_total FROM sales;",
        "SELECT 100.0 * SUM(qty) / COUNT(*) AS share FROM sales;",
        "SELECT CAST(amount AS INTEGER) AS whole FROM sales;",
        "SELECT region || ' ' || product AS label FROM sales;",
        "SELECT (amount - qty) * 2 AS x FROM sales WHERE (qty + 1) * -2 < 5;",
        "SELECT MAX(amount), MIN(day) FROM sales;",
        "SELECT product FROM sales WHERE amount = (SELECT MAX(amount) FROM sales);",
        "SELECT product FROM sales WHERE amount >= 20 AND qty <> 3 AND qty != 4;",
        "SELECT sales.region FROM sales WHERE sales.amount > 1;",
        "SELECT s.region, s.amount FROM sales s WHERE s.qty = 1;",
        "SELECT s.region FROM sales AS s;",
        "SELECT p.\"Full Name\", SUM(o.total) AS spent FROM people p JOIN orders o ON p.id = o.person_id GROUP BY p.\"Full Name\";",
        "SELECT people.\"Full Name\" FROM people LEFT JOIN orders ON people.id = orders.person_id WHERE orders.total IS NULL;",
        "SELECT t1.\"Full Name\" FROM people t1 JOIN people t2 ON t1.boss = t2.id;",
        "SELECT \"order\" FROM orders ORDER BY total DESC LIMIT 3;",
        "SELECT region, amount, RANK() OVER (PARTITION BY region ORDER BY amount DESC) AS place FROM sales;",
        "SELECT day, SUM(amount) OVER (ORDER BY day) AS running FROM sales;",
        "SELECT region FROM sales UNION ALL SELECT product FROM sales ORDER BY region;",
        "WITH t AS (SELECT region, SUM(amount) AS total FROM sales GROUP BY region) SELECT region, total FROM t WHERE total > 20;",
        "WITH t AS (\n  SELECT region, SUM(amount) AS total\n  FROM sales\n  GROUP BY region\n)\nSELECT t.region, MAX(t.total)\nFROM t;",
        "WITH a1 AS (SELECT qty FROM sales), b1 AS (SELECT qty FROM a1) SELECT AVG(qty) FROM b1;",
        "SELECT line, text, why FROM sales_bad;",
        "SELECT julianday('2024-03-01') - julianday(day) AS days FROM sales;",
        "SELECT date(day, '+1 month') AS next FROM sales WHERE EXISTS (SELECT * FROM orders WHERE total > 3);",
        "SELECT GROUP_CONCAT(product, ', ') AS products, COALESCE(qty, 0), SUBSTR(day, 1, 7), TRIM(region), PRINTF('%.2f', amount) FROM sales;",
        "SELECT region, COUNT(*) AS n FROM sales GROUP BY region HAVING n > 1 ORDER BY n DESC, region ASC;",
        "SELECT product, MEDIAN(amount) AS middle FROM sales WHERE region = 'it''s' GROUP BY 1 ORDER BY 2 DESC;",
    ] {
        assert_eq!(parse(&lark, sql), Ok(true), "{sql}");
        // What the grammar takes, SQLite takes.
        run(&database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn grammar_refuses_what_the_result_is_not_for() {
    let one = grammar_of(
        database().tables(),
        Shape { may_limit: true, may_group: false, may_filter: true, of_damaged: false },
    );
    let all = grammar_of(
        database().tables(),
        Shape { may_limit: false, may_group: true, may_filter: false, of_damaged: false },
    );
    assert_eq!(
        parse(&one, "SELECT SUM(amount) FROM sales GROUP BY region;"),
        Err("SELECT SUM(amount) FROM sales ".into())
    );
    assert_eq!(
        parse(&all, "SELECT region FROM sales LIMIT 3;"),
        Err("SELECT region FROM sales L".into()),
        "not LIMIT, but LEFT"
    );
    assert_eq!(parse(&one, "SELECT region FROM sales ORDER BY amount LIMIT 3;"), Ok(true));
    assert!(parse(&all, "SELECT SUM(amount) FROM sales WHERE amount > 3;").is_err());
}

#[test]
fn grammar_refuses_what_does_not_exist() {
    let lark = grammar(database().tables());
    for (sql, taken) in [
        ("SELECT revenue FROM sales;", "SELECT re"),
        ("SELECT SUM(price) FROM sales;", "SELECT SUM(pri"),
        ("SELECT region FROM shops;", "SELECT region FROM s"),
        ("SELECT sales.total FROM sales;", "SELECT sales."),
        ("SELECT region FROM sales WHERE city = 'x';", "SELECT region FROM sales WHERE c"),
        ("SELECT Full Name FROM people;", "SELECT F"),
        ("SELECT medianx(qty) FROM sales;", "SELECT median"),
        ("SELECT ifnull(qty) FROM sales;", "SELECT ifnull(qty"),
        ("SELECT region  FROM sales;", "SELECT region "),
        ("SELECTregion FROM sales;", "SELECT"),
        ("SELECT region FROM sales; DROP", "SELECT region FROM sales;"),
        ("DELETE FROM sales;", ""),
    ] {
        assert_eq!(parse(&lark, sql), Err(taken.to_owned()), "{sql}");
    }
}
