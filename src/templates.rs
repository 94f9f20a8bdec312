//! The embedded template tree and its rendering to a sorted list of files. Pure: no I/O.
//!
//! The tree mirrors the output. `X.tera` is rendered, anything else is copied; `dot_X` becomes `.X`;
//! `executable_X` gets 0755. `COMPONENT-X` is rendered for each component, whose kind `WORKLOAD` stands for. A name that is
//! `ENV` or begins with `ENV.` is rendered for each environment; `secrets/ENV` is the directory of its Secrets, and `SECRET`
//! in it the name of the pull secret. A template that renders to nothing makes no file.

use crate::context::{Component, Context, Environment, Payload};
use crate::error::{Failure, Result};
use crate::secret::Secret;
use crate::yaml_edit;
use include_dir::{Dir, include_dir};
use tera::{Kwargs, State, Tera};

/// What stands for an environment, for a component and for its kind, in the names of templates.
const ENVIRONMENT: &str = "ENV";
const COMPONENT: &str = "COMPONENT-";
const WORKLOAD: &str = "WORKLOAD";

static TREE: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");
/// What the environments' Secrets are rendered from.
const SECRETS: &str = "secrets/ENV/";
/// The one of them that holds a token.
const PULL_SECRET: &str = "secrets/ENV/SECRET.secret.yaml.tera";

/// A file of the generated repository.
pub struct File {
    /// Path below the top of the repository, with `/`.
    pub path: String,
    /// What it may be used for.
    pub kind: Kind,
    /// Its content; secret text throughout, since some of the files are.
    pub text: Secret,
}

impl File {
    /// Its size in bytes, which is no secret.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.expose().len()
    }
}

/// What a file may be used for: its mode, and whether git may see it in plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0666 less the umask.
    Plain,
    /// 0777 less the umask.
    Executable,
    /// 0600, and in git only as ciphertext.
    Secret,
}

/// Renders the whole tree, sorted by path. An environment without a payload has no pull secret.
pub fn render(context: &Context, payloads: &[Option<Payload>]) -> Result<Vec<File>> {
    render_all(&sources(&TREE).collect::<Vec<_>>(), context, payloads)
}

/// Renders the pull secret of the environment at `place` alone.
pub fn render_secret(context: &Context, place: usize, payload: Payload) -> Result<File> {
    let sources: Vec<_> = sources(&TREE).filter(|source| source.path == PULL_SECRET).collect();
    let missing = || Failure::failed("this build of makeinfra has no template for the pull secret");
    let payloads: Vec<_> = (0..=place).map(|at| (at == place).then_some(payload)).collect();
    Ok(render_all(&sources, context, &payloads)?.pop().ok_or_else(missing)?)
}

fn render_all(sources: &[Source], context: &Context, payloads: &[Option<Payload>]) -> Result<Vec<File>> {
    let tera = tera(sources)?;
    let mut open = variables(context)?;
    let mut files = Vec::with_capacity(sources.len());
    for source in sources {
        let components =
            if source.has_components() { context.components() } else { &context.components()[..1] };
        let environments =
            if source.is_per_environment() { context.environments() } else { &context.environments()[..1] };
        for component in components {
            for (place, environment) in environments.iter().enumerate() {
                open.insert("component", component);
                open.insert("environment", environment);
                let payload = payloads.get(place).copied().flatten();
                open.insert("has_token", &payload.is_some());
                let text = match (source.path == PULL_SECRET, payload) {
                    (true, None) => continue,
                    // Tera's errors quote values: those of the Secret stay here.
                    (true, Some(payload)) => tera
                        .render(source.path, &with_payload(&open, &payload))
                        .map_err(|_| ours(source.path, ""))?,
                    (false, _) if source.is_template() => tera
                        .render(source.path, &open)
                        .map_err(|error| ours(source.path, &error.to_string()))?,
                    (false, _) => source.text.to_owned(),
                };
                if !text.trim().is_empty() {
                    let (path, kind) = source.target(component, environment);
                    files.push(File { path, kind, text: Secret::new(text) });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The variables of a pull secret's template, and no other.
fn with_payload(open: &tera::Context, payload: &Payload) -> tera::Context {
    let mut context = open.clone();
    context.insert("payload", payload.base64);
    context.insert("expires_at", &payload.expires_at);
    context
}

/// A file of the tree.
#[derive(Clone, Copy)]
struct Source {
    path: &'static str,
    text: &'static str,
}

impl Source {
    fn is_template(&self) -> bool {
        self.path.strip_suffix(".tera").is_some()
    }

    /// Its path below the directory of an environment's Secrets; `None` if it is none of them.
    fn in_secrets(&self) -> Option<&'static str> {
        self.path.strip_prefix(SECRETS)
    }

    /// Whether it is rendered for each component.
    fn has_components(&self) -> bool {
        self.path.contains(COMPONENT)
    }

    /// Whether it is rendered for each environment.
    fn is_per_environment(&self) -> bool {
        self.path.split('/').any(|part| in_environment(part, "").is_some())
    }

    /// Where the file goes, and what it is there.
    fn target(&self, component: &Component, environment: &Environment) -> (String, Kind) {
        if let Some(path) = self.in_secrets() {
            if self.path == PULL_SECRET {
                return (environment.secret_file().to_owned(), Kind::Secret);
            }
            let name = path.strip_suffix(".tera").unwrap_or(path);
            return (format!("{}/{name}", environment.secrets()), Kind::Secret);
        }
        let path = self.path.strip_suffix(".tera").unwrap_or(self.path);
        let mut kind = Kind::Plain;
        let mut parts = Vec::new();
        let path = path.replace(COMPONENT, component.prefix()).replace(WORKLOAD, component.workload());
        for part in path.split('/') {
            let part = match part.strip_prefix("executable_") {
                Some(rest) => {
                    kind = Kind::Executable;
                    rest
                }
                None => part,
            };
            let part = in_environment(part, environment.name()).unwrap_or_else(|| part.to_owned());
            parts.push(part.strip_prefix("dot_").map_or(part.clone(), |rest| format!(".{rest}")));
        }
        (parts.join("/"), kind)
    }
}

/// The part of a path that stands for one of the environment called `name`; `None` if it stands for none.
fn in_environment(part: &str, name: &str) -> Option<String> {
    let rest = part.strip_prefix(ENVIRONMENT).filter(|rest| rest.is_empty() || rest.starts_with('.'))?;
    Some(format!("{name}{rest}"))
}

fn sources(dir: &'static Dir) -> Box<dyn Iterator<Item = Source>> {
    let here = dir
        .files()
        .filter_map(|file| Some(Source { path: file.path().to_str()?, text: file.contents_utf8()? }));
    Box::new(here.chain(dir.dirs().flat_map(sources)))
}

/// One instance for all templates, so that each is parsed once.
fn tera(sources: &[Source]) -> Result<Tera> {
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    // Filters are looked up while a template is added.
    tera.register_filter("yaml", |text: &str, _: Kwargs, _: &State| yaml_edit::scalar(text));
    tera.register_filter("column", |text: &str, options: Kwargs, _: &State| {
        let width = options.must_get::<usize>("width")?;
        // One that is too wide still ends before the next one.
        Ok::<_, tera::Error>(format!("{text:width$}{}", if text.len() < width { "" } else { "  " }))
    });
    let templates = sources.iter().filter(|source| source.is_template());
    tera.add_raw_templates(templates.map(|source| (source.path, source.text)))
        .map_err(|error| ours("*.tera", &error.to_string()))?;
    Ok(tera)
}

fn variables(context: &Context) -> Result<tera::Context> {
    Ok(tera::Context::from_serialize(context).map_err(|_| ours("the context of all templates", ""))?)
}

/// A fault of a template is one of makeinfra, not of its user.
fn ours(template: &str, cause: &str) -> Failure {
    Failure::failed(format!("cannot render `{template}`, which is a fault in makeinfra")).because(cause)
}
