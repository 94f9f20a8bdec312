//! Defines the causes: variant, identifier, sentence, and hint.

/// Declares all causes in one place; those that explain others come first.
macro_rules! causes {
    ($($name:ident = $id:literal, $sentence:literal, $hint:literal;)*) => {
        /// Why something does not run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = $id] $name,)*
        }

        impl Cause {
            /// All causes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable identifier.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// The sentence and the hint.
            pub(super) fn words(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$name => ($sentence, $hint),)*
                }
            }
        }
    };
}
