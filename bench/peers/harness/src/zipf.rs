//! Random ranks that follow Zipf's law.

/// A distribution of ranks from 1 to `keys`, in which rank *k* is 1/*k* times as frequent as the
/// first one. This is Zipf's law with s = 1, which words, pages and users follow roughly.
///
/// The method is rejection-inversion (Hörmann and Derflinger, 1996). It needs no table, so the
/// number of keys does not matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zipf {
    keys: f64,
    /// The integral of 1/x from 1 to the end of the last rank's part.
    last: f64,
    /// The integral of 1/x from 1 to the beginning of the first rank's part.
    first: f64,
    /// A rank that is at most this far above the drawn place is taken without a look at its share.
    near: f64,
}

impl Zipf {
    pub(crate) fn of(keys: u64) -> Self {
        Self {
            keys: keys as f64,
            last: (keys as f64 + 0.5).ln(),
            first: 1.5_f64.ln() - 1.0,
            near: 2.0 - (2.5_f64.ln() - 0.5).exp(),
        }
    }

    /// Returns the next rank. `random` returns random numbers from 0 to 1.
    pub(crate) fn draw(&self, mut random: impl FnMut() -> f64) -> u64 {
        loop {
            let area = self.last + random() * (self.first - self.last);
            let place = area.exp();
            let rank = place.round().clamp(1.0, self.keys);
            if rank - place <= self.near || area >= (rank + 0.5).ln() - 1.0 / rank {
                return rank as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Zipf;
    use crate::event::Random;

    #[test]
    fn the_second_comes_half_as_often_as_the_first() {
        const DRAWN: u32 = 1_000_000;
        let (zipf, mut random) = (Zipf::of(1000), Random::new(0));
        let mut met = [0u32; 1001];
        for _ in 0..DRAWN {
            met[zipf.draw(|| random.unit()) as usize] += 1;
        }
        let all: f64 = (1..=1000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1, 2, 3, 10, 100] {
            let expected = f64::from(DRAWN) / f64::from(rank) / all;
            let is = f64::from(met[rank as usize]);
            // The tolerance is five standard deviations.
            assert!((is - expected).abs() < 5.0 * expected.sqrt(), "rank {rank}: {is} instead of {expected}");
        }
        assert_eq!(met[0], 0);
        assert!(met[1000] > 0);
    }

    #[test]
    fn any_number_of_keys_is_possible() {
        let mut random = Random::new(3);
        for keys in [1, 2, 20_000_000] {
            let zipf = Zipf::of(keys);
            assert!((0..1000).all(|_| (1..=keys).contains(&zipf.draw(|| random.unit()))));
        }
    }
}
