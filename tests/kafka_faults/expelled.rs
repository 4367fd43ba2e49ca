//! Tests of members that the group expels while they have partitions to give up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{GroupConfig, GroupEvent, Membership, TopicConfig, TopicPartition};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::scene::{Scene, eventually, within};

const PARTITIONS: u32 = 6;

/// A member that gives up partitions as soon as it is asked to.
struct Willing {
    owned: Arc<Mutex<BTreeSet<TopicPartition>>>,
    task: AbortHandle,
}

impl Willing {
    fn attend(mut member: Box<dyn Membership>) -> Self {
        let owned: Arc<Mutex<BTreeSet<TopicPartition>>> = Arc::default();
        let known = owned.clone();
        let task = tokio::spawn(async move {
            while let Ok(event) = member.next().await {
                match event {
                    GroupEvent::Assigned(places) => known.lock().extend(places),
                    GroupEvent::Revoked(places) => {
                        known.lock().retain(|place| !places.contains(place));
                        // If this is refused, the member is told of a loss.
                        let _ = member.acknowledge(&places).await;
                    }
                    GroupEvent::Lost(_) => known.lock().clear(),
                }
            }
        });
        Self { owned, task: task.abort_handle() }
    }

    fn owned(&self) -> BTreeSet<TopicPartition> {
        self.owned.lock().clone()
    }
}

impl Drop for Willing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes a member acknowledge too late. The group waits for it no longer than a session, and gives
/// all its partitions to others. If the member acknowledges just then, before it has heard of the
/// loss, its client joins again by itself, with the partitions that it believes to own. It could
/// then commit work on partitions that others own by now.
#[tokio::test]
async fn a_late_member_keeps_its_id_until_it_is_told_that_all_is_lost() {
    let scene = Scene::shared().await;
    for round in 0..4 {
        let anchor = format!("{}-late-{round}", scene.app);
        scene.broker.create_topic(TopicConfig::new(anchor.as_str(), PARTITIONS)).await.unwrap();
        let mut config = GroupConfig::new(&*anchor, [anchor.as_str().into()]);
        config.session_timeout = Duration::from_secs(4);
        let join = async || scene.broker.join(config.clone()).await.unwrap();

        let mut late = join().await;
        let mut owned = BTreeSet::new();
        while owned.len() < PARTITIONS as usize {
            match within(late.next()).await.unwrap() {
                GroupEvent::Assigned(places) => owned.extend(places),
                other => panic!("it is alone, and was told {other:?}"),
            }
        }
        let two = Willing::attend(join().await);
        let revoked = match within(late.next()).await.unwrap() {
            GroupEvent::Revoked(places) => places,
            other => panic!("half of it has to move, and it was told {other:?}"),
        };
        let three = Willing::attend(join().await);
        let mut told = None;
        eventually("others have all", async || {
            // The member is alive, and gets any event that there is.
            if told.is_none()
                && let Ok(event) = tokio::time::timeout(Duration::from_millis(5), late.next()).await
            {
                told = Some(event.unwrap());
            }
            two.owned().len() + three.owned().len() == PARTITIONS as usize
        })
        .await;
        let kept: BTreeSet<_> = owned.into_iter().filter(|place| !revoked.contains(place)).collect();
        if told.is_none() {
            // This is refused if the client knows of the loss by now.
            let _ = late.acknowledge(&revoked).await;
            let metadata = late.metadata();
            let name = metadata.current().member;
            let named = async {
                loop {
                    assert_eq!(metadata.current().member, name, "round {round}: its work is another member's now");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            told = tokio::select! {
                event = within(late.next()) => Some(event.unwrap()),
                never = named => never,
            };
        }
        match told {
            Some(GroupEvent::Lost(lost)) => assert!(kept.is_subset(&lost.into_iter().collect())),
            other => panic!("round {round}: others have all, and it was told {other:?}"),
        }
        let late = Willing::attend(late);
        eventually("each has a share again, and no two the same", async || {
            let shares = [late.owned(), two.owned(), three.owned()];
            let all: BTreeSet<_> = shares.iter().flatten().collect();
            all.len() == PARTITIONS as usize && shares.iter().all(|share| share.len() == 2)
        })
        .await;
    }
}
