//! What every backend of the store must do, said once and run on each of them.

mod administration;
mod fixture;
mod reading;
mod registering;
mod schema;

use fixture::Fixture;

macro_rules! on_every_backend {
    ($($area:ident: $($behaviour:ident),+;)+) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$area::$behaviour(super::Fixture::sqlite().await).await;
                }
            )+)+
        }
    };
}

on_every_backend! {
    registering:
        what_is_registered_is_read_back_as_it_was,
        a_repeat_is_told_what_is_stored,
        of_two_under_one_id_in_a_call_the_first_wins,
        known_ones_among_many_do_not_hinder_the_others,
        overlapping_calls_at_once_store_each_message_once,
        the_same_envelope_is_one_dead_letter,
        a_dead_letter_yields_to_the_stored_message,
        an_answer_names_the_epoch_that_took_it,
        data_keys_come_with_their_messages_and_stay_as_they_were,
        counters_count_the_rows_that_went_in,
        large_bodies_are_stored,
        an_empty_call_changes_nothing;
    reading:
        what_is_neither_message_nor_dead_letter_is_lacking,
        a_new_epoch_is_another_one,
        a_client_sees_its_own_messages_alone,
        what_is_only_a_dead_letter_has_failed,
        thousands_of_ids_are_answered;
    administration:
        a_client_stays_in_its_domain,
        suspending_a_client_changes_the_policy_once,
        names_differ_by_case_and_trailing_blanks,
        revoking_by_name_leaves_no_certificate_valid,
        revoking_by_serial_leaves_the_others_alone,
        certificates_are_found_by_each_filter,
        certificates_come_in_pages,
        expired_certificates_leave_the_revoked_set,
        one_address_is_one_user_in_any_case,
        every_change_is_in_the_audit_log,
        a_setting_is_minted_once;
    schema:
        migrating_again_does_nothing,
        a_newer_schema_is_refused,
        what_was_answered_survives_without_a_close,
        a_closed_store_says_so,
        a_fault_of_one_call_does_not_reach_the_others;
}
