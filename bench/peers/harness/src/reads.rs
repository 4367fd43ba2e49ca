//! Readers that query rows over HTTP while a system counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::PeersResult;
use crate::answer::truth;
use crate::counts::Key;
use crate::event::{Event, Events};
use crate::feed::Feed;
use crate::figures::Figures;
use crate::outcome::Setback;
use crate::work::Job;

/// The number of readers. Each sends its next request when it has an answer.
const READERS: u64 = 4;

/// The number of rows that are compared with the expected counts at the end.
const COMPARED: usize = 200;

/// The time within which a row must show an event after its commit.
const SHOWS_WITHIN: Duration = Duration::from_secs(2);

/// Readers of random rows over HTTP.
pub(crate) struct Readers {
    port: u16,
    keys: u64,
    reading: Option<Reading>,
    read: Option<(Duration, Histogram<u64>)>,
}

/// Readers that are running.
struct Reading {
    begun: Instant,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<PeersResult<Histogram<u64>>>>,
}

/// The times of all reads, in microseconds.
pub(crate) struct Reads {
    during: Duration,
    times: Histogram<u64>,
}

impl Readers {
    /// Creates the readers of a table with `keys` pages.
    pub(crate) fn new(port: u16, keys: u64) -> Self {
        Self { port, keys, reading: None, read: None }
    }

    /// Starts the readers when `now` is first true, and ends them when it is false again.
    ///
    /// # Errors
    /// When a read was not answered.
    pub(crate) fn let_read(&mut self, now: bool) -> PeersResult<()> {
        if now && self.reading.is_none() && self.read.is_none() {
            let stop = Arc::new(AtomicBool::new(false));
            let threads = (0..READERS)
                .map(|number| {
                    let (port, keys, stop) = (self.port, self.keys, stop.clone());
                    std::thread::spawn(move || read_on(port, keys, number, &stop))
                })
                .collect();
            self.reading = Some(Reading { begun: Instant::now(), stop, threads });
        } else if !now {
            self.end()?;
        }
        Ok(())
    }

    fn end(&mut self) -> PeersResult<()> {
        if let Some(Reading { begun, stop, threads }) = self.reading.take() {
            stop.store(true, Ordering::Relaxed);
            let mut all = histogram()?;
            for thread in threads {
                all.add(thread.join().map_err(|_| "a reader panicked")??)?;
            }
            self.read = Some((begun.elapsed(), all));
        }
        Ok(())
    }

    /// Compares rows with the expected counts, after everything is committed. Returns the times of
    /// the reads.
    pub(crate) fn finish(mut self, feeds: &[Feed]) -> Result<Reads, Setback> {
        self.end()?;
        let agent = agent();
        let truth = truth(Job::Serve, feeds);
        let committed = Instant::now();
        for event in Events::new(self.keys, u64::from(u16::MAX)).take(COMPARED) {
            let key = Event::page_key(event.page);
            let should = Some(truth.get(Key::Page(event.page))).filter(|count| *count > 0);
            let mut is = ask(&agent, self.port, event.page)?;
            while is != should && committed.elapsed() < SHOWS_WITHIN {
                std::thread::sleep(Duration::from_millis(20));
                is = ask(&agent, self.port, event.page)?;
            }
            if is != should {
                return Err(Setback::Wrong(format!("GET /counts/{key} says {is:?} instead of {should:?}")));
            }
        }
        let (during, times) = self.read.take().ok_or("no row was read while it counted: too few events")?;
        Ok(Reads { during, times })
    }
}

impl Reads {
    /// Adds the times to `figures`.
    pub(crate) fn tell(&self, figures: &mut Figures) {
        let milliseconds = |quantile| Some(self.times.value_at_quantile(quantile) as f64 / 1000.0);
        figures.p50_ms = milliseconds(0.5);
        figures.p99_ms = milliseconds(0.99);
        figures.reads_per_second = Some(self.times.len() as f64 / self.during.as_secs_f64());
    }
}

fn read_on(port: u16, keys: u64, number: u64, stop: &AtomicBool) -> PeersResult<Histogram<u64>> {
    let (agent, mut times) = (agent(), histogram()?);
    for event in Events::new(keys, 1000 + number) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        ask(&agent, port, event.page)?;
        times.record(asked.elapsed().as_micros() as u64)?;
    }
    Ok(times)
}

/// Returns an HTTP client that keeps its connection.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// Returns the count of a page, if it has one.
fn ask(agent: &ureq::Agent, port: u16, page: u64) -> PeersResult<Option<u64>> {
    let address = format!("http://127.0.0.1:{port}/counts/{}", Event::page_key(page));
    let mut answer = agent.get(&address).call().map_err(|error| format!("GET {address}: {error}"))?;
    let text = answer.body_mut().read_to_string().map_err(|error| format!("GET {address}: {error}"))?;
    match answer.status().as_u16() {
        200 => Ok(Some(text.trim().parse().map_err(|_| format!("GET {address} says `{text}`, which is no count"))?)),
        404 => Ok(None),
        status => Err(format!("GET {address} is answered with {status}: {text}").into()),
    }
}

/// Returns a histogram for times from 1 µs to 10 minutes.
pub(crate) fn histogram() -> PeersResult<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}
