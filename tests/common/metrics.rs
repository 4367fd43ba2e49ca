//! The metrics of a worker.

use super::client::Client;

/// The samples on a worker's page of metrics, as they were at one moment. Each has a name, which
/// includes its labels, and a value.
pub(crate) struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Asks the worker for its metrics.
    pub(crate) fn of(client: &Client) -> Self {
        Self::parse(&client.get("/metrics").text)
    }

    /// Reads a page of metrics.
    pub(crate) fn parse(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse::<f64>().ok()?))
        };
        Self(samples.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect())
    }

    /// Returns the value of the sample `name`, and panics if there is none.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> f64 {
        let sample = self.0.iter().find(|(sample, _)| sample == name);
        sample.unwrap_or_else(|| panic!("no {name} in {:?}", self.0)).1
    }

    /// Returns the values of the samples whose names begin with `prefix`.
    pub(crate) fn all(&self, prefix: &str) -> Vec<f64> {
        self.0.iter().filter(|(sample, _)| sample.starts_with(prefix)).map(|(_, value)| *value).collect()
    }

    /// Returns the sum of the samples whose names begin with `prefix`.
    pub(crate) fn sum(&self, prefix: &str) -> f64 {
        self.all(prefix).into_iter().sum()
    }
}
