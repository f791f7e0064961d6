//! Deliveries as workers ask for them, and destinations as people set them.

use std::time::Duration;

use http::Method;
use mb_core::DestinationId;

use super::{Client, ClientError, DEADLINE, JSON, bare, build, encode};
use crate::dto::delivery::{LeaseRequest, LeasedDeliveries, ReportRequest};
use crate::dto::{
    CreateDestination, CreatedDestination, DestinationQuery, DestinationRow, DestinationSettings, DestinationTest,
    RotatedSecret, SetDestinationState,
};
use crate::page::Page;
use crate::paths::{self, with_id};

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
    pub async fn report_deliveries(&self, report: &ReportRequest) -> Result<(), ClientError> {
        self.tell(Method::POST, paths::DELIVERIES_REPORT, report).await
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
