//! The tests on `MariaDB`.

use super::server::Product;

const PRODUCT: Product = Product::MariaDb;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_strict_and_speak_utc() {
    super::sessions_are_strict_and_speak_utc(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_left_behind_is_undone_at_once() {
    super::a_transaction_that_is_left_behind_is_undone_at_once(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registering_connection_that_was_cut_is_replaced() {
    super::a_registering_connection_that_was_cut_is_replaced(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_statements_go_by_the_index_that_is_made_for_them() {
    super::plans::hot_statements_go_by_the_index_that_is_made_for_them(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_sorted_by_what_is_to_be_done() {
    super::faults_are_sorted_by_what_is_to_be_done(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_tells_how_it_is_set_up() {
    super::a_server_tells_how_it_is_set_up(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_leased_is_not_withdrawn() {
    super::what_is_being_leased_is_not_withdrawn(PRODUCT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_gave_way_is_done_again() {
    super::a_transaction_that_gave_way_is_done_again(PRODUCT).await;
}
