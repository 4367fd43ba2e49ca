//! The member's own side of its membership: it asks for events, and joins again after it was
//! expelled.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BoxFuture, BrokerError, GroupConfig, GroupEvent, Membership, MetadataSource, TopicPartition};
use tokio::time::Instant;

use super::member::{Card, End, fenced};
use crate::handle::Handle;

/// The longest session. It is longer than any process runs, and short enough to be added to any
/// instant.
const LONGEST_SESSION: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The member's own side of its membership.
///
/// A membership that is dropped without [`leave`](Membership::leave) counts as crashed: its
/// partitions wait for the end of its session.
pub(crate) struct GroupMembership {
    handle: Arc<Handle>,
    config: GroupConfig,
    card: Arc<Card>,
    /// The number that the coordinator gave the member.
    number: u64,
    /// True after the member was told that it lost all its partitions. It joins again when it asks
    /// next.
    lost: bool,
}

impl GroupMembership {
    pub(crate) fn join(handle: Arc<Handle>, mut config: GroupConfig) -> Result<Self, BrokerError> {
        config.session_timeout = config.session_timeout.min(LONGEST_SESSION);
        for topic in &config.topics {
            handle.ledger.catalog.topic(topic)?;
        }
        let ledger = &handle.ledger;
        let card = Arc::new(Card::new(ledger.groups.introduce(&config)));
        let number = ledger
            .groups
            .with(&config.group, |group| group.join(&config, card.clone(), Instant::now(), &ledger.catalog));
        Ok(Self { handle, config, card, number, lost: false })
    }

    /// Joins again under a new id, so that what was begun under the old one stays refused.
    fn rejoin(&mut self) -> Result<(), BrokerError> {
        let Self { handle, config, card, .. } = &*self;
        let ledger = &handle.ledger;
        let number = ledger.groups.with(&config.group, |group| {
            if let Some(instance) = &config.instance
                && group.is_replaced(self.number, instance)
            {
                return Err(self.replaced(instance));
            }
            card.renew(ledger.groups.introduce(config));
            Ok(group.join(config, card.clone(), Instant::now(), &ledger.catalog))
        })?;
        self.number = number;
        self.lost = false;
        Ok(())
    }

    /// Returns the next event, or the time at which the member must ask again.
    fn ask(&mut self) -> Result<Result<GroupEvent, Instant>, BrokerError> {
        if self.lost {
            self.rejoin()?;
        }
        let now = Instant::now();
        let ledger = &self.handle.ledger;
        let heard = ledger.groups.with(&self.config.group, |group| {
            let event = group.hear(self.number, now, &ledger.catalog);
            event.ok_or_else(|| group.next_deadline())
        });
        match (heard, self.card.end()) {
            (_, Some(End::Replaced(instance))) => Err(self.replaced(&instance)),
            (_, Some(End::Expelled(lost))) => {
                self.lost = true;
                if lost.is_empty() {
                    return self.ask();
                }
                Ok(Ok(GroupEvent::Lost(lost)))
            }
            (Ok(event), None) => Ok(Ok(event)),
            (Err(deadline), None) => {
                // Three times in a session for the heartbeat, and when the session of another
                // member may end, because only a question expels that member.
                let beat = now + self.config.session_timeout / 3;
                Ok(Err(deadline.map_or(beat, |deadline| deadline.min(beat))))
            }
        }
    }

    fn replaced(&self, instance: &str) -> BrokerError {
        let reason = format!(
            "another member joined as the static instance `{instance}`: give each worker its own instance name \
             (--instance)"
        );
        fenced(&self.card.current(), reason)
    }
}

impl Membership for GroupMembership {
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async {
            loop {
                self.handle.check("membership of the group")?;
                let again = match self.ask()? {
                    Ok(event) => return Ok(event),
                    Err(again) => again,
                };
                tokio::select! {
                    biased;
                    () = self.card.news.notified() => {}
                    () = tokio::time::sleep_until(again) => {}
                }
            }
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>> {
        let ledger = &self.handle.ledger;
        let known = ledger.groups.with(&self.config.group, |group| {
            group.acknowledge(self.number, partitions, Instant::now(), &ledger.catalog)
        });
        let answer = match (known, self.card.end()) {
            (_, Some(End::Replaced(instance))) => Err(self.replaced(&instance)),
            (Some(()), None) => Ok(()),
            _ => Err(fenced(
                &self.card.current(),
                "its session expired, because the broker did not hear from it in time",
            )),
        };
        Box::pin(std::future::ready(answer))
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.card.clone()
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>> {
        if self.config.instance.is_none() {
            let ledger = &self.handle.ledger;
            ledger.groups.with(&self.config.group, |group| group.leave(self.number, &ledger.catalog));
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
