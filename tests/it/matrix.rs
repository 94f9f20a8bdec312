//! Everything that is generated, for many combinations of answers: the table of values is below,
//! the properties that always hold in `matrix/checks.rs`. `cluster/matrix.rs` applies it to a
//! cluster.
//!
//! A new option is a line in the table. The checks read whatever was generated, and only know the
//! names of files that every repository has.

mod checks;
mod evaluated;
mod explained;
mod pairs;
mod programs;
mod references;
mod tree;

pub use references::pod_template;
pub use tree::{Stage, Tree, matrix, repository};

/// The minimum number of rows, if pairs need fewer.
const ROWS: usize = 60;

/// One value of a parameter: its name, its arguments of `makeinfra new`, and the commands to run in
/// the repository afterwards.
type Value = (&'static str, &'static [&'static str], &'static [&'static [&'static str]]);

/// A parameter and one of its values, by name.
type Named = (&'static str, &'static str);

/// `new`'s own arguments may use the file `../token`, those of later commands `../../token` and
/// `../../key.pem`.
const TABLE: &[(&str, &[Value])] = &[
    (
        "project",
        &[("plain", &["hello"], &[]), ("like a boolean", &["on"], &[]), ("long", &[LONG], &[])],
    ),
    (
        "image",
        &[
            ("tag", &["--image", "registry.gitlab.com/group/hello:1.0.0"], &[]),
            ("tag and digest", &["--image", BOTH], &[]),
            ("digest", &["--image", DIGEST], &[]),
            ("port", &["--image", "registry.gitlab.com:5050/group/sub/hello:1.10"], &[]),
            ("docker hub", &["--image", "me/hello:1e3"], &[]),
        ],
    ),
    ("registry", &[("default", &[], &[]), ("pattern", &["--registry", "*.gitlab.com"], &[])]),
    (
        "environments",
        &[
            ("none", &[], &[]),
            ("two", &["--env", "staging", "--env", "production"], &[]),
            ("three", &["--env", "on", "--env", "qa", "--env", "live", "--protect", "live"], &[]),
            ("one", &["--env", "production"], &[]),
            ("added", &[], &[&["env", "add", "staging", "--no-input"]]),
            (
                "two and one added",
                &["--env", "a", "--env", "b"],
                &[&["env", "add", "c", "--protect", "--no-input"]],
            ),
        ],
    ),
    (
        "namespace",
        &[
            ("default", &[], &[]),
            ("pattern", &["--namespace", "{env}-{project}"], &[]),
            ("like a number", &["--namespace", "123"], &[]),
        ],
    ),
    (
        "workload",
        &[
            ("web service", &[], &[]),
            ("worker", &["--port", "none", "--arg", "--queue=$(x) a", "--arg", "b"], &[]),
            ("cron job", &["--workload", "cronjob", "--schedule", "*/5 1-3 * * MON"], &[]),
            ("job", &["--workload", "job"], &[]),
        ],
    ),
    (
        "further component",
        &[
            ("none", &[], &[]),
            (
                "worker",
                &[],
                &[&["add", "worker", "--port", "none", "--image", WORKER, "--no-input"]],
            ),
            (
                "cron job",
                &[],
                &[&["add", "c", "--workload", "cronjob", "--schedule", "@daily", "--no-input"]],
            ),
            (
                "service and job",
                &[],
                &[
                    &["add", "api", "--ingress", "api.example.com", "--tls", "--no-input"],
                    &["add", "migrate", "--workload", "job", "--no-input"],
                ],
            ),
        ],
    ),
    ("service account", &[("none", &[], &[]), ("own", &["--service-account"], &[])]),
    ("public image", &[("no", &[], &[]), ("yes", &["--public"], &[])]),
    ("config", &[("none", &[], &[]), ("file", &["--config", "../settings.env"], &[])]),
    (
        "port",
        &[
            ("default", &[], &[]),
            ("privileged", &["--port", "80"], &[]),
            ("last", &["--port", "65535"], &[]),
        ],
    ),
    (
        "replicas",
        &[
            ("default", &[], &[]),
            ("none", &["--replicas", "0"], &[]),
            ("many", &["--replicas", "5"], &[]),
        ],
    ),
    (
        "ingress",
        &[
            ("none", &[], &[]),
            ("host", &["--ingress", "hello.example.com"], &[]),
            ("wildcard", &["--ingress", "*.example.com"], &[]),
            ("tls", &["--ingress", "hello.example.com", "--tls-issuer", "letsencrypt"], &[]),
        ],
    ),
    (
        "health-path",
        &[
            ("none", &[], &[]),
            ("path", &["--health-path", "/healthz"], &[]),
            ("odd", &["--health-path", "/up?a=1&b=%20:'!~"], &[]),
        ],
    ),
    (
        "pod-security",
        &[("restricted", &[], &[]), ("baseline", &["--pod-security", "baseline"], &[])],
    ),
    ("secret-name", &[("default", &[], &[]), ("like null", &["--secret-name", "null"], &[])]),
    (
        "secret-type",
        &[("default", &[], &[]), ("dockerconfigjson", &["--secret-type", "dockerconfigjson"], &[])],
    ),
    ("email", &[("none", &[], &[]), ("one", &["--email", "ops+\"k8s\"@example.com"], &[])]),
    (
        "ci",
        &[
            ("default", &[], &[]),
            ("none", &["--ci", "none"], &[]),
            ("rotate", &["--ci-rotate"], &[]),
            ("image", &["--ci-image", "registry.gitlab.com/group/ci:1", "--ci-rotate"], &[]),
        ],
    ),
    (
        "token",
        &[
            (
                "file",
                &["--token-username", "gitlab+deploy-token-1", "--token-file", "../token"],
                &[],
            ),
            (
                "expires",
                &[
                    "--token-username",
                    "1e3",
                    "--token-file",
                    "../token",
                    "--expires-at",
                    "2999-01-01",
                ],
                &[],
            ),
            ("none", &["--no-token"], &[]),
        ],
    ),
    (
        "further Secret",
        &[("none", &[], &[]), ("one", &[], &[SET_LINE]), ("two keys", &[], &[SET_LINE, SET_FILE])],
    ),
    ("context", &[("none", &[], &[]), ("one", &["--context", "admin@eu/prod:1"], &[])]),
    (
        "git",
        &[("commit", &[], &[]), ("no commit", &["--no-commit"], &[]), ("none", &["--no-git"], &[])],
    ),
];

/// Combinations that makeinfra refuses, and should.
const FORBIDDEN: &[(Named, Named)] = &[
    // A registry key must match the image.
    (("registry", "pattern"), ("image", "port")),
    (("registry", "pattern"), ("image", "docker hub")),
    // Each environment has its own namespace, and hosts below its name.
    (("namespace", "like a number"), ("environments", "two")),
    (("namespace", "like a number"), ("environments", "three")),
    (("namespace", "like a number"), ("environments", "two and one added")),
    (("ingress", "wildcard"), ("environments", "two")),
    (("ingress", "wildcard"), ("environments", "three")),
    (("ingress", "wildcard"), ("environments", "added")),
    (("ingress", "wildcard"), ("environments", "two and one added")),
    // A pattern with {env} requires an environment.
    (("namespace", "pattern"), ("environments", "none")),
    (("namespace", "pattern"), ("environments", "added")),
    // It comes from the same registry.
    (("further component", "worker"), ("image", "port")),
    (("further component", "worker"), ("image", "docker hub")),
    // Without a port, there is nothing to connect to or probe.
    (("workload", "worker"), ("port", "privileged")),
    (("workload", "worker"), ("port", "last")),
    (("workload", "worker"), ("ingress", "host")),
    (("workload", "worker"), ("ingress", "wildcard")),
    (("workload", "worker"), ("ingress", "tls")),
    (("workload", "worker"), ("health-path", "path")),
    (("workload", "worker"), ("health-path", "odd")),
    (("workload", "cron job"), ("port", "privileged")),
    (("workload", "cron job"), ("port", "last")),
    (("workload", "cron job"), ("replicas", "none")),
    (("workload", "cron job"), ("replicas", "many")),
    (("workload", "cron job"), ("ingress", "host")),
    (("workload", "cron job"), ("ingress", "wildcard")),
    (("workload", "cron job"), ("ingress", "tls")),
    (("workload", "cron job"), ("health-path", "path")),
    (("workload", "cron job"), ("health-path", "odd")),
    (("workload", "job"), ("port", "privileged")),
    (("workload", "job"), ("port", "last")),
    (("workload", "job"), ("replicas", "none")),
    (("workload", "job"), ("replicas", "many")),
    (("workload", "job"), ("ingress", "host")),
    (("workload", "job"), ("ingress", "wildcard")),
    (("workload", "job"), ("ingress", "tls")),
    (("workload", "job"), ("health-path", "path")),
    (("workload", "job"), ("health-path", "odd")),
    // Components are added to a repository.
    (("git", "none"), ("further component", "worker")),
    (("git", "none"), ("further component", "cron job")),
    (("git", "none"), ("further component", "service and job")),
    (("git", "none"), ("environments", "added")),
    (("git", "none"), ("environments", "two and one added")),
    (("git", "none"), ("further Secret", "one")),
    (("git", "none"), ("further Secret", "two keys")),
];

const LONG: &str = "a-name-of-just-as-many-letters-as-it-may-have";
const WORKER: &str = "registry.gitlab.com/group/worker:3";
const DIGEST: &str = "registry.gitlab.com/group/hello@sha256:abababababababababababababababababababababababababababababababab";
const BOTH: &str = "registry.gitlab.com/group/hello:2@sha256:0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e";

/// A value that fits a line of an env file.
const SET_LINE: &[&str] = &[
    "secret",
    "set",
    "database",
    "PASSWORD",
    "--from-file",
    "../../token",
    "--all-environments",
    "--no-input",
];
/// A value with line breaks, which goes to a file of its own.
const SET_FILE: &[&str] = &[
    "secret",
    "set",
    "database",
    "TLS_KEY",
    "--from-file",
    "../../key.pem",
    "--all-environments",
    "--no-input",
];

/// One combination of answers.
#[derive(Clone)]
pub struct Row {
    number: usize,
    picked: Vec<(&'static str, &'static Value)>,
}

impl Row {
    fn new(number: usize, picks: &[usize]) -> Self {
        let picked =
            TABLE.iter().zip(picks).map(|((parameter, values), pick)| (*parameter, &values[*pick]));
        Self { number, picked: picked.collect() }
    }

    /// The name of its value for a parameter.
    pub fn value(&self, parameter: &str) -> &'static str {
        let (_, (name, ..)) =
            self.picked.iter().find(|(name, _)| *name == parameter).expect("a parameter");
        name
    }

    /// Whether it has that value for that parameter.
    pub fn has(&self, parameter: &str, value: &str) -> bool {
        self.value(parameter) == value
    }

    /// The names of all its parameters and values.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.picked.iter().map(|(parameter, (name, ..))| (*parameter, *name))
    }

    /// The makeinfra commands as argument lists; the first is `new`.
    pub fn commands(&self) -> Vec<Vec<String>> {
        self.commands_with(&[])
    }

    /// Like [`Row::commands`], with other arguments of `new` for some parameters.
    pub fn commands_with(&self, others: &[(&str, &[&str])]) -> Vec<Vec<String>> {
        let mut commands = vec![vec!["new".to_owned()]];
        for (parameter, (_, new, then)) in &self.picked {
            let other = others.iter().find(|(name, _)| name == parameter).map(|(_, other)| *other);
            commands[0].extend(other.unwrap_or(new).iter().map(|&word| word.to_owned()));
            commands.extend(
                then.iter().map(|command| command.iter().map(|&word| word.to_owned()).collect()),
            );
        }
        commands
    }

    /// Its number and its commands, to be typed.
    pub fn line(&self) -> String {
        let typed =
            |command: Vec<String>| shlex::try_join(command.iter().map(String::as_str)).unwrap();
        let commands =
            self.commands().into_iter().map(|command| format!("makeinfra {}", typed(command)));
        format!("row {}: {}", self.number, commands.collect::<Vec<_>>().join(" && "))
    }
}

fn sizes() -> Vec<usize> {
    TABLE.iter().map(|(_, values)| values.len()).collect()
}

fn forbidden(one: (usize, usize), other: (usize, usize)) -> bool {
    let named =
        |(parameter, value): (usize, usize)| (TABLE[parameter].0, TABLE[parameter].1[value].0);
    FORBIDDEN.contains(&(named(one), named(other)))
}

/// All rows.
pub fn rows() -> Vec<Row> {
    let rows = pairs::rows(&sizes(), &forbidden, ROWS);
    rows.iter().enumerate().map(|(number, picks)| Row::new(number, picks)).collect()
}

#[test]
fn the_table_is_in_order() {
    let known = |(parameter, value): (&str, &str)| {
        TABLE.iter().any(|(name, values)| {
            *name == parameter && values.iter().any(|(name, ..)| *name == value)
        })
    };
    for (one, other) in FORBIDDEN {
        assert!(known(*one) && known(*other), "{one:?} and {other:?}");
    }
    let rows = rows();
    assert!((ROWS..ROWS + 20).contains(&rows.len()), "{}", rows.len());
    for (number, row) in rows.iter().enumerate() {
        assert_eq!((row.number, row.picked.len()), (number, TABLE.len()));
    }
}
