//! Draws files as a tree.

use std::fmt::Write;

/// Draws `files`, sorted paths with a note each, below the directory `root`.
#[must_use]
pub fn tree(root: &str, files: &[(&str, String)]) -> String {
    let width =
        files.iter().map(|(path, _)| indent(path) + last(path).chars().count()).max().unwrap_or(0);
    let mut out = format!("{root}/\n");
    let mut open: Vec<&str> = Vec::new();
    for (at, (path, note)) in files.iter().enumerate() {
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop().unwrap_or_default();
        let shared = parts.iter().zip(&open).take_while(|(a, b)| a == b).count();
        for depth in shared..parts.len() {
            let line = format!("{}{}/", branches(files, at, &parts[..=depth]), parts[depth]);
            let _ = writeln!(out, "{line}");
        }
        let all: Vec<&str> = parts.iter().copied().chain([name]).collect();
        let pad = width - indent(path) - name.chars().count();
        let line = format!("{}{name}{:pad$}  {}", branches(files, at, &all), "", note);
        let _ = writeln!(out, "{}", line.trim_end());
        open = parts;
    }
    out
}

/// The branches before the last of `parts`, which is, or leads to, the file with the index `at`.
fn branches(files: &[(&str, String)], at: usize, parts: &[&str]) -> String {
    let mut line = String::new();
    for depth in 1..=parts.len() {
        let (parent, here) = (parts[..depth - 1].join("/"), parts[..depth].join("/"));
        // Whether the same directory has further entries below.
        let below = |path: &str, dir: &str| {
            dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
        };
        let more = files[at + 1..]
            .iter()
            .any(|(path, _)| below(path, &parent) && *path != here && !below(path, &here));
        line.push_str(match (depth == parts.len(), more) {
            (true, true) => "├── ",
            (true, false) => "└── ",
            (false, true) => "│   ",
            (false, false) => "    ",
        });
    }
    line
}

fn indent(path: &str) -> usize {
    4 * path.matches('/').count()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_directories_once() {
        let files = [
            (".a", "1 B".to_owned()),
            ("b/c/d", "22 B".into()),
            ("b/e", String::new()),
            ("f", "3 B".into()),
        ];
        assert_eq!(
            tree("x", &files),
            "x/\n\
             ├── .a         1 B\n\
             ├── b/\n\
             │   ├── c/\n\
             │   │   └── d  22 B\n\
             │   └── e\n\
             └── f          3 B\n"
        );
    }
}
