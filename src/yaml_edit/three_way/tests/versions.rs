//! Random versions of kustomizations and Deployments.

use proptest::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Base, ours and theirs, and whether comments of ours or a different item order may prevent a
/// merge.
pub(super) fn versions() -> impl Strategy<Value = (String, String, String, bool)> {
    let layout = || prop::sample::select(vec![(2, 2), (2, 0), (4, 2), (4, 4)]);
    (any::<[u64; 3]>(), any::<[bool; 5]>(), layout(), layout()).prop_map(
        |(seeds, [deployment, has_own, reorders, crlf, is_open], layout, other)| {
            let base = Version {
                seed: seeds[0],
                change: None,
                comments: Comments::Template,
                reorders,
                layout,
            };
            let theirs = Version { change: Some(seeds[1]), ..base };
            let ours = Version {
                change: Some(seeds[2]),
                comments: if has_own { Comments::Edited } else { Comments::Kept },
                layout: other,
                ..base
            };
            let ours = ours.text(deployment);
            let ours = if is_open { ours.trim_end().to_owned() } else { ours };
            let ours = if crlf { ours.replace('\n', "\r\n") } else { ours };
            (base.text(deployment), ours, theirs.text(deployment), has_own || reorders)
        },
    )
}

/// One version of a file. The value at a path is determined by `seed`, and in one of eight cases by
/// `change`.
#[derive(Debug, Clone, Copy)]
struct Version {
    seed: u64,
    change: Option<u64>,
    comments: Comments,
    /// Whether list items are reordered.
    reorders: bool,
    /// The indentation of mappings and of dashes.
    layout: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comments {
    Template,
    /// Unchanged, whatever else the user changed.
    Kept,
    /// Some removed, some changed, and some added by the user.
    Edited,
}

enum Tree {
    Scalar(String),
    /// The header of a block scalar and its lines.
    Text(&'static str, Vec<String>),
    Map(Vec<(&'static str, Tree)>),
    List(Vec<Tree>),
}

fn hash(value: impl Hash) -> usize {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    usize::try_from(hasher.finish() >> 33).unwrap()
}

impl Version {
    fn pick(&self, path: &str, count: usize) -> usize {
        match self.change.filter(|change| hash((change, path, "changes")) % 8 == 0) {
            Some(change) => hash((change, path)) % count,
            None => hash((self.seed, path)) % count,
        }
    }

    fn one_of(&self, path: &str, values: &[&str]) -> Tree {
        Tree::Scalar(values[self.pick(path, values.len())].to_owned())
    }

    /// A mapping of those of `fields` that this version has, in one of two orders.
    fn map(&self, path: &str, fields: Vec<(&'static str, Tree)>) -> Tree {
        let has = |key: &str| key == "name" || self.pick(&format!("{path}.{key}?"), 5) > 0;
        let mut fields: Vec<_> = fields.into_iter().filter(|(key, _)| has(key)).collect();
        if self.pick(&format!("{path} order"), 4) == 0 {
            fields.reverse();
        }
        Tree::Map(fields)
    }

    fn list(&self, path: &str, names: &[&str], item: impl Fn(&str, &str) -> Tree) -> Tree {
        let has = |name: &&&str| self.pick(&format!("{path}[{name}]?"), 3) > 0;
        let items = names.iter().filter(has).map(|name| item(&format!("{path}[{name}]"), name));
        let mut items: Vec<_> = items.collect();
        if self.reorders && self.pick(&format!("{path} order"), 4) == 0 {
            items.reverse();
        }
        Tree::List(items)
    }

    fn set(&self, path: &str) -> Tree {
        self.list(path, &["a.yaml", "b.yaml", "../c", "'d e'", "f"], |_, name| {
            Tree::Scalar(name.to_owned())
        })
    }

    fn kustomization(&self) -> Tree {
        let values = ["x", "\"y\"", "'z'", "3"];
        let named = |path: &str, name: &str| {
            let fields = vec![
                ("name", Tree::Scalar(name.to_owned())),
                ("newTag", self.one_of(&format!("{path}.newTag"), &values)),
                ("files", self.set(&format!("{path}.files"))),
                (
                    "literals",
                    self.list(&format!("{path}.literals"), &["A=1", "B=2"], |_, one| {
                        Tree::Scalar(one.to_owned())
                    }),
                ),
            ];
            self.map(path, fields)
        };
        let patch = |path: &str, name: &str| {
            let header = [" |-", " |"][self.pick(&format!("{path} header"), 2)];
            let lines = ["- op: add", "", &format!("  # v{}", self.pick(path, 3)), ""];
            let text = Tree::Text(header, lines.map(str::to_owned).into());
            self.map(path, vec![("name", Tree::Scalar(name.to_owned())), ("patch", text)])
        };
        let pairs =
            ["a.b/c", "d", "e"].map(|key| (key, self.one_of(&format!("pairs.{key}"), &values)));
        Tree::Map(vec![
            ("apiVersion", Tree::Scalar("kustomize.config.k8s.io/v1beta1".into())),
            ("namespace", self.one_of("namespace", &values)),
            ("resources", self.set("resources")),
            ("images", self.list("images", &["a", "b", "c"], named)),
            ("steps", self.list("steps", &["a", "b"], patch)),
            (
                "labels",
                Tree::List(vec![Tree::Map(vec![("pairs", self.map("pairs", pairs.into()))])]),
            ),
            ("kind", Tree::Scalar("Kustomization".into())),
        ])
    }

    fn deployment(&self) -> Tree {
        let values = ["1", "2", "64Mi", "~"];
        let mount = |path: &str, name: &str| {
            let path = self.one_of(&format!("{path}.sub"), &values);
            Tree::Map(vec![("mountPath", Tree::Scalar(format!("/{name}"))), ("subPath", path)])
        };
        let numbers = |path: String| {
            let fields =
                ["cpu", "memory"].map(|key| (key, self.one_of(&format!("{path}.{key}"), &values)));
            self.map(&path, fields.into())
        };
        let container = |path: &str, name: &str| {
            let at = |key: &str| format!("{path}.{key}");
            let fields = vec![
                ("image", self.one_of(&at("image"), &["registry.test/a", "\"registry.test/b:1\""])),
                ("name", Tree::Scalar(name.to_owned())),
                (
                    "args",
                    self.list(&at("args"), &["serve", "-v", "\"8080\""], |_, one| {
                        Tree::Scalar(one.to_owned())
                    }),
                ),
                (
                    "resources",
                    self.map(
                        &at("resources"),
                        vec![
                            ("limits", numbers(at("limits"))),
                            ("requests", numbers(at("requests"))),
                        ],
                    ),
                ),
                ("volumeMounts", self.list(&at("volumeMounts"), &["a", "b"], mount)),
            ];
            self.map(path, fields)
        };
        let pod = vec![
            ("containers", self.list("containers", &["app", "proxy", "log"], container)),
            ("priority", self.one_of("priority", &values)),
        ];
        let spec = vec![
            ("replicas", self.one_of("replicas", &values)),
            ("strategy", numbers("strategy".into())),
            ("template", self.map("template", vec![("spec", self.map("pod", pod))])),
        ];
        Tree::Map(vec![
            ("kind", Tree::Scalar("Deployment".into())),
            ("spec", self.map("spec", spec)),
        ])
    }

    fn text(&self, deployment: bool) -> String {
        let tree = if deployment { self.deployment() } else { self.kustomization() };
        let mut lines =
            vec![["# Head.", "---", "---\n# Other head."][self.pick("head", 3)].to_owned()];
        self.write(&tree, "", 0, &mut lines);
        lines.join("\n") + "\n"
    }

    fn comment(&self, path: &str) -> Option<String> {
        let version =
            Self { change: self.change.filter(|_| self.comments != Comments::Kept), ..*self };
        match version.pick(&format!("{path} #"), 8) {
            1 => Some(format!("# about {path}")),
            2 => Some(format!("# more about {path}")),
            3 if self.comments == Comments::Edited => Some(format!("# my {path}")),
            _ => None,
        }
    }

    /// The lines of a value; the first one goes after its colon or dash.
    fn write(&self, tree: &Tree, path: &str, indent: usize, lines: &mut Vec<String>) {
        let blanks = " ".repeat(indent);
        let above = |path: &str, lines: &mut Vec<String>| {
            lines.extend(self.comment(path).map(|comment| format!("{blanks}{comment}")));
        };
        let behind = |path: &str| {
            self.comment(&format!("{path} behind"))
                .map_or(String::new(), |comment| format!("  {comment}"))
        };
        match tree {
            Tree::Scalar(_) | Tree::Text(..) => unreachable!(),
            Tree::Map(fields) => fields.iter().for_each(|(key, value)| {
                let path = format!("{path}.{key}");
                above(&path, lines);
                let mut line = format!("{blanks}{key}:");
                match value {
                    Tree::Scalar(value) => line += &format!(" {value}{}", behind(&path)),
                    Tree::Text(header, _) => line += header,
                    Tree::Map(fields) if fields.is_empty() => line += " {}",
                    Tree::List(items) if items.is_empty() => line += " []",
                    Tree::Map(_) | Tree::List(_) => line += &behind(&path),
                }
                lines.push(line);
                match value {
                    Tree::Text(_, text) => {
                        lines.extend(text.iter().map(|line| match line.as_str() {
                            "" => String::new(),
                            line => format!("{blanks}  {line}"),
                        }));
                    }
                    Tree::Map(_) => self.write(value, &path, indent + self.layout.0, lines),
                    Tree::List(_) => self.write(value, &path, indent + self.layout.1, lines),
                    Tree::Scalar(_) => {}
                }
            }),
            Tree::List(items) => items.iter().for_each(|item| match item {
                Tree::Scalar(value) => {
                    let path = format!("{path}[{value}]");
                    above(&path, lines);
                    lines.push(format!("{blanks}- {value}{}", behind(&path)));
                }
                Tree::Map(fields) => {
                    let name = fields.iter().find_map(|(key, value)| match value {
                        Tree::Scalar(name) if matches!(*key, "name" | "mountPath") => {
                            Some(name.as_str())
                        }
                        _ => None,
                    });
                    let path = format!("{path}[{}]", name.unwrap_or_default());
                    let start = lines.len();
                    self.write(item, &path, indent + 2, lines);
                    // The dash goes before the first key; comments above that key belong to the
                    // item.
                    let first = (start..lines.len())
                        .find(|at| !lines[*at].trim_start().starts_with('#'))
                        .unwrap();
                    for line in &mut lines[start..first] {
                        line.drain(..2);
                    }
                    lines[first].replace_range(indent..=indent, "-");
                }
                _ => unreachable!(),
            }),
        }
    }
}
