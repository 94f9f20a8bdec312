//! The only reader of environment variables. Sets none.
#![allow(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

use std::ffi::OsString;
use std::path::PathBuf;

/// The text of the variable `name`; `None` if it is unset, empty or not UTF-8.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The path in the variable `name`; `None` if it is unset or empty.
#[must_use]
pub fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether the variable `name` is true in git's sense (git's `git_parse_maybe_bool`).
#[must_use]
pub fn is_true(name: &str) -> bool {
    let value = text(name).unwrap_or_default().to_ascii_lowercase();
    matches!(value.as_str(), "true" | "yes" | "on")
        || value.parse::<i64>().is_ok_and(|number| number != 0)
}

/// The value of `name` in any encoding; `None` only if it is unset.
#[must_use]
pub fn raw(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The directory of templates that tests count as released.
#[cfg(debug_assertions)]
#[must_use]
pub fn releases() -> Option<PathBuf> {
    path("MAKEINFRA_TEST_RELEASES")
}

/// The file in which tests collect all hints.
#[cfg(debug_assertions)]
#[must_use]
pub fn advice() -> Option<PathBuf> {
    path("MAKEINFRA_TEST_ADVICE")
}

/// The user's home directory.
#[must_use]
pub fn home() -> Option<PathBuf> {
    path("HOME")
}

/// `$XDG_CONFIG_HOME`, otherwise `~/.config` (XDG Base Directory Specification).
#[must_use]
pub fn config_home() -> Option<PathBuf> {
    path("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| home().map(|home| home.join(".config")))
}
