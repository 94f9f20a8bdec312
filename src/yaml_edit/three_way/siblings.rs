//! The keys of one mapping or the items of one list: which ones stay, are removed or are added, and
//! where.

use super::super::lines::{Edit, line_end, newline, next_line};
use super::super::{BEYOND, FLOW, Refusal, Step};
use super::Merge;
use super::comments::{self, lines_above};
use super::identity::{Id, Kind};
use super::meaning::{ExpectedMeaning, same};
use super::place::{Child, PlacedNode, Position, lines_of};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// New items of theirs, by insertion point.
struct Additions<'c, 'n> {
    first: Vec<&'c Child<'n>>,
    /// After each child of ours.
    behind: Vec<Vec<&'c Child<'n>>>,
}

type Children<'n> = [Vec<Child<'n>>; 3];
type Index<'c, 'n> = HashMap<&'c Id<'n>, usize>;

impl<'n> Merge<'n> {
    /// Merges three versions of the children of a parent; base may not have the parent.
    pub(super) fn siblings(
        &mut self,
        kind: Kind,
        parents: (Option<PlacedNode<'n>>, PlacedNode<'n>, PlacedNode<'n>),
        versions: &Children<'n>,
    ) -> Result<ExpectedMeaning<'n>, Refusal> {
        let [base, ours, theirs] = versions;
        let [in_base, in_ours, in_theirs] = [base, ours, theirs].map(|children| index(children));
        let stays = self.staying(base, ours, &in_base, &in_theirs);
        let new = self.additions(kind, versions, [&in_base, &in_ours], &stays);
        if !stays.contains(&true) && new.first.is_empty() && !ours.is_empty() {
            return self.emptied(kind, parents.0, parents.1);
        }
        self.follow_comment(parents.0, parents.1, parents.2);
        let counterpart = |child: &Child<'n>| in_base.get(&child.id).map(|at| &base[*at]);
        let mut meant = Vec::new();
        if !new.first.is_empty() {
            let at = self.start(ours.first().ok_or(FLOW)?, counterpart(&ours[0]), stays[0])?;
            self.insert(kind, at, &ours[0], &new.first)?;
            meant.extend(
                new.first.iter().map(|child| (&child.id, ExpectedMeaning::As(child.spot.node))),
            );
        }
        let leading = self.delete_leading(parents, versions, &in_base, &stays)?;
        for (at, child) in ours.iter().enumerate() {
            let (old, now) = (counterpart(child), in_theirs.get(&child.id).map(|at| &theirs[*at]));
            if stays[at] {
                if at != leading || at == 0 {
                    self.follow_comments_above(old, child, now);
                }
                meant.push((&child.id, self.child(at, old, child, now)?));
            } else if at >= leading {
                let start = self.start(child, old, false)?;
                let end = next_line(self.ours.text, child.spot.node.end);
                self.edits.push(Edit::new(start..end, Zeroizing::default()));
            }
            if !new.behind[at].is_empty() {
                self.insert(
                    kind,
                    next_line(self.ours.text, child.spot.node.end),
                    child,
                    &new.behind[at],
                )?;
            }
            meant.extend(
                new.behind[at]
                    .iter()
                    .map(|child| (&child.id, ExpectedMeaning::As(child.spot.node))),
            );
        }
        Ok(match kind {
            Kind::Map => ExpectedMeaning::Map(
                meant.into_iter().filter_map(|(id, meant)| Some((name(id)?, meant))).collect(),
            ),
            Kind::Set | Kind::List => {
                ExpectedMeaning::List(meant.into_iter().map(|(_, meant)| meant).collect())
            }
        })
    }

    /// Which children of ours stay. A child that theirs removed and ours changed is a conflict.
    fn staying(
        &mut self,
        base: &[Child<'n>],
        ours: &[Child<'n>],
        in_base: &Index<'_, 'n>,
        in_theirs: &Index<'_, 'n>,
    ) -> Vec<bool> {
        let mut stays = vec![true; ours.len()];
        for (at, child) in ours.iter().enumerate() {
            let Some(old) = in_base.get(&child.id).filter(|_| !in_theirs.contains_key(&child.id))
            else {
                continue;
            };
            let old = base[*old].spot;
            let is_unedited = same(old.node, child.spot.node)
                && !comments::has_own((self.ours, child.spot), (self.base, old));
            if is_unedited {
                stays[at] = false;
            } else {
                self.within(at, child, Self::conflict);
            }
        }
        stays
    }

    /// What theirs added. A child that ours removed and theirs changed is a conflict.
    fn additions<'c>(
        &mut self,
        kind: Kind,
        [base, ours, theirs]: &'c Children<'n>,
        [in_base, in_ours]: [&Index<'_, 'n>; 2],
        stays: &[bool],
    ) -> Additions<'c, 'n> {
        let mut new =
            Additions { first: Vec::new(), behind: ours.iter().map(|_| Vec::new()).collect() };
        // The order of keys and sets is insignificant: without a neighbour here, a child goes to
        // the end.
        let end = if kind == Kind::List { None } else { stays.iter().rposition(|stays| *stays) };
        let mut neighbour = None;
        for (at, child) in theirs.iter().enumerate() {
            if let Some(own) = in_ours.get(&child.id) {
                neighbour = Some(*own);
            } else if let Some(old) = in_base.get(&child.id) {
                if !same(base[*old].spot.node, child.spot.node) {
                    self.within(at, child, Self::conflict);
                }
            } else {
                match neighbour.or(end) {
                    Some(own) => new.behind[own].push(child),
                    None => new.first.push(child),
                }
            }
        }
        new
    }

    /// Merges a child of ours that stays.
    fn child(
        &mut self,
        at: usize,
        base: Option<&Child<'n>>,
        ours: &Child<'n>,
        theirs: Option<&Child<'n>>,
    ) -> Result<ExpectedMeaning<'n>, Refusal> {
        let Some(theirs) = theirs else { return Ok(ExpectedMeaning::As(ours.spot.node)) };
        self.within(at, ours, |merge| {
            merge.value(base.map(|base| base.spot), ours.spot, theirs.spot)
        })
    }

    fn follow_comments_above(
        &mut self,
        base: Option<&Child>,
        ours: &Child,
        theirs: Option<&Child>,
    ) {
        let (Some(base), Some(theirs)) = (base, theirs) else { return };
        let [old, new] = [(self.base, base), (self.theirs, theirs)]
            .map(|(document, child)| (document, child.spot.place));
        self.edits.extend(comments::above(old, (self.ours, ours.spot.place), new));
    }

    /// The start of a child's lines, including the comments above it; of a child to remove, only
    /// those that base has.
    fn start(&self, child: &Child, base: Option<&Child>, stays: bool) -> Result<usize, Refusal> {
        let place = own_line(child)?;
        let old = base.map(|base| lines_above(self.base.text, base.spot.place)).unwrap_or_default();
        let with_comments = stays || lines_above(self.ours.text, Some(place)) == old;
        let comments = place.comments_above(self.ours.text);
        Ok(if with_comments { comments.start } else { comments.end })
    }

    /// Inserts `new` at the start of the line at `position`, indented like `sibling`.
    fn insert(
        &mut self,
        kind: Kind,
        position: usize,
        sibling: &Child,
        new: &[&Child],
    ) -> Result<(), Refusal> {
        let (text, place) = (self.ours.text, sibling.spot.place.ok_or(FLOW)?);
        let newline = newline(text);
        // The last line of the text may lack a line break.
        let is_open = !text[..position].ends_with('\n');
        let lines =
            new.iter().map(|child| lines_of(self.theirs, child, kind, place.column, newline));
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        // Allocated large enough, so that no partial copy stays behind in memory.
        let size = lines.iter().map(|lines| lines.len()).sum::<usize>();
        let mut with = Zeroizing::new(String::with_capacity(size + newline.len() * lines.len()));
        for lines in &lines {
            let [before, behind] = if is_open { [newline, ""] } else { ["", newline] };
            for part in [before, lines, behind] {
                with.push_str(part);
            }
        }
        self.edits.push(Edit::new(position..position, with));
        Ok(())
    }

    /// Deletes the leading children that go, if the first one shares the line of a dash: the dash
    /// stays, for the first child that stays. Returns their number. Comments above that child are
    /// deleted with them; those of theirs are above the dash, or move there if base has ours above
    /// its dash.
    fn delete_leading(
        &mut self,
        parents: (Option<PlacedNode<'n>>, PlacedNode<'n>, PlacedNode<'n>),
        [base, ours, _]: &Children<'n>,
        in_base: &Index<'_, 'n>,
        stays: &[bool],
    ) -> Result<usize, Refusal> {
        let text = self.ours.text;
        let shares = |child: &&Child| child.spot.place.is_some_and(|place| !place.alone);
        let Some(first) = ours.first().filter(|first| shares(first) && !stays[0]) else {
            return Ok(0);
        };
        let next = stays.iter().position(|stays| *stays).ok_or(BEYOND)?;
        let (Some(start), Some(end)) = (first.spot.place, ours[next].spot.place) else {
            return Err(FLOW);
        };
        let in_base =
            |child: &Child<'n>| in_base.get(&child.id).and_then(|at| base[*at].spot.place);
        let is_theirs = |child: &Child<'n>| {
            let old = in_base(child);
            // Comments above the first key of an item are above its dash.
            let is_first = old.is_some_and(|place| !place.alone);
            let old = if is_first { parents.0.and_then(|item| item.place) } else { old };
            lines_above(text, child.spot.place) == lines_above(self.base.text, old)
        };
        let last = line_end(text, ours[next - 1].spot.node.end);
        let between = text.get(last..end.comments_above(text).start).ok_or(BEYOND)?;
        if !between.trim().is_empty() || !ours[1..=next].iter().all(is_theirs) {
            self.within(0, first, Self::conflict);
        } else if in_base(&ours[next]).is_some_and(|place| !place.alone) {
            let item = (self.ours, parents.1.place);
            self.edits.extend(comments::above(
                (self.ours, None),
                item,
                (self.theirs, parents.2.place),
            ));
        }
        self.edits.push(Edit::new(start.head..end.head, Zeroizing::default()));
        Ok(next)
    }

    /// Writes an empty collection for `parent`, which has no children left.
    fn emptied(
        &mut self,
        kind: Kind,
        base: Option<PlacedNode<'n>>,
        parent: PlacedNode<'n>,
    ) -> Result<ExpectedMeaning<'n>, Refusal> {
        let place = parent.place.ok_or("no key would be left")?;
        if base.is_none_or(|base| comments::has_own((self.ours, parent), (self.base, base))) {
            self.conflict();
        }
        let (with, meant) = match kind {
            Kind::Map => (" {}", ExpectedMeaning::Map(Vec::new())),
            Kind::Set | Kind::List => (" []", ExpectedMeaning::List(Vec::new())),
        };
        let end = line_end(self.ours.text, parent.node.end);
        self.edits.push(Edit::new(place.after..end, Zeroizing::new(with.to_owned())));
        Ok(meant)
    }

    fn within<T>(&mut self, at: usize, child: &Child<'n>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(match (child.key, &child.id) {
            (Some(_), Id::Name(key)) => Step::Key(key),
            _ => Step::Item(at),
        });
        let done = work(self);
        self.path.pop();
        done
    }
}

fn index<'c, 'n>(children: &'c [Child<'n>]) -> Index<'c, 'n> {
    children.iter().enumerate().map(|(at, child)| (&child.id, at)).collect()
}

fn name<'n>(id: &Id<'n>) -> Option<&'n str> {
    match id {
        Id::Name(name) => Some(name),
        _ => None,
    }
}

fn own_line(child: &Child) -> Result<Position, Refusal> {
    child.spot.place.filter(|place| place.alone).ok_or(FLOW)
}
