//! The query of a request: its fields, and those that several routes have in common.

use std::time::Duration;

use marlowe_broker::Partition;

use crate::codec::percent;
use crate::table::AnyTable;
use crate::topology::TableKind;
use crate::web::problem::Problem;

/// The time that a request waits for a slice that is not open, unless it says otherwise.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// The longest time for which a request may wait.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The query of a request. Its values are bytes, because keys are bytes.
pub(crate) struct Query {
    fields: Vec<(String, Vec<u8>)>,
}

impl Query {
    /// Reads a query that may have only the fields in `known`. Otherwise a misspelt field would
    /// seem to have had an effect.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut fields = Vec::new();
        for field in query.unwrap_or_default().split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let plain = |text: &str| percent::decode(&text.replace('+', " "));
            let name = String::from_utf8_lossy(&plain(name)).into_owned();
            if !known.contains(&name.as_str()) {
                let known = known.join("=, ?");
                return Err(Problem::bad_request(format!("`?{name}=` is not known here; known are: ?{known}=")));
            }
            fields.push((name, plain(value)));
        }
        Ok(Self { fields })
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.bytes(name) else { return Ok(None) };
        let text = String::from_utf8_lossy(value);
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Problem::bad_request(format!("`?{name}={text}`: write a whole number from 0"))),
        }
    }

    pub(crate) fn partition(&self, name: &str, partitions: u32) -> Result<Option<Partition>, Problem> {
        match self.number(name)? {
            None => Ok(None),
            Some(number) => match u32::try_from(number) {
                Ok(number) if number < partitions => Ok(Some(Partition::new(number))),
                _ => Err(Problem::bad_request(format!(
                    "`?{name}={number}`: the table has {partitions} partitions, numbered from 0"
                ))),
            },
        }
    }

    /// Returns the time for which `?wait=` says to wait.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, Problem> {
        match self.number("wait")?.map(Duration::from_millis) {
            Some(wait) if wait > MAX_WAIT => {
                Err(Problem::bad_request(format!("`?wait=`: at most {} (milliseconds)", MAX_WAIT.as_millis())))
            }
            wait => Ok(wait),
        }
    }

    /// Returns how stale the answer of a standby may be. `None` means that a standby may not
    /// answer.
    pub(crate) fn stale(&self, table: &dyn AnyTable) -> Result<Option<Duration>, Problem> {
        let stale = self.number("stale")?.map(Duration::from_millis);
        if stale.is_some() && table.identity().kind == TableKind::Global {
            return Err(Problem::bad_request(format!(
                "table `{}` is global, and is answered from a copy whose staleness is not known; leave out ?stale=",
                table.name()
            )));
        }
        Ok(stale)
    }

    /// Returns the time at which waiting ends.
    pub(crate) fn deadline(&self) -> Result<tokio::time::Instant, Problem> {
        Ok(tokio::time::Instant::now() + self.wait()?.unwrap_or(DEFAULT_WAIT))
    }
}
