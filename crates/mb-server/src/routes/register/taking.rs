//! What a worker that registers messages takes along to deliver: up to its room, what can be sent at once. It is leased in
//! the transaction that stores it, so nothing is written twice and nobody looks for it. Everything else waits for its
//! turn.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mb_api::dto::SecretText;
use mb_api::dto::delivery::{LeasedDeliveries, LeasedDelivery, MAX_LEASED, RegisterQuery};
use mb_api::problem::ApiError;
use mb_core::{DestinationId, DestinationState, Header, LeaseId, MessageId, Timestamp};
use mb_store::{Begin, NewDelivery, Registered};

use crate::app::App;
use crate::delivering::Served;
use crate::routes::{deliveries, store_fault};

/// Why a delivery is given up at once.
const DISABLED: &str = "destination_disabled";

/// Bytes of what one answer brings along, about; the rest waits for its turn, as where deliveries are leased.
const MOST_BYTES: usize = 4 << 20;

pub(in crate::routes) struct Taking<'a> {
    worker: Option<&'a str>,
    room: u32,
    room_bytes: usize,
    except: Vec<DestinationId>,
    lease: LeaseId,
    /// The deliveries to store.
    pub(in crate::routes) deliveries: Vec<NewDelivery>,
    /// Those that the worker has, by the place of their message.
    taken: Vec<Taken>,
    served: HashMap<DestinationId, Arc<Served>>,
    /// Some wait for their turn.
    waits: bool,
}

struct Taken {
    message: usize,
    message_id: MessageId,
    destination: DestinationId,
    expires_at: Option<Timestamp>,
    payload: SecretText,
}

impl<'a> Taking<'a> {
    pub(in crate::routes) fn new(query: &'a RegisterQuery) -> Self {
        Self {
            worker: query.worker.as_deref(),
            room: query.deliveries.unwrap_or(0).min(MAX_LEASED),
            room_bytes: MOST_BYTES,
            except: query.excepted(),
            lease: deliveries::new_lease(),
            deliveries: Vec::new(),
            taken: Vec::new(),
            served: HashMap::new(),
            waits: false,
        }
    }

    /// Decides how the deliveries of the message at `message` begin.
    pub(in crate::routes) fn route(
        &mut self,
        message: usize,
        header: &Header,
        to: &[Arc<Served>],
        payload: Option<&SecretText>,
    ) {
        for served in to {
            let (destination, disabled) = (served.row.route.id, served.row.route.state == DestinationState::Disabled);
            let size = payload.map_or(0, |payload| payload.secret().expose().len());
            let fits = self.room > 0 && size <= self.room_bytes;
            let ready = fits && served.is_ready() && !self.except.contains(&destination);
            let begin = match (self.worker, payload) {
                _ if disabled => Begin::Dead(DISABLED),
                (Some(worker), Some(payload)) if ready => {
                    (self.room, self.room_bytes) = (self.room - 1, self.room_bytes - size);
                    self.served.entry(destination).or_insert_with(|| Arc::clone(served));
                    let (message_id, expires_at, payload) = (header.message_id, header.expires_at, payload.clone());
                    self.taken.push(Taken { message, message_id, destination, expires_at, payload });
                    Begin::Leased { lease: self.lease, holder: worker.to_owned() }
                }
                _ => {
                    self.waits = true;
                    Begin::Waiting
                }
            };
            self.deliveries.push(NewDelivery { message, destination, begin });
        }
    }

    /// What the worker gets: of what was stored now what it was given, and of what was stored before, by a call whose answer
    /// was lost, what it still holds.
    pub(super) async fn taken(self, app: &App, registered: &[Registered]) -> Result<LeasedDeliveries, ApiError> {
        if self.waits {
            app.delivering.wake();
        }
        let mut answer = LeasedDeliveries::default();
        let repeats = registered.iter().filter_map(|outcome| match outcome {
            Registered::Duplicate(existing) => Some(existing.header.message_id),
            Registered::Stored | Registered::Expunged => None,
        });
        let repeats = repeats.collect::<Vec<_>>();
        if let Some(worker) = self.worker.filter(|_| !repeats.is_empty()) {
            let held = app.store.held_deliveries(worker, &repeats).await.map_err(store_fault)?;
            answer = deliveries::answer(app, held).await?;
        }
        if self.taken.is_empty() {
            return Ok(answer);
        }
        let now = app.clock.now();
        let mut targets = answer.targets.into_iter().map(|target| (target.id, target)).collect::<BTreeMap<_, _>>();
        for taken in self.taken {
            if registered.get(taken.message) != Some(&Registered::Stored) {
                continue;
            }
            if let Some(served) = self.served.get(&taken.destination) {
                targets.entry(taken.destination).or_insert_with(|| served.target(now));
            }
            answer.deliveries.push(LeasedDelivery {
                message_id: taken.message_id,
                destination: taken.destination,
                lease: self.lease,
                expires_at: taken.expires_at,
                payload: taken.payload,
            });
        }
        answer.targets = targets.into_values().collect();
        Ok(answer)
    }
}
