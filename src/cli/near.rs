//! "Did you mean": the nearest of the words that would have been right.

/// The word of `allowed` that is most like `word`, where one is like it at all.
pub fn nearest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = allowed.into_iter().map(|other| (edit_distance(word, other), other)).min()?;
    (near.0 <= 1 + word.chars().count() / 4).then_some(near.1)
}

/// How many characters must be put in, taken out, replaced or swapped with their neighbour to make `b` of `a`.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 { i + j } else { cheapest(&a, &b, &rows, i, j) };
        }
    }
    rows[a.len()][b.len()]
}

fn cheapest(a: &[char], b: &[char], rows: &[Vec<usize>], i: usize, j: usize) -> usize {
    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
    let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_near() {
        let words = ["gen", "deploy", "conflicts"];
        for (slip, word) in [("gne", "gen"), ("deploi", "deploy"), ("conflict", "conflicts"), ("Gen", "gen")] {
            assert_eq!(nearest(slip, words), Some(word), "{slip}");
        }
        assert_eq!((nearest("queue", words), nearest("", []), nearest("x", [])), (None, None, None));
        assert_eq!((edit_distance("ca", "abc"), edit_distance("", "abc"), edit_distance("ab", "ba")), (3, 3, 1));
    }
}
