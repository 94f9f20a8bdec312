//! `makeinfra schema`: JSON schemas for editors, and for programs that read makeinfra's output.

use crate::answers::schema;
use crate::cli::Schema;
use crate::report::{self, Report};

/// The schema that `options` choose.
#[must_use]
pub fn run(options: Schema) -> Report {
    let schema = match options {
        Schema::Record => schema::record(),
        Schema::Answers => schema::answers_file(),
        Schema::Output => report::schema::output(),
    };
    Report { text: schema::text(&schema), ..Report::default() }
}
