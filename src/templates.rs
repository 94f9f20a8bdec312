//! The embedded template tree and its rendering to a sorted list of files. Pure: no I/O.
//!
//! The tree mirrors the output. `X.tera` is rendered, anything else is copied; `dot_X` becomes `.X`;
//! `executable_X` gets 0755; `SECRET_NAME` stands for the pull secret's name. A template that renders
//! to nothing makes no file.

use crate::context::{Context, Payload};
use crate::error::{Failure, Result};
use crate::secret::Secret;
use crate::yaml_edit;
use include_dir::{Dir, include_dir};
use tera::{Kwargs, State, Tera};

static TREE: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// A file of the generated repository.
pub struct File {
    /// Path below the top of the repository, with `/`.
    pub path: String,
    /// What it may be used for.
    pub kind: Kind,
    /// Its content; secret text throughout, since one of the files is.
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

/// Renders the whole tree, sorted by path. Without a payload there is no pull secret.
pub fn render(context: &Context, payload: Option<&Payload>) -> Result<Vec<File>> {
    let sources: Vec<_> = sources(&TREE).collect();
    render_all(&sources, context, payload)
}

/// Renders the file of the pull secret alone.
pub fn render_secret(context: &Context, payload: &Payload) -> Result<File> {
    let sources: Vec<_> = sources(&TREE).filter(Source::is_secret).collect();
    let missing = || Failure::failed("this build of makeinfra has no template for the pull secret");
    Ok(render_all(&sources, context, Some(payload))?.pop().ok_or_else(missing)?)
}

fn render_all(sources: &[Source], context: &Context, payload: Option<&Payload>) -> Result<Vec<File>> {
    let tera = tera(sources)?;
    let open = variables(context)?;
    let secret = payload.map(|payload| variables(&context.with_payload(payload))).transpose()?;
    let mut files = Vec::with_capacity(sources.len());
    for source in sources {
        let text = match (source.is_secret(), &secret) {
            (true, None) => continue,
            // Tera's errors quote values: those of the Secret stay here.
            (true, Some(secret)) => tera.render(source.path, secret).map_err(|_| ours(source.path, ""))?,
            (false, _) if source.is_template() => {
                tera.render(source.path, &open).map_err(|error| ours(source.path, &error.to_string()))?
            }
            (false, _) => source.text.to_owned(),
        };
        if !text.trim().is_empty() {
            let (path, kind) = source.target(context.secret_name());
            files.push(File { path, kind, text: Secret::new(text) });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
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

    fn is_secret(&self) -> bool {
        self.path.starts_with("secrets/")
    }

    /// Where the file goes, and what it is there.
    fn target(&self, secret_name: &str) -> (String, Kind) {
        let mut kind = if self.is_secret() { Kind::Secret } else { Kind::Plain };
        let mut parts = Vec::new();
        for part in self.path.strip_suffix(".tera").unwrap_or(self.path).split('/') {
            let (part, executable) = match part.strip_prefix("executable_") {
                Some(rest) => (rest, true),
                None => (part, false),
            };
            if executable {
                kind = Kind::Executable;
            }
            let part = part.replace("SECRET_NAME", secret_name);
            parts.push(part.strip_prefix("dot_").map_or(part.clone(), |rest| format!(".{rest}")));
        }
        (parts.join("/"), kind)
    }
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
