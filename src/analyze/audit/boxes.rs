//! The boxes of steps whose sets have holes.

use super::grid::{Grid, Span};

/// The boxes that are in all of some steps, one after the other.
pub(super) struct Boxes {
    /// For each axis its runs.
    runs: Vec<Vec<Span>>,
    /// Which run of each axis comes next; nothing after the last.
    next: Option<Vec<usize>>,
    space: Vec<Span>,
}

impl Boxes {
    pub(super) fn new(grid: &Grid, within: &[u32]) -> Self {
        let runs: Vec<Vec<Span>> = (0..grid.width()).map(|axis| common(grid, within, axis)).collect();
        let next = (!runs.iter().any(Vec::is_empty)).then(|| vec![0; runs.len()]);
        Self { runs, next, space: Vec::new() }
    }

    pub(super) fn next(&mut self) -> Option<&[Span]> {
        let at = self.next.as_mut()?;
        self.space.clear();
        self.space.extend(self.runs.iter().zip(at.iter()).map(|(runs, n)| runs[*n]));
        let turned = self.runs.iter().zip(at.iter_mut()).any(|(runs, n)| {
            *n = (*n + 1) % runs.len();
            *n != 0
        });
        if !turned {
            self.next = None;
        }
        Some(&self.space)
    }
}

fn common(grid: &Grid, within: &[u32], axis: usize) -> Vec<Span> {
    let Some((first, others)) = within.split_first() else { return Vec::new() };
    let mut all = grid.runs(*first, axis).to_vec();
    for other in others {
        let runs = grid.runs(*other, axis);
        all =
            all.iter().flat_map(|span| runs.iter().map(|run| run.and(*span)).filter(|both| !both.is_empty())).collect();
    }
    all
}
