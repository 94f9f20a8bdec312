//! How a cause is written down: its name, its stable name, a sentence, and what to type.

/// Declares the causes in one place, the ones that explain the others first.
macro_rules! causes {
    ($($name:ident = $id:literal, $sentence:literal, $hint:literal;)*) => {
        /// Why something does not run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = $id] $name,)*
        }

        impl Cause {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// The sentence, and what to type.
            pub(super) fn words(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$name => ($sentence, $hint),)*
                }
            }
        }
    };
}
