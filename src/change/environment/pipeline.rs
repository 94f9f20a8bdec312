//! The pipeline file of a new environment: that of the copied environment, including edits by
//! users. Pure.

use super::super::{Files, Plan, merge, rendered, text_of};
use super::NewEnvironment;
use crate::answers::Answers;
use crate::error::Result;
use zeroize::Zeroizing;

impl NewEnvironment<'_> {
    pub(super) fn copy_pipeline(
        &self,
        plan: &mut Plan,
        files: &Files,
        answers: &Answers,
    ) -> Result<()> {
        let [old, new] = [&self.like.name, self.name].map(|name| format!(".gitlab/{name}.yml"));
        let Some(ours) = files.text(&old)? else { return Ok(()) };
        let fresh = rendered(self.made_from.templates, answers)?;
        let Some(wish) = text_of(&fresh, &new) else { return Ok(()) };
        let mut text = None;
        // The file may date from when its environment was the only one.
        for is_lone in [true, false] {
            let known = if is_lone { &self.made_from.record.answers } else { answers };
            let before = rendered(self.made_from.templates, known)?;
            let renamed = rendered(self.made_from.templates, &self.as_like(answers, is_lone))?;
            let (Some(before), Some(renamed)) = (text_of(&before, &old), text_of(&renamed, &new))
            else {
                continue;
            };
            if text.is_none()
                && let Some(ours) = merge::renamed(before, ours, renamed)
            {
                text = merge::lines(renamed, &ours, wish)?;
            }
        }
        let text = text.unwrap_or_else(|| {
            plan.notes.push(format!(
                "`{new}` is generated without the edits of `{old}`, which cannot be adapted to the \
                 new environment"
            ));
            wish.to_owned()
        });
        plan.create(files, &new, Zeroizing::new(text.into_bytes()), false)
    }

    /// `answers` in which the new environment is protected like the other one; with `is_lone`, it
    /// is the only one.
    fn as_like(&self, answers: &Answers, is_lone: bool) -> Answers {
        let mut answers = answers.clone();
        for one in answers.environments.iter_mut().filter(|one| one.name == *self.name) {
            one.protect = self.like.protect;
        }
        if is_lone && self.made_from.record.answers.environments.rest.is_empty() {
            answers.environments.first =
                answers.environments.iter().last().unwrap_or(&answers.environments.first).clone();
            answers.environments.rest.clear();
        }
        answers
    }
}
