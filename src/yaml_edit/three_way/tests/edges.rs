//! What the larger tests leave to chance.

use super::*;

#[test]
fn what_looks_like_a_comment_in_a_scalar_is_none() {
    let [base, ours] = ["k: 1\na: \"x # y\"\n", "k: 1\na: 'x # y'\nu: 1\n"];
    assert_eq!(merged(base, ours, "k: 1\n"), "k: 1\nu: 1\n");
}

#[test]
fn comments_of_ours_and_in_another_form_stay() {
    for (base, ours, theirs, expected) in [
        ("a: 1 # one\n", "a: 1 # mine\nu: 1\n", "a: 1 # two\n", "a: 1 # mine\nu: 1\n"),
        ("a: # old\n  b: 1\n", "a: # old\n  b: 1\nu: 1\n", "a: {b: 1} # new\n", "a: # old\n  b: 1\nu: 1\n"),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{ours}");
    }
}

#[test]
fn the_end_of_a_file_without_a_line_break_stays() {
    for (base, ours, theirs, expected) in [
        ("a: 1\n", "a: 1\nu: 1", "a: 1\n# t\n", "a: 1\nu: 1"),
        ("a: 1\n# t", "a: 2\n# t", "a: 1\nb: 1\n# t\n", "a: 2\nb: 1\n# t"),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{ours}");
    }
}

#[test]
fn items_come_into_a_list_that_ours_has_in_another_order() {
    let list = |names: &[&str]| names.iter().map(|name| format!("  - name: {name}\n")).collect::<String>();
    let env = |names: &[&str]| format!("env:\n{}", list(names));
    assert_eq!(merged(&env(&["a", "b"]), &env(&["b", "a"]), &env(&["a", "b", "c"])), env(&["b", "c", "a"]));
}
