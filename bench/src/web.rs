//! The web server of the example `flights` while clients hold connections: slow bodies, idle
//! connections, and more connections than it has files for.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::{BenchResult, runtime};

/// Starts `flights` with a low limit of open files and holds connections to it. Prints a JSON line
/// for each load: how long `/healthz` took on new connections, the memory, and how many events were
/// handled.
#[derive(Args)]
pub(crate) struct Web {
    /// The path of the program `flights`.
    #[arg(long)]
    flights: PathBuf,
    /// The duration of each load, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// The number of files that the program may open.
    #[arg(long, default_value_t = 1024)]
    files: u32,
    /// The number of flights that the program reads per second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
}

/// The behaviour of the connections that are held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Each begins a change, and sends a byte of its body every five seconds.
    SlowBodies,
    /// Each sends nothing.
    Nothing,
}

struct Load {
    name: &'static str,
    connections: usize,
    holds: Holds,
}

const LOADS: [Load; 5] = [
    Load { name: "none", connections: 0, holds: Holds::Nothing },
    Load { name: "slow bodies", connections: 800, holds: Holds::SlowBodies },
    Load { name: "idle connections", connections: 500, holds: Holds::Nothing },
    Load { name: "more than half of the files", connections: 681, holds: Holds::Nothing },
    Load { name: "none again", connections: 0, holds: Holds::Nothing },
];

/// The result under a load.
#[derive(Serialize)]
struct Measured {
    load: &'static str,
    connections: usize,
    asked: usize,
    failed: usize,
    health_p50_ms: f64,
    health_p99_ms: f64,
    health_most_ms: f64,
    resident_mb_before: f64,
    resident_mb_after: f64,
    events: u64,
}

/// The process of `flights`. It is killed when this value is dropped.
struct Flights(Child);

impl Drop for Flights {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Web {
    pub(crate) fn run(self) -> BenchResult<()> {
        runtime()?.block_on(self.measure())
    }

    async fn measure(self) -> BenchResult<()> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {}; exec \"$0\" \"$@\"", self.files)]).arg(&self.flights);
        command.args(["--web", &address, "--rate", &self.rate.to_string(), "--data-dir"]).arg(folder.path());
        let flights = Flights(command.stdout(Stdio::null()).spawn()?);
        while !matches!(ask_anew(&address, "/readyz").await, Ok(true)) {
            sleep(Duration::from_millis(100)).await;
        }
        // This connection is older than all loads, so the server always answers it with the number
        // of events.
        let mut known = TcpStream::connect(&address).await?;
        for load in LOADS {
            let (before, events) = (resident(&flights.0)?, handled(&mut known).await?);
            let held =
                (0..load.connections).map(|_| tokio::spawn(hold(address.clone(), load.holds))).collect::<Vec<_>>();
            let until = Instant::now() + Duration::from_secs(self.seconds);
            let (mut times, mut failed) = (Vec::new(), 0);
            while Instant::now() < until {
                let begun = Instant::now();
                let answered = timeout(Duration::from_secs(10), ask_anew(&address, "/healthz")).await;
                if !matches!(answered, Ok(Ok(true))) {
                    failed += 1;
                }
                times.push(begun.elapsed().as_secs_f64() * 1000.0);
                sleep(Duration::from_millis(10)).await;
            }
            times.sort_by(f64::total_cmp);
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
            let measured = Measured {
                load: load.name,
                connections: load.connections,
                asked: times.len(),
                failed,
                health_p50_ms: at(0.5),
                health_p99_ms: at(0.99),
                health_most_ms: at(1.0),
                resident_mb_before: before,
                resident_mb_after: resident(&flights.0)?,
                events: handled(&mut known).await? - events,
            };
            println!("{}", serde_json::to_string(&measured)?);
            held.into_iter().for_each(|held| held.abort());
            sleep(Duration::from_secs(3)).await;
        }
        Ok(())
    }
}

/// Sends a request on a connection of its own, as an orchestrator does. Returns whether the answer
/// is 200.
async fn ask_anew(address: &str, path: &str) -> BenchResult<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

/// Holds a connection for as long as the server allows it.
async fn hold(address: String, holds: Holds) {
    let Ok(mut stream) = TcpStream::connect(&address).await else { return };
    let head = b"POST /topics/flights HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{";
    if holds == Holds::SlowBodies && stream.write_all(head).await.is_err() {
        return;
    }
    loop {
        sleep(Duration::from_secs(5)).await;
        if holds == Holds::SlowBodies && stream.write_all(b" ").await.is_err() {
            return;
        }
    }
}

/// Returns the number of events that the program has handled, from its metrics.
async fn handled(stream: &mut TcpStream) -> BenchResult<u64> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    loop {
        let mut some = [0; 65536];
        let count = stream.read(&mut some).await?;
        answer.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return Err("the connection that was there is gone".into());
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if length.is_some_and(|length| body.len() >= length) {
            let samples = body.lines().filter(|line| line.starts_with("marlowe_events_handled_total{"));
            return Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64);
        }
        if count == 0 {
            return Err("the connection that was there is gone".into());
        }
    }
}

/// Returns the resident memory of a process, in megabytes.
fn resident(process: &Child) -> BenchResult<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1000.0)
}
