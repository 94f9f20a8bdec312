//! The one type that holds secret text. It cannot be printed, cloned, compared or serialised, and
//! clears its memory when dropped. This module never reads or writes anything.

use zeroize::Zeroizing;

/// Secret text: a token, a docker config, a rendered Secret manifest.
///
/// ```compile_fail
/// format!("{:?}", makeinfra::secret::Secret::new(String::from("gldt-1")));
/// ```
/// ```compile_fail
/// format!("{}", makeinfra::secret::Secret::new(String::from("gldt-1")));
/// ```
/// ```compile_fail
/// let secret = makeinfra::secret::Secret::new(String::from("gldt-1"));
/// let _ = secret.clone();
/// ```
/// ```compile_fail
/// serde_json::to_string(&makeinfra::secret::Secret::new(String::from("gldt-1")));
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of `text`, so that no second copy stays behind.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call deserves a look in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
