//! Deliveries as workers ask for them, and destinations as people set them.

use std::time::Duration;

use http::Method;
use mb_core::{DestinationId, DestinationName, MessageId};

use super::{Client, ClientError, DEADLINE, JSON, bare, build, encode};
use crate::dto::delivery::{LeaseRequest, LeasedDeliveries, ReportAnswer, ReportRequest};
use crate::dto::pull::{Prolonged, PullRequest, PulledMessages, Settle};
use crate::dto::{
    CancelRequest, ChooseDeadLetters, CreateDestination, CreatedDestination, DeadLetterQuery, DeadLetterRow,
    DeadLettersDone, DestinationQuery, DestinationRow, DestinationSettings, DestinationTest, ReplayMessages, Replayed,
    Retried, RotatedSecret, SetDestinationState,
};
use crate::page::Page;
use crate::paths::{self, with_id};
use crate::request_id::RequestId;

/// How long a trial may take: a worker has to ask for it, and the receiver has its whole time.
const TRIAL: Duration = Duration::from_secs(30);

/// Deliveries.
impl Client {
    /// Waits for deliveries.
    pub async fn lease_deliveries(&self, ask: &LeaseRequest) -> Result<LeasedDeliveries, ClientError> {
        let request = build(Method::POST, paths::DELIVERIES_LEASE, Some(JSON), encode(ask)?, None)?;
        self.json(request, Duration::from_secs(ask.wait_seconds) + DEADLINE).await
    }

    /// Reports what came of deliveries.
    pub async fn report_deliveries(&self, report: &ReportRequest) -> Result<ReportAnswer, ClientError> {
        self.post(paths::DELIVERIES_REPORT, report, None).await
    }
}

/// Dead letters and messages that are to be sent again, or not at all.
impl Client {
    /// One page of dead letters, the newest first.
    pub async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Page<DeadLetterRow>, ClientError> {
        self.list(paths::DEAD_LETTERS, query).await
    }

    /// Sends dead letters again.
    pub async fn redrive_dead_letters(&self, ask: &ChooseDeadLetters) -> Result<DeadLettersDone, ClientError> {
        self.post(paths::DEAD_LETTERS_REDRIVE, ask, None).await
    }

    /// Removes dead letters.
    pub async fn purge_dead_letters(&self, ask: &ChooseDeadLetters) -> Result<DeadLettersDone, ClientError> {
        self.post(paths::DEAD_LETTERS_PURGE, ask, None).await
    }

    /// Has a message tried now.
    pub async fn retry_message(&self, id: &MessageId) -> Result<Retried, ClientError> {
        self.json(bare(Method::POST, &with_id(paths::MESSAGE_RETRY, id))?, DEADLINE).await
    }

    /// Withdraws a message.
    pub async fn cancel_message(&self, id: &MessageId) -> Result<(), ClientError> {
        self.send(bare(Method::POST, &with_id(paths::MESSAGE_CANCEL, id))?, DEADLINE).await.map(drop)
    }

    /// Withdraws a client's message.
    pub async fn cancel_for(&self, ask: &CancelRequest, id: Option<&RequestId>) -> Result<(), ClientError> {
        let request = build(Method::POST, paths::CANCEL, Some(JSON), encode(ask)?, id)?;
        self.send(request, DEADLINE).await.map(drop)
    }

    /// Removes a message's content.
    pub async fn expunge_message(&self, id: &MessageId) -> Result<(), ClientError> {
        self.send(bare(Method::POST, &with_id(paths::MESSAGE_EXPUNGE, id))?, DEADLINE).await.map(drop)
    }

    /// Sends messages again to a destination, a step of them.
    pub async fn replay_messages(&self, to: DestinationId, ask: &ReplayMessages) -> Result<Replayed, ClientError> {
        self.post(&with_id(paths::DESTINATION_REPLAY, &to), ask, None).await
    }
}

/// Destinations that pull.
impl Client {
    /// Fetches messages.
    pub async fn pull(&self, name: &DestinationName, ask: &PullRequest) -> Result<PulledMessages, ClientError> {
        let path = with_id(paths::PULL, name);
        let request = build(Method::POST, &path, Some(JSON), encode(ask)?, None)?;
        self.json(request, Duration::from_secs(ask.wait_seconds) + DEADLINE).await
    }

    /// Says that messages were taken.
    pub async fn ack(&self, name: &DestinationName, ask: &Settle) -> Result<(), ClientError> {
        self.tell(Method::POST, &with_id(paths::PULL_ACK, name), ask).await
    }

    /// Gives messages back, to be fetched again later.
    pub async fn nack(&self, name: &DestinationName, ask: &Settle) -> Result<(), ClientError> {
        self.tell(Method::POST, &with_id(paths::PULL_NACK, name), ask).await
    }

    /// Keeps messages for longer.
    pub async fn prolong(&self, name: &DestinationName, ask: &Settle) -> Result<Prolonged, ClientError> {
        self.post(&with_id(paths::PULL_PROLONG, name), ask, None).await
    }
}

/// Destinations.
impl Client {
    /// One page of destinations, the oldest first.
    pub async fn destinations(&self, query: &DestinationQuery) -> Result<Page<DestinationRow>, ClientError> {
        self.list(paths::DESTINATIONS, query).await
    }

    /// One destination.
    pub async fn destination(&self, id: DestinationId) -> Result<DestinationRow, ClientError> {
        self.get(&with_id(paths::DESTINATION, &id)).await
    }

    /// Adds a destination.
    pub async fn create_destination(&self, ask: &CreateDestination) -> Result<CreatedDestination, ClientError> {
        self.post(paths::DESTINATIONS, ask, None).await
    }

    /// Sets what is given about a destination.
    pub async fn set_destination(&self, id: DestinationId, ask: &DestinationSettings) -> Result<(), ClientError> {
        self.put(&with_id(paths::DESTINATION, &id), ask).await
    }

    /// Enables, pauses or disables a destination.
    pub async fn set_destination_state(&self, id: DestinationId, ask: SetDestinationState) -> Result<(), ClientError> {
        self.put(&with_id(paths::DESTINATION_STATE, &id), &ask).await
    }

    /// Gives a destination another secret.
    pub async fn rotate_destination_secret(&self, id: DestinationId) -> Result<RotatedSecret, ClientError> {
        self.json(bare(Method::POST, &with_id(paths::DESTINATION_SECRET, &id))?, DEADLINE).await
    }

    /// Sends a trial to a destination and shows the exchange.
    pub async fn test_destination(&self, id: DestinationId) -> Result<DestinationTest, ClientError> {
        self.json(bare(Method::POST, &with_id(paths::DESTINATION_TEST, &id))?, TRIAL).await
    }

    /// Deletes a destination.
    pub async fn delete_destination(&self, id: DestinationId) -> Result<(), ClientError> {
        self.delete(&with_id(paths::DESTINATION, &id)).await
    }
}
