//! The README's picture is a real run: the command's own output, colours included, as SVG.

use super::examples::{repo, update};
use super::support::{IMAGE, Sandbox, TOKEN, USER};
use std::fmt::Write;
use std::fs;

const FILE: &str = "examples/new.svg";
const LINE: usize = 19;

/// A real run, as a terminal would show it; what is random in it is made the same every time.
fn run() -> String {
    let sandbox = Sandbox::new();
    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-stdin"];
    let command =
        format!("makeinfra {} \\\n    {} < token", args[..4].join(" "), args[4..].join(" "));
    let output = sandbox.makeinfra(&args).stdin(TOKEN).env("CLICOLOR_FORCE", "1").success();
    assert!(output.stderr.is_empty(), "{}", output.stderr);
    let (before, after) = output.stdout.split_once("committed as ").unwrap();
    format!("\u{1b}[32m$\u{1b}[0m {command}\n{before}committed as 5eed1dea{}", &after[8..])
}

/// One line of terminal text as SVG spans: colours of the sixteen, bold, dim.
fn spans(line: &str) -> String {
    let mut out = String::new();
    for (at, part) in line.split("\u{1b}[").enumerate() {
        let (class, text) = match (at, part.split_once('m')) {
            (0, _) | (_, None) => ("", part),
            (_, Some(("1", text))) => ("b", text),
            (_, Some(("2", text))) => ("d", text),
            (_, Some(("32", text))) => ("g", text),
            (_, Some((_, text))) => ("", text),
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        if !text.is_empty() {
            write!(out, r#"<tspan class="{class}">{text}</tspan>"#).unwrap();
        }
    }
    out
}

fn svg(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let (width, height) = (960, lines.len() * LINE + 70);
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="A run of makeinfra new">
<style>text{{font:14px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d8dee9;white-space:pre}}.b{{font-weight:bold;fill:#fff}}.d{{fill:#8a94a6}}.g{{fill:#a3be8c}}</style>
<rect width="{width}" height="{height}" rx="10" fill="#20242c"/>
<circle cx="24" cy="22" r="6" fill="#bf616a"/><circle cx="44" cy="22" r="6" fill="#ebcb8b"/><circle cx="64" cy="22" r="6" fill="#a3be8c"/>
"##
    );
    for (at, line) in lines.iter().enumerate() {
        let y = 58 + at * LINE;
        writeln!(out, r#"<text x="24" y="{y}" xml:space="preserve">{}</text>"#, spans(line))
            .unwrap();
    }
    out + "</svg>\n"
}

#[test]
fn the_picture_in_the_readme_is_a_real_run() {
    let picture = svg(&run());
    if update() {
        fs::write(repo(FILE), &picture).unwrap();
    }
    let kept = fs::read_to_string(repo(FILE)).unwrap_or_default();
    assert_eq!(picture, kept, "run `make examples` and look at {FILE}");
}
