//! The conformance suite: what every implementation of [`Broker`](crate::Broker) must do.
//!
//! A check is an async function that is written against the trait alone. It takes a [`Setting`],
//! which has the broker to check. It panics when the broker does not conform. Each check uses
//! topics and groups with names of its own, and waits no longer than the setting's patience. So all
//! checks can run at the same time on one broker.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a `#[tokio::test]` of each check. The
//! modules are the subjects: [`topics`], [`records`], [`deletions`] and [`readers`] check the log,
//! [`transactions`] and [`fencing`] check exactly-once commits, and [`positions`], [`groups`] and
//! [`sessions`] check consumer groups. Start reading with [`records`], which needs the fewest
//! helpers. The private modules are those helpers: `exchange` sends and reads records, `attendant`
//! runs a member of a group on a task.

mod attendant;
mod exchange;
mod setting;

pub mod deletions;
pub mod fencing;
pub mod groups;
pub mod positions;
pub mod readers;
pub mod records;
pub mod sessions;
pub mod topics;
pub mod transactions;

pub use setting::Setting;

/// Makes a `#[tokio::test]` of each check of the suite. `$setting` is an expression that gives a
/// future of the check's [`Setting`](crate::conformance::Setting). The calling crate needs tokio
/// with the features `macros` and `rt`.
#[macro_export]
macro_rules! conformance_tests {
    ($setting:expr) => {
        $crate::conformance_tests! { @each $setting;
            topics::a_created_topic_is_described_and_listed,
            topics::a_topic_tells_how_long_its_tombstones_are_kept,
            topics::a_topic_that_is_made_anew_is_told_from_the_one_before,
            topics::a_topic_is_created_once,
            topics::a_bad_topic_is_refused,
            topics::a_deleted_topic_is_gone_with_its_positions,
            topics::what_is_not_there_is_named,
            records::records_come_back_as_they_were_sent,
            records::records_of_a_partition_keep_their_order,
            records::a_flush_tells_where_records_went,
            records::a_record_over_the_limit_is_refused_and_the_producer_goes_on,
            records::a_record_that_is_refused_for_good_is_told_so,
            records::a_partition_has_one_destination,
            records::offsets_are_found_by_end_and_by_time,
            deletions::records_before_an_offset_are_deleted,
            deletions::a_deletion_may_be_repeated,
            deletions::a_partition_may_be_emptied,
            deletions::a_deletion_that_cannot_be_is_refused,
            readers::reading_begins_at_the_offset_asked_for,
            readers::reading_all_ends_at_the_latest_offset,
            readers::a_paused_source_keeps_its_place,
            readers::a_source_can_be_moved,
            readers::an_unassigned_source_is_silent,
            readers::an_offset_out_of_range_is_told_and_unassigned,
            readers::sources_take_turns,
            readers::a_dropped_poll_loses_nothing,
            readers::a_waiting_reader_is_woken,
            readers::a_source_is_quiet_and_then_busy,
            transactions::a_commit_shows_records_and_positions_together,
            transactions::an_open_transaction_is_not_seen,
            transactions::an_aborted_transaction_is_never_seen,
            transactions::a_transaction_may_have_positions_only,
            transactions::a_transaction_may_be_empty,
            transactions::calls_out_of_order_are_refused,
            fencing::a_newer_producer_fences_the_older,
            fencing::a_member_that_left_commits_nothing,
            fencing::a_member_nobody_knows_commits_nothing,
            fencing::a_generation_to_come_is_refused,
            fencing::empty_positions_still_check_the_member,
            fencing::a_member_commits_while_others_come_and_go,
            positions::positions_are_kept_with_their_notes,
            positions::a_note_that_is_too_long_is_refused,
            positions::a_member_commits_outside_transactions,
            positions::a_deleted_group_has_no_positions,
            groups::partitions_are_balanced_for_any_number_of_members,
            groups::a_partition_moves_only_after_it_was_acknowledged,
            groups::what_need_not_move_stays,
            groups::a_member_that_leaves_gives_all_up_at_once,
            groups::topics_of_a_group_are_balanced_together,
            sessions::a_silent_member_is_expelled,
            sessions::an_expelled_member_learns_what_it_lost_and_comes_back,
            sessions::a_dropped_member_keeps_its_partitions_for_the_session,
            sessions::a_static_member_comes_back_to_its_partitions,
            sessions::a_static_member_that_stays_away_is_expelled,
            sessions::a_second_static_member_fences_the_first,
            sessions::a_dropped_wait_for_news_loses_nothing,
        }
    };
    (@each $setting:expr; $($module:ident :: $check:ident,)+) => {
        $(
            #[::tokio::test]
            async fn $check() {
                $crate::conformance::$module::$check(&$setting.await).await;
            }
        )+
    };
}
