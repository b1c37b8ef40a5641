//! Each mistake is an error at the developer's own words that says what to do. After a change,
//! `TRYBUILD=overwrite cargo test -p chancery-contract-macros --test mistakes` writes down what is said.

#[test]
fn mistakes_are_named_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
