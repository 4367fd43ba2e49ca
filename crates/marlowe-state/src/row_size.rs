//! An estimate of the size of a slice's rows.

/// An estimate of the number of bytes that a row of a slice takes once it is encoded.
///
/// It follows the sizes that flushes see. Until the first flush, and while rows pile up, a row is
/// encoded as a sample. This happens whenever there are twice as many rows as at the last sample.
#[derive(Clone, Copy, Default)]
pub(crate) struct RowSize {
    average: usize,
    sampled_at: usize,
}

impl RowSize {
    pub(crate) fn estimate(&self, rows: usize) -> usize {
        self.average * rows
    }

    pub(crate) fn wants_sample(&self, rows: usize) -> bool {
        rows > 2 * self.sampled_at
    }

    pub(crate) fn sample(&mut self, rows: usize, bytes: usize) {
        self.average = if self.average == 0 { bytes } else { (3 * self.average + bytes) / 4 };
        self.sampled_at = rows;
    }

    pub(crate) fn flushed(&mut self, rows: u64, bytes: u64) {
        if let Some(average) = bytes.checked_div(rows) {
            self.average = average as usize;
        }
        self.sampled_at = 0;
    }
}
