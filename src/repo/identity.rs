//! Author and committer, as git writes them. libgit2 refuses some names that git accepts, and
//! writes others that corrupt a commit.

use super::failed;
use crate::environment;
use crate::error::{Failure, Result};
use git2::{Error, ErrorClass, ErrorCode, Repository, Signature, Time};
use jiff::fmt::{rfc2822, temporal::Pieces};

/// Author and committer, from git's configuration and environment variables; `None` if git does not
/// know them.
pub(super) fn identity(
    git: &Repository,
) -> Result<Option<(Signature<'static>, Signature<'static>)>> {
    let found = git.author_from_env().and_then(|author| Ok((author, git.committer_from_env()?)));
    let cannot = |error: Error| failed("read who commits", &error);
    match found {
        Ok((author, committer)) => {
            Ok(Some((cleaned(author).map_err(cannot)?, cleaned(committer).map_err(cannot)?)))
        }
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error)
            if error.code() == ErrorCode::Invalid
                || matches!(error.class(), ErrorClass::Config | ErrorClass::Invalid) =>
        {
            Ok(match (signature(git, "AUTHOR")?, signature(git, "COMMITTER")?) {
                (Some(author), Some(committer)) => Some((author, committer)),
                _ => None,
            })
        }
        Err(error) => Err(cannot(error).into()),
    }
}

/// `found` with line breaks removed from the name, which would end the commit's header line.
fn cleaned(found: Signature<'static>) -> std::result::Result<Signature<'static>, Error> {
    match (found.name(), found.email()) {
        (Ok(name), Ok(email)) if name.contains('\n') || email.contains('\n') => {
            Signature::new(&clean(name), &clean(email), &found.when())
        }
        _ => Ok(found),
    }
}

/// The signature for `role`, built without libgit2; `None` if the cleaned name or address is empty.
fn signature(git: &Repository, role: &str) -> Result<Option<Signature<'static>>> {
    let variable = |name: &str| environment::raw(name).and_then(|value| value.into_string().ok());
    let config = git.config().and_then(|mut config| config.snapshot());
    let config = config.map_err(|error| failed("read git's configuration", &error))?;
    let setting = |name: &str| config.get_string(name).ok();
    let name = variable(&format!("GIT_{role}_NAME")).or_else(|| setting("user.name"));
    let email = variable(&format!("GIT_{role}_EMAIL")).or_else(|| setting("user.email"));
    let (Some(name), Some(email)) = (name, email.or_else(|| variable("EMAIL"))) else {
        return Ok(None);
    };
    let (name, email) = (clean(&name), clean(&email));
    if name.is_empty() || email.is_empty() {
        return Ok(None);
    }
    let date = format!("GIT_{role}_DATE");
    let made = match variable(&date).map(|text| time(&text)) {
        None => Signature::now(&name, &email),
        Some(Some(time)) => Signature::new(&name, &email, &time),
        Some(None) => {
            return Err(Failure::failed("cannot read who commits")
                .because(format!("`{date}` is not a date with an offset from UTC"))
                .into());
        }
    };
    Ok(Some(made.map_err(|error| failed("read who commits", &error))?))
}

/// `text` without the characters that git strips from a name (`strbuf_addstr_without_crud` in git's
/// ident.c).
fn clean(text: &str) -> String {
    let is_crud = |letter: char| letter <= ' ' || ",:;<>\"\\'".contains(letter);
    text.trim_matches(is_crud).replace(['\n', '<', '>'], "")
}

/// Parses a date with an offset in one of git's formats (git-commit(1)).
fn time(text: &str) -> Option<Time> {
    let text = text.trim();
    let raw = text.strip_prefix('@').unwrap_or(text);
    if let Some((seconds, offset)) = raw.split_once(' ')
        && let (Ok(seconds), Ok(offset)) = (seconds.parse::<i64>(), offset.parse::<i32>())
    {
        return Some(Time::new(seconds, offset / 100 * 60 + offset % 100));
    }
    if let Ok(found) = rfc2822::parse(text) {
        return Some(Time::new(found.timestamp().as_second(), found.offset().seconds() / 60));
    }
    let joined = text.replace(" +", "+").replace(" -", "-");
    let pieces = Pieces::parse(&joined).ok()?;
    let (time, offset) = (pieces.time()?, pieces.to_numeric_offset()?);
    let found = offset.to_timestamp(pieces.date().to_datetime(time)).ok()?;
    Some(Time::new(found.as_second(), offset.seconds() / 60))
}
