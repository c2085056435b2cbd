//! Lines with tabs as columns.

/// Lines with tabs as columns: each as wide as its widest cell and three blanks, ten at the least, as docker's.
pub(super) fn columns(lines: &[String]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        let mut cells: Vec<_> = line.split('\t').collect();
        // The last one of a line ends where it ends.
        cells.pop();
        for (column, cell) in cells.into_iter().enumerate() {
            let width = (cell.chars().count() + 3).max(10);
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for line in lines {
        let cells: Vec<_> = line.split('\t').collect();
        for (column, cell) in cells.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < cells.len() {
                let blanks = widths.get(column).copied().unwrap_or(0).saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push('\n');
    }
    text
}
