//! Cholesky factors of small matrices, row by row, in place.

/// Turns the lower triangle of a symmetric n×n matrix M into L, M = LLᵀ; false where M is not positive definite.
#[must_use]
pub fn factor(matrix: &mut [f64], n: usize) -> bool {
    for row in 0..n {
        for column in 0..=row {
            let (above, below) = (&matrix[column * n..column * n + column], &matrix[row * n..row * n + column]);
            let known: f64 = above.iter().zip(below).map(|(left, right)| left * right).sum();
            let left = matrix[row * n + column] - known;
            if row == column {
                if !(left > 0.0 && left.is_finite()) {
                    return false;
                }
                matrix[row * n + row] = left.sqrt();
            } else {
                matrix[row * n + column] = left / matrix[column * n + column];
            }
        }
    }
    true
}

/// L⁻¹x in place.
pub fn solve_lower(factor: &[f64], n: usize, x: &mut [f64]) {
    for row in 0..n {
        let known: f64 = factor[row * n..row * n + row].iter().zip(x.iter()).map(|(left, right)| left * right).sum();
        x[row] = (x[row] - known) / factor[row * n + row];
    }
}

/// L⁻ᵀx in place.
pub fn solve_upper(factor: &[f64], n: usize, x: &mut [f64]) {
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|below| factor[below * n + row] * x[below]).sum();
        x[row] = (x[row] - known) / factor[row * n + row];
    }
}
