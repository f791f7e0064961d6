//! A process that the service control manager has started.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};

use super::{acl, display_name, name};
use crate::cli;
use crate::layout::Layout;
use crate::output;
use crate::service::starter::{Phase, Starter};
use crate::service::{Part, Supervisor};

define_windows_service!(service_main_of_windows, service_main);

/// What a service says that a start begins.
const BEGINS: Duration = Duration::from_secs(60);

/// Hands this process to the service control manager until the service has stopped.
///
/// # Errors
/// It was not the manager that started this process.
pub(crate) fn dispatch(part: Part) -> Result<ExitCode> {
    service_dispatcher::start(name(part), service_main_of_windows).with_context(|| {
        format!("only the service control manager starts this: message-broker service start {}", part.command())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Windows calls it on a thread of its own, with nothing that says which service it is: the command line does.
fn service_main(_arguments: Vec<OsString>) {
    let Some((layout, part)) = cli::service_of_this_process() else { return };
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let handle = service_control_handler::register(name(part), move |control| match control {
        ServiceControl::Stop | ServiceControl::Preshutdown => {
            asked.cancel();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    });
    let Ok(handle) = handle else { return };
    let reporter = Reporter { handle, stop, checkpoint: AtomicU32::new(0) };
    reporter.tell(Phase::Starting { patience: BEGINS });
    let ended = serve(&layout, part, reporter);
    let exit_code = if ended { ServiceExitCode::NO_ERROR } else { ServiceExitCode::ServiceSpecific(1) };
    // Nobody is left to be told if this fails.
    handle.set_service_status(ServiceStatus { exit_code, ..status(ServiceState::Stopped) }).ok();
}

/// Runs to the end; whether it was a good one. The event log is told of both.
fn serve(layout: &Layout, part: Part, reporter: Reporter) -> bool {
    // Its own filter shows everything; what others log through it belongs into the files.
    let has_events = winlog2::init(display_name(part)).is_ok();
    log::set_max_level(log::LevelFilter::Off);
    let event = |level, text: &str| {
        if has_events {
            log::logger().log(&log::Record::builder().level(level).args(format_args!("{text}")).build());
        }
    };
    event(log::Level::Info, &format!("starting; data in {}", layout.root().display()));
    let supervisor = Supervisor::of(Starter::Scm(reporter));
    let ended = acl::refuse_exposed(layout).and_then(|()| cli::serve(layout, part, &supervisor));
    match &ended {
        Ok(_) => event(log::Level::Info, "stopped"),
        Err(error) => event(log::Level::Error, &output::why(error)),
    }
    ended.is_ok()
}

/// Tells the manager how far the service is.
#[derive(Debug)]
pub(in crate::service) struct Reporter {
    handle: ServiceStatusHandle,
    stop: CancellationToken,
    checkpoint: AtomicU32,
}

impl Reporter {
    pub(in crate::service) fn tell(&self, phase: Phase) {
        let pending = |state, patience| ServiceStatus {
            checkpoint: self.checkpoint.fetch_add(1, Ordering::Relaxed) + 1,
            wait_hint: patience,
            ..status(state)
        };
        let now = match phase {
            Phase::Starting { patience } => pending(ServiceState::StartPending, patience),
            Phase::Up { .. } => status(ServiceState::Running),
            Phase::Alive => return,
            Phase::Stopping { patience } => pending(ServiceState::StopPending, patience),
        };
        // A manager that does not listen asks again by itself.
        self.handle.set_service_status(now).ok();
    }

    pub(in crate::service) async fn stop_asked(&self) {
        self.stop.cancelled().await;
    }
}

fn status(state: ServiceState) -> ServiceStatus {
    let controls_accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted,
        exit_code: ServiceExitCode::NO_ERROR,
        checkpoint: 0,
        wait_hint: Duration::ZERO,
        process_id: None,
    }
}
