use super::*;
use std::collections::BTreeSet;

#[test]
fn ids_are_kebab_case_and_unlike_each_other() {
    let ids: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.id()).collect();
    assert_eq!(ids.len(), Cause::ALL.len());
    assert!(
        ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')),
        "{ids:?}"
    );
}

#[test]
fn nothing_is_without_advice() {
    for cause in Cause::ALL {
        let (sentence, hint) = cause.words();
        assert!(!sentence.is_empty() && !hint.is_empty(), "{}", cause.id());
        assert!(!sentence.ends_with('.') && !hint.ends_with('.'), "{}", cause.id());
    }
}
