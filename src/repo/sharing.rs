//! Modes in a git directory shared by several users: implements `core.sharedRepository`
//! (git-config(1), `calc_shared_perm` in git's path.c), which libgit2 honours only when it creates
//! a repository.

use git2::Repository;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The setgid bit: new files inherit the directory's group.
const GROUP_OF_DIRECTORY: u32 = 0o2000;

/// How the mode of a new file or directory changes beyond the user's umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Not at all.
    Mask,
    /// These bits are added.
    Also(u32),
    /// Exactly these bits are set.
    Exactly(u32),
}

impl Sharing {
    /// The repository's setting. Git refuses to run on an unknown value.
    pub(super) fn of(git: &Repository) -> Self {
        let Ok(config) = git.config() else { return Self::Mask };
        let Ok(entry) = config.get_entry("core.sharedRepository") else { return Self::Mask };
        if entry.has_value() { Self::parse(entry.value().unwrap_or_default()) } else { GROUP }
    }

    fn parse(value: &str) -> Self {
        match (value, u32::from_str_radix(value, 8)) {
            ("group", _) | (_, Ok(1)) => GROUP,
            ("all" | "world" | "everybody", _) | (_, Ok(2)) => Self::Also(0o664),
            (_, Ok(0)) => Self::Mask,
            (_, Ok(mode)) if mode & 0o600 == 0o600 => Self::Exactly(mode & 0o666),
            (value, _) => match value.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => GROUP,
                _ => Self::Mask,
            },
        }
    }

    /// The mode of a file that would otherwise get `mode`.
    pub(super) fn mode(self, mode: u32) -> u32 {
        let (shared, is_exact) = match self {
            Self::Mask => return mode,
            Self::Also(bits) => (bits, false),
            Self::Exactly(bits) => (bits, true),
        };
        let shared = if mode & 0o200 == 0 { shared & !0o222 } else { shared };
        let shared = if mode & 0o100 == 0 { shared } else { shared | (shared & 0o444) >> 2 };
        if is_exact { mode & !0o777 | shared } else { mode | shared }
    }

    /// Sets the mode of the file or directory `path`, which this run has created.
    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        if self == Self::Mask {
            return Ok(());
        }
        let found = fs::metadata(path)?;
        let old = found.permissions().mode();
        let new = if found.is_dir() { self.mode(old) | GROUP_OF_DIRECTORY } else { self.mode(old) };
        if new == old {
            Ok(())
        } else {
            fs::set_permissions(path, Permissions::from_mode(new & 0o7777))
        }
    }
}

const GROUP: Sharing = Sharing::Also(0o660);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_mean_what_they_mean_to_git() {
        for (value, sharing) in [
            ("group", GROUP),
            ("true", GROUP),
            ("1", GROUP),
            ("everybody", Sharing::Also(0o664)),
            ("2", Sharing::Also(0o664)),
            ("0640", Sharing::Exactly(0o640)),
            ("0660", Sharing::Exactly(0o660)),
            ("umask", Sharing::Mask),
            ("false", Sharing::Mask),
            ("0", Sharing::Mask),
        ] {
            assert_eq!(Sharing::parse(value), sharing, "{value}");
        }
    }

    #[test]
    fn a_mode_gets_what_it_has_for_its_owner() {
        assert_eq!(GROUP.mode(0o644), 0o664);
        assert_eq!(GROUP.mode(0o444), 0o444);
        assert_eq!(GROUP.mode(0o700), 0o770);
        assert_eq!(Sharing::Exactly(0o640).mode(0o644), 0o640);
        assert_eq!(Sharing::Exactly(0o640).mode(0o444), 0o440);
        assert_eq!(Sharing::Exactly(0o640).mode(0o755), 0o750);
        assert_eq!(Sharing::Mask.mode(0o600), 0o600);
    }
}
