//! The README's picture is a real run: the commands' own output, colours included, as SVG.

use super::diagnose::{broken, recorded};
use super::examples::{repo, update};
use super::support::{IMAGE, Run, Sandbox, TOKEN};
use std::fmt::Write;
use std::fs;

const FILE: &str = "examples/run.svg";
/// The height of a line in pixels, and the columns of the terminal.
const LINE: usize = 19;
const COLUMNS: usize = 108;
/// The lines of `new` that are shown: without its list of files.
const LAST: usize = 11;
/// What made a kubelet say `failed to fetch anonymous token: 403 Forbidden` to the author of the post.
const POST: &str = "auths-wrapper-under-dockercfg";

/// Text with its class: colours of the sixteen, bold, dim.
type Span = (&'static str, String);

/// Real runs, as a terminal would show them; what is random in them is made the same every time.
fn runs() -> String {
    let sandbox = Sandbox::new();
    let name = |number: u8| format!("gitlab+deploy-token-{number}");
    let mut text = String::new();
    let new = ["new", "hello", "--image", IMAGE, "--token-username", &name(1), "--token-stdin"];
    let said = colours(sandbox.makeinfra(&new).stdin(TOKEN)).success().stdout;
    let (first, rest) = (typed(&new[..4]), new[4..].join(" "));
    prompt(&mut text, &format!("{first} \\\n    {rest} < token | tail -n {LAST}"));
    let lines: Vec<_> = said.lines().collect();
    text.push_str(&lines[lines.len() - LAST..].join("\n"));

    let rotate = ["rotate", "--token-username", &name(2), "--token-stdin", "--commit"];
    let said = in_hello(&sandbox, &rotate).stdin("gldt-the-next-one").success().stdout;
    text.push('\n');
    prompt(&mut text, &format!("cd hello-infra && {} < new-token", typed(&rotate)));
    text.push_str(&said);
    prompt(&mut text, "makeinfra check");
    text.push_str(&in_hello(&sandbox, &["check"]).success().stdout);

    let post = broken(POST);
    let diagnose = ["diagnose", "--events", &recorded(POST)];
    let said = in_hello(&post, &diagnose).failure(1).stdout;
    text.push_str("\n\u{1b}[2m# in a repository made by hand, whose image is not pulled\u{1b}[0m");
    prompt(&mut text, "kubectl get pods,events -o json | makeinfra diagnose --events -");
    text.push_str(&said);
    text
}

fn colours(run: Run) -> Run {
    run.env("CLICOLOR_FORCE", "1")
}

fn in_hello(sandbox: &Sandbox, args: &[&str]) -> Run {
    colours(sandbox.makeinfra(args).cwd(sandbox.work("hello-infra")))
}

fn typed(args: &[&str]) -> String {
    format!("makeinfra {}", args.join(" "))
}

/// Adds `command` behind a prompt, after a blank line.
fn prompt(text: &mut String, command: &str) {
    let bold = |line: &str| format!("\u{1b}[1m{line}\u{1b}[0m\n");
    let lines: String = command.lines().map(bold).collect();
    write!(text, "\n\u{1b}[32m$\u{1b}[0m {lines}").unwrap();
}

/// `text` with the ids of commits made the same.
fn same_commits(text: &str) -> String {
    let mut parts = text.split("committed as ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| format!("{text}committed as 5eed1dea{}", &part[8..]))
}

/// A line of terminal text as spans.
fn spans(line: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut class = "";
    for (at, part) in line.split("\u{1b}[").enumerate() {
        let (code, text) = part.split_once('m').filter(|_| at > 0).unwrap_or(("", part));
        class = match code {
            "" => class,
            // A colour that is bold, too.
            "1" if !class.is_empty() => class,
            "1" => "b",
            "2" => "d",
            "31" => "r",
            "32" => "g",
            "33" => "y",
            "36" => "c",
            "0" => "",
            other => panic!("no class for {other}"),
        };
        if !text.is_empty() {
            found.push((class, text.to_owned()));
        }
    }
    found
}

/// `spans` in lines of at most [`COLUMNS`], broken between words.
fn wrapped(spans: Vec<Span>) -> Vec<Vec<Span>> {
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    for (class, text) in spans {
        for word in text.split_inclusive(' ') {
            let width = word.chars().count();
            if column > 0 && column + word.trim_end().chars().count() > COLUMNS {
                lines.push(Vec::new());
                column = 0;
            }
            column += width;
            let line: &mut Vec<Span> = lines.last_mut().unwrap();
            match line.last_mut().filter(|last| last.0 == class) {
                Some(last) => last.1.push_str(word),
                None => line.push((class, word.to_owned())),
            }
        }
    }
    lines
}

fn svg(text: &str) -> String {
    let lines: Vec<_> = text.trim_start().lines().flat_map(|line| wrapped(spans(line))).collect();
    let (width, height) = (960, lines.len() * LINE + 70);
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="Runs of makeinfra new, rotate, check and diagnose">
<style>text{{font:14px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d8dee9;white-space:pre}}.b{{font-weight:bold;fill:#fff}}.d{{fill:#8a94a6}}.r{{font-weight:bold;fill:#bf616a}}.g{{fill:#a3be8c}}.y{{font-weight:bold;fill:#ebcb8b}}.c{{font-weight:bold;fill:#88c0d0}}</style>
<rect width="{width}" height="{height}" rx="10" fill="#20242c"/>
<circle cx="24" cy="22" r="6" fill="#bf616a"/><circle cx="44" cy="22" r="6" fill="#ebcb8b"/><circle cx="64" cy="22" r="6" fill="#a3be8c"/>
"##
    );
    for (at, line) in lines.iter().enumerate() {
        let y = 58 + at * LINE;
        write!(out, r#"<text x="24" y="{y}" xml:space="preserve">"#).unwrap();
        for (class, text) in line {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            write!(out, r#"<tspan class="{class}">{text}</tspan>"#).unwrap();
        }
        out.push_str("</text>\n");
    }
    out + "</svg>\n"
}

#[test]
fn the_picture_in_the_readme_is_a_real_run() {
    let picture = svg(&same_commits(&runs()));
    if update() {
        fs::write(repo(FILE), &picture).unwrap();
    }
    let kept = fs::read_to_string(repo(FILE)).unwrap_or_default();
    assert_eq!(picture, kept, "run `make examples` and look at {FILE}");
}
