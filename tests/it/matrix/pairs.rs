//! Generates few rows in which every pair of values occurs. Does not know the meaning of values.

use std::collections::BTreeMap;

/// A parameter and one of its values, by number.
type Pick = (usize, usize);

/// How often each allowed pair of values has occurred.
struct Pairs<'f> {
    sizes: Vec<usize>,
    forbidden: &'f dyn Fn(Pick, Pick) -> bool,
    met: BTreeMap<(Pick, Pick), usize>,
}

impl Pairs<'_> {
    fn may_meet(&self, one: Pick, other: Pick) -> bool {
        !(self.forbidden)(one, other) && !(self.forbidden)(other, one)
    }

    /// The gain of adding a value to those chosen: a new pair is worth more than any old one, and a
    /// rare one more than a common one. `None` if it must not be combined with one of them.
    fn worth(&self, chosen: &[Pick], value: Pick) -> Option<usize> {
        chosen.iter().try_fold(0, |sum, &other| {
            let met = self.met.get(&ordered(value, other))?;
            Some(sum + if *met == 0 { 1_000_000 } else { 10_000 / (met + 1) })
        })
    }

    /// A row that begins with the rarest pair.
    fn row(&self) -> Vec<usize> {
        let ((one, other), _) =
            self.met.iter().min_by_key(|(_, met)| **met).expect("two parameters");
        let mut chosen = vec![*one, *other];
        for parameter in
            (0..self.sizes.len()).filter(|number| *number != one.0 && *number != other.0)
        {
            let values = (0..self.sizes[parameter]).map(|value| (parameter, value));
            // Of equal values the last one wins: plain values come first in the table, and are
            // common anyway.
            let best = values
                .filter_map(|value| self.worth(&chosen, value).map(|worth| (worth, value)))
                .max()
                .unwrap_or_else(|| panic!("no value of parameter {parameter} may meet {chosen:?}"));
            chosen.push(best.1);
        }
        chosen.sort_unstable();
        chosen.into_iter().map(|(_, value)| value).collect()
    }

    fn count(&mut self, row: &[usize]) {
        let picks: Vec<Pick> = row.iter().copied().enumerate().collect();
        for (number, one) in picks.iter().enumerate() {
            for other in &picks[number + 1..] {
                *self.met.get_mut(&(*one, *other)).expect("a pair that may meet") += 1;
            }
        }
    }
}

fn ordered(one: Pick, other: Pick) -> (Pick, Pick) {
    if one < other { (one, other) } else { (other, one) }
}

/// Rows with one value for each parameter; `sizes` are the numbers of values. Every pair that is
/// not forbidden occurs in one of them. At least `least` rows, if that many exist. Deterministic.
pub fn rows(
    sizes: &[usize],
    forbidden: &dyn Fn(Pick, Pick) -> bool,
    least: usize,
) -> Vec<Vec<usize>> {
    let mut pairs = Pairs { sizes: sizes.to_vec(), forbidden, met: BTreeMap::new() };
    let values = |parameter: usize| (0..sizes[parameter]).map(move |value| (parameter, value));
    for one in (0..sizes.len()).flat_map(values) {
        for other in (one.0 + 1..sizes.len()).flat_map(values) {
            if pairs.may_meet(one, other) {
                pairs.met.insert((one, other), 0);
            }
        }
    }
    let mut rows: Vec<Vec<usize>> = Vec::new();
    while rows.len() < least || pairs.met.values().any(|met| *met == 0) {
        let row = pairs.row();
        pairs.count(&row);
        if !rows.contains(&row) {
            rows.push(row);
        } else if pairs.met.values().all(|met| *met > rows.len()) {
            break; // so few values that there are no more rows
        }
    }
    rows
}

/// Allowed pairs that occur in no row.
fn left_out(
    sizes: &[usize],
    forbidden: &dyn Fn(Pick, Pick) -> bool,
    rows: &[Vec<usize>],
) -> Vec<(Pick, Pick)> {
    let mut left = Vec::new();
    for (one, size) in sizes.iter().enumerate() {
        for (other, other_size) in sizes.iter().enumerate().skip(one + 1) {
            for pair in
                (0..*size).flat_map(|a| (0..*other_size).map(move |b| ((one, a), (other, b))))
            {
                let may = !forbidden(pair.0, pair.1) && !forbidden(pair.1, pair.0);
                let is_in = |row: &Vec<usize>| row[one] == pair.0.1 && row[other] == pair.1.1;
                if may && !rows.iter().any(is_in) {
                    left.push(pair);
                }
            }
        }
    }
    left
}

#[test]
fn every_pair_is_in_a_row_and_no_forbidden_one() {
    let forbidden = |one: Pick, other: Pick| one == (0, 1) && (other == (1, 1) || other == (2, 0));
    for sizes in [&[2, 2, 2][..], &[3, 3, 3, 3], &[5, 4, 3, 2, 2, 2, 2, 2]] {
        for least in [0, 30] {
            let rows = rows(sizes, &forbidden, least);
            assert_eq!(left_out(sizes, &forbidden, &rows), [], "{sizes:?}");
            assert!(rows.iter().all(|row| row[0] != 1 || (row[1] != 1 && row[2] != 0)), "{rows:?}");
            let all: usize = sizes.iter().product();
            assert!(rows.len() >= least.min(all / 2), "{sizes:?}: {}", rows.len());
            assert!(rows.len() <= least.max(sizes[0] * sizes[1] * 2), "{sizes:?}: {}", rows.len());
        }
    }
}

#[test]
fn of_the_table_every_pair_is_in_a_row() {
    let (sizes, forbidden) = (super::sizes(), super::forbidden);
    assert_eq!(left_out(&sizes, &forbidden, &rows(&sizes, &forbidden, super::ROWS)), []);
}
