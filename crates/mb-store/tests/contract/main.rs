//! What every backend of the store must do, said once and run on each of them.

mod accounts;
mod administration;
#[path = "../server/alone.rs"]
mod alone_server;
mod archiving;
mod auditing;
mod consuming;
mod delivering;
mod enrolling;
mod expunging;
mod failing;
mod fixture;
mod issuing;
mod keys;
mod listing;
mod merging;
mod outages;
mod people;
mod reading;
mod registering;
mod retaining;
mod round_trips;
mod running;
mod schema;
mod sending_again;
#[path = "../server/mod.rs"]
mod server;
mod servers;
mod signing_in;
mod tenants;

use fixture::Fixture;

macro_rules! on {
    ($backend:ident, $fixture:ident: $($area:ident: $($behaviour:ident),+;)+) => {
        mod $backend {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$area::$behaviour(super::Fixture::$fixture().await).await;
                }
            )+)+
        }
    };
}

macro_rules! on_every_backend {
    ($($behaviours:tt)+) => {
        on! { sqlite, sqlite: $($behaviours)+ }
        on! { needs_mariadbd, mariadb: $($behaviours)+ }
        on! { needs_mysqld, mysql: $($behaviours)+ }
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
        names_that_look_alike_stay_apart,
        what_is_only_a_dead_letter_has_failed,
        figures_tell_hours_reasons_and_times,
        thousands_of_ids_are_answered;
    administration:
        a_client_stays_in_its_domain,
        suspending_a_client_changes_the_policy_once,
        names_differ_by_case_and_trailing_blanks,
        revoking_by_name_leaves_no_certificate_valid,
        revoking_by_serial_leaves_the_others_alone,
        certificates_are_found_by_each_filter,
        certificates_come_in_pages,
        a_page_of_certificates_is_of_what_was_asked_for,
        certificates_that_end_are_those_that_nobody_has_renewed,
        expired_certificates_leave_the_revoked_set,
        one_address_is_one_user_in_any_case,
        every_change_is_in_the_audit_log,
        a_setting_is_minted_once;
    schema:
        migrating_again_does_nothing,
        a_newer_schema_is_refused,
        a_closed_store_says_so,
        a_fault_of_one_call_does_not_reach_the_others;
    archiving:
        an_archive_brings_every_row_and_no_sign_in,
        half_an_archive_makes_no_store,
        an_archive_is_of_one_moment;
    people:
        users_come_in_pages_by_each_filter,
        what_ends_sessions_ends_all_of_them_at_once,
        a_change_to_what_is_already_so_leaves_no_row,
        an_account_that_ended_opens_nothing,
        the_last_admin_stays,
        two_admins_cannot_remove_each_other_at_once,
        a_target_of_another_role_is_not_touched,
        a_removed_user_takes_everything_but_the_log_along,
        passwords_do_not_reach_the_audit_log,
        a_second_factor_counts_once_it_is_proven,
        a_time_step_and_a_recovery_code_work_once,
        a_restored_store_signs_everyone_out;
    signing_in:
        a_session_lives_until_it_is_idle_or_over,
        where_somebody_signed_in_is_remembered_longer_than_the_session,
        a_sign_in_under_an_old_password_opens_nothing,
        sessions_are_listed_and_ended_by_their_owner_alone,
        one_session_too_many_ends_the_one_least_used,
        a_refresh_token_that_is_used_twice_ends_its_session,
        used_refresh_tokens_are_few_and_an_older_one_still_ends_its_session,
        of_two_uses_at_once_one_shows_the_other,
        an_expired_refresh_token_is_told_and_purged,
        a_reset_token_works_once_and_alone;
    listing:
        the_newest_come_first_and_equal_times_go_by_id,
        each_filter_finds_what_it_names,
        what_is_only_a_dead_letter_stands_in_its_place,
        what_is_scheduled_is_queued_whether_or_not_a_destination_waits_for_it,
        a_filter_that_finds_little_looks_at_a_bounded_part,
        heavy_bodies_make_shorter_pages,
        a_page_holds_while_messages_come_in;
    auditing:
        rows_are_chained_in_order_and_once,
        what_was_committed_is_known_beside_the_database,
        checkpoints_are_kept_as_they_were_signed,
        the_log_is_searched_page_by_page;
    keys:
        data_keys_are_sealed_anew_in_steps_and_once,
        a_sealed_value_is_replaced_only_as_it_was_read,
        a_report_takes_the_place_of_the_one_before;
    merging:
        revocations_are_merged_back_after_a_new_epoch_alone,
        what_was_renewed_over_a_revoked_certificate_goes_with_it,
        a_signed_list_is_taken_back_at_any_time,
        after_a_restore_nobody_renews_until_every_proxy_has_told,
        a_proxy_that_stays_away_holds_up_renewals_for_a_week_at_most;
    enrolling:
        a_token_is_good_for_one_certificate,
        a_token_ends_with_its_time,
        a_token_is_void_when_its_client_is_taken_out,
        a_new_token_voids_an_unused_one_of_that_name;
    issuing:
        a_certificate_follows_only_one_that_is_not_revoked,
        who_may_not_act_gets_no_certificate,
        who_renews_in_a_loop_is_stopped_and_nobody_else_of_that_name,
        a_revocation_leaves_nothing_good_whoever_renews_meanwhile,
        a_name_is_revoked_in_the_roles_that_are_meant;
    running:
        a_mail_is_tried_by_one_at_a_time,
        a_mail_waits_for_its_next_attempt_and_is_swept_when_done,
        a_sent_mail_keeps_no_body,
        one_notice_about_a_thing_is_open_at_a_time,
        a_notice_is_mailed_once,
        one_leads_until_its_lease_ends,
        workers_live_as_long_as_they_are_heard_of,
        a_trial_is_given_to_one_and_answered_to_who_asked,
        a_database_describes_itself,
        a_lease_that_lasts_longer_than_leases_do_is_taken_and_told_of,
        a_lease_is_given_back_by_who_knows_its_holder_dead,
        what_was_told_of_once_is_not_told_again_by_whoever_looks_next,
        open_notices_are_named_by_kind,
        proxies_live_as_long_as_they_are_seen;
    tenants:
        a_domains_rules_reach_the_policy,
        a_clients_rate_limit_reaches_the_policy,
        clients_come_in_pages_without_the_archived,
        figures_count_messages_by_age_and_clients_by_what_they_may;
    delivering:
        a_delivery_is_leased_by_one_until_its_lease_ends,
        a_message_is_final_when_its_last_delivery_is,
        what_is_not_taken_is_tried_again_and_given_up_in_the_end,
        a_report_under_a_lost_lease_counts_only_if_it_was_taken,
        fresh_ones_and_repeats_keep_each_other_from_nothing,
        an_open_breaker_lets_one_delivery_see,
        gone_disables_and_what_waits_becomes_dead_letters,
        what_is_scheduled_waits_and_what_expires_ends,
        a_new_destination_gets_what_came_before,
        a_change_of_the_destinations_is_seen_by_who_registers;
    consuming:
        a_consumer_is_believed_of_what_it_holds_alone;
    sending_again:
        what_has_expired_is_not_sent_again,
        what_is_sent_again_expires_at_its_time,
        what_is_given_back_rests_and_ends_if_its_time_is_over,
        a_replay_sends_what_was_delivered_or_given_up_when_it_is_due,
        a_replay_revives_what_was_given_up_there,
        what_is_for_later_is_not_hastened;
    failing:
        five_days_of_failure_disable_a_destination,
        a_breaker_is_one_for_all_servers,
        what_is_given_up_at_once_says_when_and_why,
        dead_letters_count_while_they_lie_there,
        figures_show_what_is_due_and_for_how_long,
        lanes_show_what_waits_as_far_as_it_is_worth_counting,
        an_answer_carries_no_more_than_fits;
    expunging:
        what_was_expunged_stays_out_while_its_row_is_there,
        what_was_expunged_stays_out_when_its_row_is_gone,
        a_store_that_was_put_back_is_told_what_was_expunged,
        a_dead_letter_is_expunged_like_a_message,
        what_was_expunged_is_not_redriven,
        a_tombstone_is_forgotten_when_no_copy_can_come;
    retaining:
        contents_go_before_their_messages,
        what_is_not_done_with_stays,
        everything_about_a_message_goes_with_it,
        an_id_is_free_again_when_its_message_is_gone,
        a_message_waits_for_a_younger_one_under_its_id,
        a_walk_is_broken_off_and_goes_on_anywhere,
        dead_letters_go_by_their_own_age,
        how_long_things_are_kept_is_set_once_for_all_servers,
        the_audit_log_is_cut_where_it_is_said_to_begin;
}

macro_rules! on_servers {
    ($($behaviours:tt)+) => {
        mod servers_of {
            use super::{Fixture, servers};
            on! { needs_mariadbd, mariadb: $($behaviours)+ }
            on! { needs_mysqld, mysql: $($behaviours)+ }
        }
    };
}

on_servers! {
    servers:
        servers_that_start_together_migrate_once,
        servers_that_register_the_same_store_it_once,
        whoever_is_chosen_to_give_way_tries_again,
        who_looks_and_then_acts_takes_turns,
        a_mail_is_leased_by_one_server_at_a_time,
        servers_that_lease_at_once_get_each_delivery_once,
        text_outside_of_the_first_plane_survives,
        no_column_takes_different_texts_for_equal,
        an_account_with_a_difficult_password_gets_in,
        a_database_that_is_not_there_is_waited_for;
}

macro_rules! on_a_server_of_its_own {
    ($($area:ident: $($behaviour:ident),+;)+) => {
        mod alone {
            use super::{accounts, outages, round_trips, server};
            on_a_server_of_its_own! { needs_mariadbd, MariaDb: $($area: $($behaviour),+;)+ }
            on_a_server_of_its_own! { needs_mysqld, MySql: $($area: $($behaviour),+;)+ }
        }
    };
    ($backend:ident, $product:ident: $($area:ident: $($behaviour:ident),+;)+) => {
        mod $backend {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$area::$behaviour(super::server::Product::$product).await;
                }
            )+)+
        }
    };
}

on_a_server_of_its_own! {
    accounts:
        the_shipped_account_may_what_the_store_does_and_no_more;
    outages:
        a_killed_server_keeps_what_was_answered_and_is_met_again,
        a_server_is_known_by_its_authority_and_name;
    round_trips:
        a_thousand_messages_take_a_few_questions_more_than_one;
}

on! { sqlite_files, sqlite:
    schema:
        what_was_answered_survives_without_a_close;
}
