//! The end of a transaction that is in doubt: the next producer of its id makes it once more, and
//! aborts it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Unfinished, one_each};
use crate::native::{Failure, Identity, Remedy};
use crate::writer::{STEP, Wanted, Writer};

impl Unfinished {
    /// Makes the transaction once more with `writer`, which has its id, and aborts it. The writer
    /// must not be used after that.
    pub(crate) fn end(&mut self, writer: &mut Writer, answer: Duration, wanted: &Wanted) -> Result<(), Failure> {
        writer.client.begin_transaction()?;
        if let Err((failure, refused)) = writer.produce(&self.records, 0, &self.destinations, wanted) {
            if failure.code.is_for_good() {
                self.records = one_each(&self.records, |to| to != refused);
            }
            return Err(failure);
        }
        while let Err(failure) = writer.client.flush(STEP) {
            if !wanted.is_wanted() {
                return Err(failure);
            }
        }
        if let Err((code, refused)) = writer.written() {
            // The next try leaves out a record that the brokers refuse, or whose partition no
            // longer exists.
            if code.is_for_good() {
                self.records = one_each(&self.records, |to| to != refused);
            }
            return Err(Failure::of(code));
        }
        if let Some((group, places)) = &self.positions {
            let nobody = Identity { group: group.clone(), member: String::new(), generation: -1, instance: None };
            match writer.client.send_offsets(places, &nobody, answer) {
                // The group's partition is added to the transaction before the group is asked. So
                // it does not matter if the group refuses this identity.
                Err(failure) if !failure.code.is_fenced() => return Err(failure),
                _ => {}
            }
        }
        let deadline = Instant::now() + answer;
        loop {
            match writer.client.abort_transaction(answer) {
                Err(failure) if failure.remedy == Remedy::Retry && wanted.is_wanted() && Instant::now() < deadline => {}
                aborted => return aborted,
            }
        }
    }
}
