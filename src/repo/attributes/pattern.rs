//! One pattern of an attribute file, matched as git matches it (`gitattributes(5)`, git's
//! wildmatch.c). Pure.
//!
//! A pattern is compiled to a list of tokens, and all positions that may have been reached are
//! tracked at once, so matching takes time proportional to the product of both lengths, however
//! many stars there are.

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    scope: Scope,
    /// The literal prefix.
    literal: Vec<u8>,
    /// The rest of the pattern.
    rest: Vec<Token>,
    folds: bool,
}

/// What a pattern is matched against.
#[derive(Debug, PartialEq, Eq)]
enum Scope {
    /// The last component of the path.
    Name,
    /// The path below the directory of the attribute file.
    Path,
    /// Nothing: the pattern is for directories, and attributes are only looked up for files.
    Nothing,
}

#[derive(Debug)]
enum Token {
    /// One byte of a set.
    One(Box<Set>),
    /// `*`: bytes other than a slash.
    Star,
    /// `**`: any bytes.
    Stars,
    /// Precedes the two tokens of `**/`, which may match nothing.
    Optional,
    /// Matches nothing in git either: an unclosed class, or a backslash at the end.
    Never,
}

type Set = [bool; 256];

impl Pattern {
    /// Parses a pattern without NUL. `folds` ignores case (`core.ignorecase`). `None` if the
    /// pattern begins with `!`, which git refuses.
    pub(super) fn parse(text: &[u8], folds: bool) -> Option<Self> {
        if text.starts_with(b"!") {
            return None;
        }
        let scope = match (text.ends_with(b"/"), text.contains(&b'/')) {
            (true, _) => Scope::Nothing,
            (false, true) => Scope::Path,
            (false, false) => Scope::Name,
        };
        let text = text.strip_prefix(b"/").unwrap_or(text);
        let fixed = text.iter().position(|byte| is_special(*byte)).unwrap_or(text.len());
        // Git splits off the literal prefix, too: it takes the `**` of `a**` for one that stands
        // alone.
        let (literal, rest) = text.split_at(fixed);
        Some(Self { scope, literal: literal.to_owned(), rest: compile(rest, folds), folds })
    }

    /// The directory, with a trailing slash, that contains all matching files; `None` if they may
    /// be anywhere.
    pub(super) fn directory(&self) -> Option<&str> {
        let slash = self
            .literal
            .iter()
            .rposition(|byte| *byte == b'/')
            .filter(|_| self.scope == Scope::Path)?;
        std::str::from_utf8(&self.literal[..=slash]).ok()
    }

    /// Whether the pattern matches the file `path`. `base` is the length of the attribute file's
    /// directory, including its slash.
    pub(super) fn matches(&self, path: &[u8], base: usize) -> bool {
        let text = match self.scope {
            Scope::Nothing => return false,
            Scope::Name => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
            Scope::Path => &path[base..],
        };
        let Some((begin, text)) = text.split_at_checked(self.literal.len()) else { return false };
        let begins = if self.folds {
            begin.eq_ignore_ascii_case(&self.literal)
        } else {
            begin == self.literal
        };
        begins && self.matches_rest(text)
    }

    fn matches_rest(&self, text: &[u8]) -> bool {
        let mut at = vec![false; self.rest.len() + 1];
        self.reach(0, &mut at);
        for byte in text {
            let folded = if self.folds { byte.to_ascii_lowercase() } else { *byte };
            let mut next = vec![false; at.len()];
            for (place, token) in self.rest.iter().enumerate().filter(|(place, _)| at[*place]) {
                match token {
                    Token::One(set) if set[usize::from(folded)] => self.reach(place + 1, &mut next),
                    Token::Star if *byte != b'/' => self.reach(place, &mut next),
                    Token::Stars => self.reach(place, &mut next),
                    _ => {}
                }
            }
            at = next;
        }
        at[self.rest.len()]
    }

    /// Marks `place` as reached, and every position reachable from there without consuming a byte.
    fn reach(&self, place: usize, at: &mut [bool]) {
        let mut open = vec![place];
        while let Some(place) = open.pop() {
            if std::mem::replace(&mut at[place], true) {
                continue;
            }
            match self.rest.get(place) {
                Some(Token::Star | Token::Stars) => open.push(place + 1),
                Some(Token::Optional) => open.extend([place + 1, place + 3]),
                _ => {}
            }
        }
    }
}

/// Whether `byte` has a special meaning in a pattern.
fn is_special(byte: u8) -> bool {
    b"*?[\\".contains(&byte)
}

fn compile(text: &[u8], folds: bool) -> Vec<Token> {
    let fold = |byte: u8| if folds { byte.to_ascii_lowercase() } else { byte };
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => {
                // Escaped bytes are not case-folded, so an upper-case letter never matches.
                tokens.push(text.get(at + 1).map_or(Token::Never, |byte| one(*byte)));
                at += 2;
            }
            b'?' => {
                let mut set = [true; 256];
                set[usize::from(b'/')] = false;
                tokens.push(Token::One(Box::new(set)));
                at += 1;
            }
            b'*' => {
                let stars = text[at..].iter().take_while(|byte| **byte == b'*').count();
                let rest = &text[at + stars..];
                let is_alone = (at == 0 || text[at - 1] == b'/')
                    && (rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"\\/"));
                match stars > 1 && is_alone {
                    true if rest.starts_with(b"/") => {
                        tokens.extend([Token::Optional, Token::Stars]);
                    }
                    true => tokens.push(Token::Stars),
                    false => tokens.push(Token::Star),
                }
                at += stars;
            }
            b'[' => {
                let Some((mut set, length)) = class(&text[at + 1..], folds) else {
                    tokens.push(Token::Never);
                    break;
                };
                set[usize::from(b'/')] = false;
                tokens.push(Token::One(set));
                at += 1 + length;
            }
            _ => {
                tokens.push(one(fold(*byte)));
                at += 1;
            }
        }
    }
    tokens
}

fn one(byte: u8) -> Token {
    let mut set = [false; 256];
    set[usize::from(byte)] = true;
    Token::One(Box::new(set))
}

/// The set of a bracket expression and its length including the `]`. `text` follows the `[`. `None`
/// if it is not closed or names an unknown class.
fn class(text: &[u8], folds: bool) -> Option<(Box<Set>, usize)> {
    let mut set = Box::new([false; 256]);
    let is_negated = matches!(text.first(), Some(b'!' | b'^'));
    let begin = usize::from(is_negated);
    let mut at = begin;
    // The byte that may begin a range.
    let mut before = None;
    loop {
        let byte = *text.get(at)?;
        let after = text.get(at + 1).copied();
        match (byte, before) {
            (b']', _) if at > begin => break,
            (b'\\', _) => {
                at += 1;
                let escaped = *text.get(at)?;
                set[usize::from(escaped)] = true;
                before = Some(escaped);
            }
            (b'-', Some(first)) if after.is_some_and(|after| after != b']') => {
                at += 1;
                if after == Some(b'\\') {
                    at += 1;
                }
                let last = *text.get(at)?;
                let is_in = |byte: u8| (first..=last).contains(&byte);
                for byte in 0..=u8::MAX {
                    set[usize::from(byte)] |= is_in(byte)
                        || folds && byte.is_ascii_lowercase() && is_in(byte.to_ascii_uppercase());
                }
                before = None;
            }
            (b'[', _) if after == Some(b':') => {
                let end = at + 2 + text[at + 2..].iter().position(|byte| *byte == b']')?;
                match text[at + 2..end].strip_suffix(b":") {
                    Some(name) => {
                        let is_member = named(name, folds)?;
                        (0..=u8::MAX).for_each(|byte| set[usize::from(byte)] |= is_member(byte));
                        before = None;
                        at = end;
                    }
                    None => {
                        set[usize::from(b'[')] = true;
                        before = Some(b'[');
                    }
                }
            }
            _ => {
                set[usize::from(byte)] = true;
                before = Some(byte);
            }
        }
        at += 1;
    }
    if is_negated {
        set.iter_mut().for_each(|member| *member = !*member);
    }
    Some((set, at + 1))
}

/// The class `[:name:]`, as defined in git's own ctype.c: ASCII only.
fn named(name: &[u8], folds: bool) -> Option<Box<dyn Fn(u8) -> bool>> {
    let is_space = |byte: u8| b" \t\n\r".contains(&byte);
    Some(match name {
        b"alnum" => Box::new(|byte: u8| byte.is_ascii_alphanumeric()),
        b"alpha" => Box::new(|byte: u8| byte.is_ascii_alphabetic()),
        b"blank" => Box::new(|byte: u8| b" \t".contains(&byte)),
        b"cntrl" => Box::new(|byte: u8| byte.is_ascii_control()),
        b"digit" => Box::new(|byte: u8| byte.is_ascii_digit()),
        b"graph" => Box::new(|byte: u8| byte.is_ascii_graphic()),
        b"lower" => Box::new(|byte: u8| byte.is_ascii_lowercase()),
        b"print" => Box::new(|byte: u8| byte.is_ascii_graphic() || byte == b' '),
        b"punct" => Box::new(|byte: u8| byte.is_ascii_punctuation()),
        b"space" => Box::new(is_space),
        b"upper" => Box::new(move |byte: u8| {
            byte.is_ascii_uppercase() || folds && byte.is_ascii_lowercase()
        }),
        b"xdigit" => Box::new(|byte: u8| byte.is_ascii_hexdigit()),
        _ => return None,
    })
}
